//! The only SQL of this service. One text serves both engines.

pub(crate) mod controls;
pub(crate) mod counts;
pub(crate) mod dead_letters;
pub(crate) mod letter_care;
pub(crate) mod plans;
pub(crate) mod seen;
pub(crate) mod signals;
pub(crate) mod sources;
#[cfg(test)]
mod tests;
pub(crate) mod violations;
pub(crate) mod write_keys;

/// Whether no row can have this key: PostgreSQL keeps no NUL, and refuses a statement that asks for one.
fn is_nowhere(key: &str) -> bool {
    key.contains('\0')
}
