//! Reading the parts that requests have in common.

use kit::Violations;
use proto::r#type::v1::Identifier;
use uuid::Uuid;

use crate::domain::{
    identifier::{Ident, Reading, read},
    rules::Rules,
};

const LONGEST_KIND: usize = 64;
const LONGEST_VALUE: usize = 512;
const LONGEST_REASON: usize = 1_024;

/// Reads an identifier to look up, whatever it is worth.
pub(super) fn identifier(
    identifier: Option<&Identifier>,
    field: &str,
    rules: &Rules,
    violations: &mut Violations,
) -> Option<Ident> {
    let Some(identifier) = identifier else {
        violations.add(field, "must be given");
        return None;
    };
    let Identifier { kind, value } = identifier;
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let kind_fits = (1..=LONGEST_KIND).contains(&kind.len()) && kind.bytes().all(allowed);
    let value_fits = (1..=LONGEST_VALUE).contains(&value.chars().count());
    violations.check(kind_fits, format!("{field}.kind"), "must be 1 to 64 characters out of a-z, 0-9 and _");
    violations.check(value_fits, format!("{field}.value"), "must be 1 to 512 characters");
    if !kind_fits || !value_fits {
        return None;
    }
    match read(kind, value, rules) {
        Reading::Useful(ident) | Reading::Worthless(ident, _) => Some(ident),
        Reading::Aside => {
            violations.add(format!("{field}.kind"), "must be a kind that speaks of one person");
            None
        }
    }
}

/// Reads a profile id.
pub(super) fn profile_id(text: &str, field: &str, violations: &mut Violations) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok();
    violations.check(id.is_some(), field, "must be a UUID");
    id
}

/// Checks the reason of a decision.
pub(super) fn reason(text: &str, violations: &mut Violations) {
    violations.check(text.chars().count() <= LONGEST_REASON, "reason", "must be at most 1024 characters");
}
