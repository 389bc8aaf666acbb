//! The only SQL of this service. One text serves both engines.

/// Begins a statement over some rows of a tenant: a list of 16-byte keys, which the caller closes.
macro_rules! in_list {
    ($sql:expr, $tenant:expr, $column:literal, $keys:expr) => {{
        let mut query = sqlx::QueryBuilder::new($sql);
        query.push_bind($tenant.as_str()).push(concat!(" AND ", $column, " IN ("));
        let mut list = query.separated(", ");
        for key in $keys {
            list.push_bind(key.as_slice());
        }
        query
    }};
}

pub(crate) mod consent_answers;
pub(crate) mod consent_counts;
pub(crate) mod consent_policies;
pub(crate) mod controls;
pub(crate) mod counts;
pub(crate) mod dead_letters;
pub(crate) mod letter_care;
pub(crate) mod pending;
pub(crate) mod plans;
pub(crate) mod seen;
pub(crate) mod signals;
pub(crate) mod sources;
#[cfg(test)]
mod tests;
pub(crate) mod violations;
pub(crate) mod write_keys;
pub(crate) mod write_probes;

use store::Error;

/// Whether no row can have this key: PostgreSQL keeps no NUL, and refuses a statement that asks for one.
fn is_nowhere(key: &str) -> bool {
    key.contains('\0')
}

/// Returns a column of 16 bytes.
fn fixed(bytes: Vec<u8>) -> Result<[u8; 16], Error> {
    bytes.try_into().map_err(|_| Error::Damaged("a hash has 16 bytes".into()))
}
