//! What decides about evidence beside the evidence itself.

use std::{collections::HashMap, sync::Arc};

use super::{
    canon::Separations,
    identifier::{Key, Reading, read},
    rules::Rules,
};

/// The rules of the configuration and the decisions that people made for a tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    pub(crate) rules: Arc<Rules>,
    pub(crate) separations: Separations,
    /// Identifiers that somebody blocked (true), or freed although they look worthless (false).
    pub(crate) overrides: HashMap<Key, bool>,
}

impl Policy {
    /// Tells whether somebody blocked this identifier.
    pub(crate) fn is_blocked(&self, key: Key) -> bool {
        self.overrides.get(&key).copied().unwrap_or(false)
    }

    /// Reads an identifier under the rules and what was decided about it.
    pub(crate) fn read(&self, kind: &str, value: &str) -> Reading {
        match read(kind, value, &self.rules) {
            Reading::Worthless(ident, _) if self.overrides.get(&ident.key) == Some(&false) => Reading::Useful(ident),
            reading => reading,
        }
    }
}
