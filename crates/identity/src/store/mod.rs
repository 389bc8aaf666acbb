//! The only SQL of this crate. Every statement names the tenant.

mod changes;
pub(crate) mod codec;
mod components;
mod decisions;
mod profiles;
pub(crate) mod rows;
mod tenants;
#[cfg(test)]
mod tests;
mod timelines;

pub(crate) use self::{
    changes::{ChangeRow, insert_changes, list_changes},
    components::{find_homes, load_components, save},
    decisions::{Decision, block, load_decisions, separate},
    profiles::{find_profile, forward, list_profiles},
    tenants::{Totals, finish, lock, summary},
    timelines::{chunk_spans, delete_chunks, insert_chunks, load_chunks},
};

use crate::domain::identifier::Key;

fn key_bytes(key: Key) -> Vec<u8> {
    key.to_be_bytes().to_vec()
}

fn key_from(bytes: &[u8]) -> Result<Key, codec::Damaged> {
    bytes.try_into().map(Key::from_be_bytes).map_err(|_| codec::Damaged)
}
