//! Templates: what a message looks like, filled in for one person.
//!
//! The language is Jinja. HTML is escaped; a value that is missing is an error, so that nobody is written to as "Dear ,".
//! A template has a budget of work and of output, and reaches nothing but the values it is given.

use std::io;

use kit::{Error, Violations};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, value::Serde, value::Value};
use proto::campaign::v1::Template;

const SUBJECT: &str = "subject";
const HTML: &str = "html";
const TEXT: &str = "text";

/// Steps of the template engine per part; a page with some loops takes hundreds.
const FUEL: u64 = 200_000;
const MOST_OUTPUT: usize = 1 << 20;
const LONGEST_SUBJECT: usize = 1_000;
const LONGEST_BODY: usize = 256 << 10;
/// Longest line of a header (RFC 5322).
const LONGEST_SUBJECT_LINE: usize = 900;

/// A compiled template.
pub(crate) struct Compiled {
    environment: Environment<'static>,
    has_html: bool,
}

/// A message filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) subject: String,
    /// Empty when the template has none.
    pub(crate) html: String,
    pub(crate) text: String,
}

/// Why a template could not be filled in: what and where, without the values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}, line {line}: {problem}")]
pub(crate) struct RenderError {
    part: &'static str,
    line: usize,
    problem: String,
}

/// Checks a template as it comes in: sizes, and that every part compiles.
pub(crate) fn check(template: &Template) -> Result<(), Error> {
    let mut wrong = Violations::new();
    super::campaign::check_slug(&mut wrong, "template.template_id", &template.template_id);
    let subject = (1..=LONGEST_SUBJECT).contains(&template.subject.chars().count());
    wrong.check(subject, "template.subject", "must be 1 to 1,000 characters");
    wrong.check(template.html.len() <= LONGEST_BODY, "template.html", "must be at most 256 KiB");
    let text = (1..=LONGEST_BODY).contains(&template.text.len());
    wrong.check(text, "template.text", "must be 1 byte to 256 KiB");
    if wrong.is_empty() {
        for (part, source) in parts(template) {
            let compiled = environment().add_template_owned(part, source.to_owned());
            if let Err(error) = compiled {
                let problem = RenderError::of(part, &error, true);
                wrong.add(format!("template.{part}"), format!("line {}: {}", problem.line, problem.problem));
            }
        }
    }
    wrong.finish()
}

impl Compiled {
    /// Compiles a template that [`check`] let pass.
    pub(crate) fn new(template: &Template) -> Result<Self, RenderError> {
        let mut environment = environment();
        for (part, source) in parts(template) {
            environment
                .add_template_owned(part, source.to_owned())
                .map_err(|error| RenderError::of(part, &error, true))?;
        }
        Ok(Self { environment, has_html: !template.html.is_empty() })
    }

    /// Fills the template in with a JSON object.
    pub(crate) fn render(&self, values: &serde_json::Value) -> Result<Rendered, RenderError> {
        let values = Value::from(Serde(values));
        let subject = self.part(SUBJECT, &values)?;
        let html = if self.has_html { self.part(HTML, &values)? } else { String::new() };
        Ok(Rendered { subject: one_line(&subject), html, text: self.part(TEXT, &values)? })
    }

    fn part(&self, part: &'static str, values: &Value) -> Result<String, RenderError> {
        let mut output = Bounded(Vec::new());
        self.environment
            .get_template(part)
            .and_then(|template| template.render_captured_to(values.clone(), &mut output).map(|_| ()))
            .map_err(|error| RenderError::of(part, &error, false))?;
        String::from_utf8(output.0).map_err(|_| RenderError {
            part,
            line: 0,
            problem: "the output is not UTF-8".to_owned(),
        })
    }
}

impl RenderError {
    /// Details of compilation come from the template alone; those of rendering may hold values of a person.
    fn of(part: &'static str, error: &minijinja::Error, compiling: bool) -> Self {
        let kind = error.kind().to_string();
        let problem = match error.detail().filter(|_| compiling) {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind,
        };
        Self { part, line: error.line().unwrap_or(0), problem }
    }
}

fn parts(template: &Template) -> [(&'static str, &str); 3] {
    [(SUBJECT, &template.subject), (HTML, &template.html), (TEXT, &template.text)]
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| if name == HTML { AutoEscape::Html } else { AutoEscape::None });
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    environment
}

/// A subject is one line, whatever values it was filled with: a line break would begin another header.
fn one_line(subject: &str) -> String {
    let joined = subject.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.chars().filter(|c| !c.is_control()).take(LONGEST_SUBJECT_LINE).collect()
}

/// Output that may not grow beyond [`MOST_OUTPUT`].
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_OUTPUT {
            return Err(io::Error::other("the output is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(subject: &str, html: &str, text: &str) -> Template {
        Template {
            template_id: "t".into(),
            subject: subject.into(),
            html: html.into(),
            text: text.into(),
            ..Template::default()
        }
    }

    fn render(html: &str, values: serde_json::Value) -> Result<Rendered, RenderError> {
        Compiled::new(&template("Hello {{ traits.first_name }}", html, "{{ traits.first_name }}"))
            .unwrap()
            .render(&values)
    }

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let values = json!({"traits": {"first_name": "<b>Ann\r\nBcc: x</b>"}});
        let rendered = render("{{ traits.first_name }}", values).unwrap();

        assert_eq!(rendered.subject, "Hello <b>Ann Bcc: x</b>");
        assert!(rendered.html.starts_with("&lt;b&gt;Ann"), "{}", rendered.html);
        assert!(rendered.text.starts_with("<b>Ann"));
    }

    #[test]
    fn a_missing_value_is_an_error_unless_a_default_is_given() {
        let values = json!({"traits": {"first_name": "Ann"}, "products": []});

        let error = render("x\n{{ traits.last_name }}", values.clone()).unwrap_err();
        assert_eq!(error.to_string(), "html, line 2: undefined value");
        assert!(render("{{ products[0].title }}", values.clone()).is_err());
        let rendered =
            render("{{ traits.last_name | default('friend') }}{% for p in products %}{{ p }}{% endfor %}", values);
        assert_eq!(rendered.unwrap().html, "friend");
    }

    #[test]
    fn a_template_cannot_run_or_write_without_end() {
        let values = json!({"traits": {"first_name": "Ann"}});
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        let long =
            "{% set x = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' %}{% for a in range(40000) %}{{ x }}{% endfor %}";
        let recursive = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
        for greedy in [endless, long, recursive, "{% include 'html' %}", "{% include '/etc/passwd' %}"] {
            assert!(render(greedy, values.clone()).is_err(), "{greedy}");
        }
    }

    #[test]
    fn what_does_not_compile_is_refused_with_line_and_reason() {
        let error = check(&template("{{ a }", "ok\n{% for p in products %}", "t")).unwrap_err();

        let named: Vec<String> = error.violations.iter().map(|v| format!("{} {}", v.field, v.description)).collect();
        assert_eq!(named.len(), 2, "{named:?}");
        assert!(named[0].starts_with("template.subject line 1: syntax error"), "{named:?}");
        assert!(named[1].starts_with("template.html line 2: syntax error"), "{named:?}");
        assert!(check(&template("s", "", "t")).is_ok());
        assert_eq!(check(&template("", "", "")).unwrap_err().violations.len(), 2);
    }
}
