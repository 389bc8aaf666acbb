//! From which sites browsers may send.

/// A list of origins, as browsers name the sites of pages; an empty one admits every site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Most origins of a list.
    pub const MAX: usize = 100;
    /// Longest origin, in characters.
    pub const MAX_CHARS: usize = 255;

    /// Takes origins of the form `scheme://host` or `scheme://host:port`; `*.` before the host stands for every host below it. Tells
    /// those that are not of this form by their places.
    pub fn parse<S: AsRef<str>>(origins: &[S]) -> Result<Self, Vec<usize>> {
        let mut list = Vec::with_capacity(origins.len());
        let mut wrong = Vec::new();
        for (index, origin) in origins.iter().enumerate() {
            let origin = origin.as_ref().trim().trim_end_matches('/').to_ascii_lowercase();
            if !is_origin(&origin) {
                wrong.push(index);
            } else if !list.contains(&origin) {
                list.push(origin);
            }
        }
        if wrong.is_empty() { Ok(Self(list)) } else { Err(wrong) }
    }

    /// Returns the origins in lower case, each once.
    pub fn list(&self) -> &[String] {
        &self.0
    }

    /// Whether a page of this origin may send. Whoever names none is no page, and is not kept out by a list of pages.
    pub fn admit(&self, origin: &str) -> bool {
        self.0.is_empty() || origin.is_empty() || self.0.iter().any(|allowed| stands_for(allowed, origin))
    }
}

fn stands_for(allowed: &str, origin: &str) -> bool {
    match allowed.split_once("*.") {
        None => allowed.eq_ignore_ascii_case(origin),
        Some((scheme, domain)) => {
            let Some(host) = origin.get(scheme.len()..) else { return false };
            let Some(below) = host.len().checked_sub(domain.len()) else { return false };
            origin[..scheme.len()].eq_ignore_ascii_case(scheme)
                && host.get(below..).is_some_and(|end| end.eq_ignore_ascii_case(domain))
                && below > 1
                && host.as_bytes()[below - 1] == b'.'
        }
    }
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let host = rest.strip_prefix("*.").unwrap_or(rest);
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    let in_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_:[]".contains(&byte);
    text.len() <= Origins::MAX_CHARS && is_scheme && !host.is_empty() && host.bytes().all(in_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_admits_what_it_names_and_nothing_like_it() {
        let origins =
            Origins::parse(&["https://Shop.example/", "http://localhost:3000", "https://*.shop.example"]).unwrap();

        for (origin, admitted) in [
            ("https://shop.example", true),
            ("HTTPS://SHOP.EXAMPLE", true),
            ("https://www.shop.example", true),
            ("https://a.b.shop.example", true),
            ("http://localhost:3000", true),
            ("", true),
            ("http://shop.example", false),
            ("https://shop.example:8443", false),
            ("http://www.shop.example", false),
            ("https://evilshop.example", false),
            ("https://.shop.example", false),
            ("https://www.shop.example.evil.test", false),
            ("http://localhost", false),
            ("https://ü.shop.example", true),
            ("httpü", false),
            ("null", false),
        ] {
            assert_eq!(origins.admit(origin), admitted, "{origin}");
        }
        assert_eq!(origins.list(), ["https://shop.example", "http://localhost:3000", "https://*.shop.example"]);
    }

    #[test]
    fn an_empty_list_admits_everybody() {
        assert!(Origins::default().admit("https://anywhere.test") && Origins::default().admit("null"));
    }

    #[test]
    fn what_is_no_origin_is_told_by_its_place() {
        let long = format!("https://{}", "x".repeat(250));

        let wrong =
            Origins::parse(&["https://a.test", "a.test", "https://", "https://a/b", "*", "null", "https://*.", &long]);

        assert_eq!(wrong, Err(vec![1, 2, 3, 4, 5, 6, 7]));
    }
}
