use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

/// What every environment variable of ours starts with.
const ENV_PREFIX: &str = "COMPTOIR__";

/// Configuration that cannot be used. The message names the file or variable and the key, never a value.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("config file {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, names a key that does not exist, or gives one the wrong type.
    #[error("config file {path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the key.
        problem: String,
    },
    /// A variable names a key that does not exist, or gives one the wrong type.
    #[error("environment variable {variable}: {problem}")]
    Variable {
        /// The variable.
        variable: String,
        /// What is wrong, with the key.
        problem: String,
    },
}

/// Returns the configuration: the defaults of `C`, then `file`, then the `COMPTOIR__SECTION__KEY` variables in `env`.
///
/// `C` should carry `#[serde(default, deny_unknown_fields)]`, and so should its sections. A variable's value is read as the type
/// that the default has; a list is written as in TOML, `["a", "b"]`.
pub fn load<C>(file: Option<&Path>, env: impl IntoIterator<Item = (String, String)>) -> Result<C, ConfigError>
where
    C: Default + DeserializeOwned + Serialize,
{
    let from_file = match file {
        Some(path) => read_file::<C>(path)?,
        None => Table::new(),
    };
    let mut variables: Vec<(String, String)> =
        env.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
    variables.sort();

    let defaults = Table::try_from(C::default()).unwrap_or_default();
    let mut merged = from_file.clone();
    for (variable, text) in &variables {
        overlay(&mut merged, &defaults, variable, text)?;
    }
    merged.try_into().map_err(|error| blame::<C>(&from_file, &defaults, &variables, &error))
}

/// Returns `config` as TOML, with every [`Secret`](super::Secret) masked.
pub fn print<C: Serialize>(config: &C) -> String {
    toml::to_string_pretty(config).expect("configuration is plain data under string keys")
}

fn read_file<C: DeserializeOwned>(path: &Path) -> Result<Table, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let wrong = |problem: String| ConfigError::File { path: path.to_owned(), problem };

    let table: Table = text.parse().map_err(|error| wrong(describe(&error, Some(&text))))?;
    // Read alone first: only here can the message tell the line.
    toml::from_str::<C>(&text).map_err(|error| wrong(describe(&error, Some(&text))))?;
    Ok(table)
}

/// Sets the key that `variable` names.
fn overlay(merged: &mut Table, defaults: &Table, variable: &str, text: &str) -> Result<(), ConfigError> {
    let wrong = |problem: &str| ConfigError::Variable { variable: variable.to_owned(), problem: problem.to_owned() };
    let lowered = variable[ENV_PREFIX.len()..].to_lowercase();
    let keys: Vec<&str> = lowered.split("__").collect();
    let Some((&last, sections)) = keys.split_last() else {
        return Err(wrong("names no key"));
    };
    if keys.iter().any(|key| key.is_empty()) {
        return Err(wrong("names no key"));
    }

    let mut section = merged;
    let mut default_section = Some(defaults);
    for &name in sections {
        section = section
            .entry(name)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| wrong(&format!("{name} is not a section")))?;
        default_section = default_section.and_then(|table| table.get(name)?.as_table());
    }
    let default = default_section.and_then(|table| table.get(last));
    section.insert(last.to_owned(), parse(text, default));
    Ok(())
}

/// Reads `text` as the type of `default`. Where there is none to go by, a TOML value if it is one, and text otherwise.
fn parse(text: &str, default: Option<&Value>) -> Value {
    if let Some(Value::String(_)) = default {
        return Value::String(text.to_owned());
    }
    let parsed = format!("value = {text}").parse::<Table>().ok();
    match (parsed.and_then(|mut table| table.remove("value")), default) {
        (Some(Value::Integer(whole)), Some(Value::Float(_))) => Value::Float(whole as f64),
        (Some(value), _) => value,
        (None, _) => Value::String(text.to_owned()),
    }
}

/// Finds the variable that makes the configuration unusable; the file alone is known to be good.
fn blame<C: DeserializeOwned>(
    from_file: &Table,
    defaults: &Table,
    variables: &[(String, String)],
    all: &toml::de::Error,
) -> ConfigError {
    for (variable, text) in variables {
        let mut alone = from_file.clone();
        let outcome = overlay(&mut alone, defaults, variable, text).map(|()| alone.try_into::<C>());
        match outcome {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                return ConfigError::Variable { variable: variable.clone(), problem: describe(&error, None) };
            }
            Err(error) => return error,
        }
    }
    ConfigError::Variable { variable: format!("{ENV_PREFIX}*"), problem: describe(all, None) }
}

/// Returns what is wrong and where, in one line and without quoting the file: the line may hold a secret.
fn describe(error: &toml::de::Error, text: Option<&str>) -> String {
    let line = text
        .zip(error.span())
        .map(|(text, span)| text.as_bytes()[..span.start].iter().filter(|&&byte| byte == b'\n').count() + 1);
    match line {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AuthConfig, LogFormat, Secret, TelemetryConfig};

    #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        auth: AuthConfig,
        telemetry: TelemetryConfig,
        limits: Limits,
    }

    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Limits {
        batch: u32,
        names: Vec<String>,
        label: String,
    }

    impl Default for Limits {
        fn default() -> Self {
            Self { batch: 500, names: vec!["a".into()], label: String::new() }
        }
    }

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
        let file = file("[limits]\nbatch = 10\nlabel = \"file\"\n[telemetry]\nlog_format = \"json\"\n");

        let config: Config = load(
            Some(file.path()),
            env(&[
                ("COMPTOIR__LIMITS__LABEL", "123"),
                ("COMPTOIR__LIMITS__NAMES", "[\"x\", \"y\"]"),
                ("COMPTOIR__TELEMETRY__OTLP_ENDPOINT", "http://collector:4317"),
                ("COMPTOIR__TELEMETRY__TRACE_SHARE", "1"),
                ("COMPTOIR__AUTH__SECRET", "0123456789abcdef"),
                ("HOME", "/root"),
            ]),
        )
        .unwrap();

        assert_eq!(config.limits.batch, 10);
        assert_eq!(config.limits.label, "123");
        assert_eq!(config.limits.names, ["x", "y"]);
        assert_eq!(config.telemetry.log_format, LogFormat::Json);
        assert_eq!(config.telemetry.otlp_endpoint.as_deref(), Some("http://collector:4317"));
        assert_eq!(config.auth.secret, Secret::from("0123456789abcdef"));
    }

    #[test]
    fn an_unknown_key_in_the_file_is_refused_by_name_and_line() {
        let file = file("[limits]\nbatch = 10\nbacth = 11\n");

        let message = load::<Config>(Some(file.path()), []).unwrap_err().to_string();

        assert!(message.contains("bacth") && message.contains("line 3"), "{message}");
    }

    #[test]
    fn an_unknown_or_mistyped_variable_is_refused_by_name() {
        for (name, value, expected) in [
            ("COMPTOIR__LIMITS__BACTH", "1", "bacth"),
            ("COMPTOIR__LIMIT__BATCH", "1", "limit"),
            ("COMPTOIR__LIMITS__BATCH", "many", "expected u32"),
            ("COMPTOIR__LIMITS__BATCH__SIZE", "1", "COMPTOIR__LIMITS__BATCH__SIZE"),
            ("COMPTOIR__", "1", "names no key"),
        ] {
            let good = ("COMPTOIR__LIMITS__LABEL", "fine");
            let message = load::<Config>(None, env(&[good, (name, value)])).unwrap_err().to_string();

            assert!(message.contains(name) && message.contains(expected), "{message}");
        }
    }

    #[test]
    fn printing_masks_secrets() {
        let config: Config = load(None, env(&[("COMPTOIR__AUTH__SECRET", "0123456789abcdef")])).unwrap();

        let printed = print(&config);

        assert!(printed.contains("secret = \"***\"") && printed.contains("batch = 500"), "{printed}");
        assert!(!format!("{printed}{config:?}").contains("0123456789abcdef"));
    }
}
