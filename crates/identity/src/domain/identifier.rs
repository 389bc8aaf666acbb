//! Reading identifiers: the form in which two of them are compared, and the values that identify nobody.

use sha2::{Digest, Sha256};

use super::{phone, rules::Rules};

/// What stands for an identifier in every index: the first 128 bits of the SHA-256 of its kind and normalised value.
pub(crate) type Key = u128;

/// An identifier in the form in which it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ident {
    pub(crate) key: Key,
    pub(crate) kind: Box<str>,
    /// Normalised.
    pub(crate) value: Box<str>,
    /// As it was seen, when that differs: one matches on the normalised form and writes to the original.
    pub(crate) original: Option<Box<str>>,
}

/// What an identifier, as it was sent, is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It points to somebody.
    Useful(Ident),
    /// It points to nobody, for this reason.
    Worthless(Ident, &'static str),
    /// It is of a kind that does not speak of one person.
    Aside,
}

/// Values that programs and people write when they have nothing to write.
const NOBODY: [&str; 27] = [
    "",
    "undefined",
    "null",
    "none",
    "nan",
    "nil",
    "n/a",
    "na",
    "[object object]",
    "object",
    "-1",
    "0",
    "-",
    "--",
    "anonymous",
    "unknown",
    "invalid",
    "test",
    "guest",
    "true",
    "false",
    "(not set)",
    "not set",
    "empty",
    "default",
    "user",
    "xxx",
];

/// E-mail addresses that are nobody's.
const NOBODYS_EMAILS: [&str; 10] = [
    "test@test.com",
    "test@test.fr",
    "test@example.com",
    "a@a.com",
    "a@a.fr",
    "none@none.com",
    "no@email.com",
    "noemail@noemail.com",
    "xxx@xxx.com",
    "email@email.com",
];

/// Domains whose owner ignores dots and everything from a plus sign in the part before the @.
const GMAIL: [&str; 2] = ["gmail.com", "googlemail.com"];

/// Reads an identifier as it was sent.
pub(crate) fn read(kind: &str, value: &str, rules: &Rules) -> Reading {
    if !rules.kind(kind).joins {
        return Reading::Aside;
    }
    let trimmed = value.trim();
    if let Some(reason) = nobody(trimmed, rules) {
        return Reading::Worthless(ident(kind, trimmed.to_lowercase(), value), reason);
    }
    let normalised = match kind {
        "email" => email(trimmed, rules),
        "phone" => phone::normalise(trimmed, &rules.default_country),
        _ => Ok(trimmed.to_owned()),
    };
    match normalised {
        Ok(normalised) => Reading::Useful(ident(kind, normalised, value)),
        Err(reason) => Reading::Worthless(ident(kind, trimmed.to_lowercase(), value), reason),
    }
}

/// Returns why `value` is a blocked value whatever its kind.
fn nobody(value: &str, rules: &Rules) -> Option<&'static str> {
    const LONGEST: usize = 18;
    const SHORTEST_RUN: usize = 6;

    let compared = if value.len() <= LONGEST { value.to_ascii_lowercase() } else { String::new() };
    if (value.is_empty() || !compared.is_empty()) && NOBODY.contains(&compared.as_str()) {
        return Some("a value that programs write for nothing");
    }
    if !rules.blocked_values.is_empty() && rules.blocked_values.contains(&value.to_lowercase()) {
        return Some("a value blocked by configuration");
    }
    let mut signs = value.bytes().filter(|byte| *byte != b'-');
    let first = signs.next()?;
    let long_enough = first == b'0' || value.len() >= SHORTEST_RUN;
    (first.is_ascii_digit() && long_enough && signs.all(|byte| byte == first)).then_some("one digit repeated")
}

fn email(value: &str, rules: &Rules) -> Result<String, &'static str> {
    const NOT_AN_ADDRESS: &str = "not an e-mail address";

    let lower = value.strip_prefix("mailto:").unwrap_or(value).to_lowercase();
    let (local, domain) = lower.rsplit_once('@').ok_or(NOT_AN_ADDRESS)?;
    let domain = domain.trim_end_matches('.');
    let plausible = !local.is_empty() && domain.contains('.') && !lower.contains(char::is_whitespace);
    if !plausible {
        return Err(NOT_AN_ADDRESS);
    }
    if NOBODYS_EMAILS.contains(&lower.as_str()) {
        return Err("a made-up e-mail address");
    }
    if rules.blocked_email_domains.iter().any(|blocked| blocked == domain) {
        return Err("an e-mail domain blocked by configuration");
    }
    if !GMAIL.contains(&domain) {
        return Ok(format!("{local}@{domain}"));
    }
    let account: String =
        local.split('+').next().unwrap_or_default().chars().filter(|character| *character != '.').collect();
    if account.is_empty() { Err(NOT_AN_ADDRESS) } else { Ok(format!("{account}@gmail.com")) }
}

fn ident(kind: &str, normalised: String, original: &str) -> Ident {
    let differs = normalised != original;
    Ident {
        key: key(kind, &normalised),
        kind: kind.into(),
        value: normalised.into(),
        original: differs.then(|| original.trim().into()),
    }
}

/// Returns the key of an identifier by its kind and normalised value.
pub(crate) fn key(kind: &str, normalised: &str) -> Key {
    let mut hasher = Sha256::new();
    hasher.update(kind.as_bytes());
    hasher.update([0]);
    hasher.update(normalised.as_bytes());
    let digest = hasher.finalize();
    let mut head = [0; 16];
    head.copy_from_slice(&digest[..16]);
    Key::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn useful(kind: &str, value: &str) -> Option<String> {
        match read(kind, value, &Rules::default()) {
            Reading::Useful(ident) => Some(ident.value.into()),
            _ => None,
        }
    }

    #[test]
    fn gmail_addresses_are_matched_without_dots_and_tags_and_others_as_they_are() {
        assert_eq!(useful("email", " Jean.Dupont+shop@GoogleMail.com ").unwrap(), "jeandupont@gmail.com");
        assert_eq!(useful("email", "Jean.Dupont+shop@Orange.fr").unwrap(), "jean.dupont+shop@orange.fr");
        assert_eq!(useful("email", "mailto:a.b@shop.example").unwrap(), "a.b@shop.example");
    }

    #[test]
    fn the_original_is_kept_to_write_to() {
        let Reading::Useful(ident) = read("email", "Jean.Dupont@gmail.com", &Rules::default()) else {
            panic!("refused")
        };

        assert_eq!(ident.original.as_deref(), Some("Jean.Dupont@gmail.com"));
    }

    #[test]
    fn values_of_nobody_identify_nobody() {
        for value in [
            "undefined",
            "NULL",
            "NaN",
            "[object Object]",
            "-1",
            "0",
            " ",
            "000000",
            "00000000-0000-0000-0000-000000000000",
            "9999999",
        ] {
            assert_eq!(useful("user_id", value), None, "{value}");
        }
        for value in ["test@test.com", "no-at-sign", "@shop.fr", "a b@c.fr", "x@localhost"] {
            assert_eq!(useful("email", value), None, "{value}");
        }
        assert_eq!(useful("phone", "0600000000"), None);
        assert!(useful("user_id", "12346").is_some());
        assert!(useful("user_id", "1111").is_some());
    }

    #[test]
    fn groups_are_no_persons() {
        assert_eq!(read("group_id", "acme", &Rules::default()), Reading::Aside);
    }

    #[test]
    fn what_the_merchant_blocks_is_blocked() {
        let rules = Rules {
            blocked_values: vec!["caisse".to_owned()],
            blocked_email_domains: vec!["example.com".to_owned()],
            ..Rules::default()
        };

        assert!(matches!(read("user_id", "Caisse", &rules), Reading::Worthless(..)));
        assert!(matches!(read("email", "ann@example.com", &rules), Reading::Worthless(..)));
    }

    proptest! {
        #[test]
        fn reading_is_total_and_idempotent(kind in "email|phone|user_id|anonymous_id|other", value in "\\PC{0,40}") {
            if let Some(once) = useful(&kind, &value) {
                prop_assert_eq!(useful(&kind, &once), Some(once));
            }
        }

        #[test]
        fn addresses_survive_case_and_spaces(local in "[a-z0-9.+]{1,12}", domain in "(gmail\\.com|orange\\.fr|shop\\.example)") {
            let plain = format!("{local}@{domain}");
            let shouted = format!("  {} ", plain.to_uppercase());
            prop_assert_eq!(useful("email", &plain), useful("email", &shouted));
        }
    }
}
