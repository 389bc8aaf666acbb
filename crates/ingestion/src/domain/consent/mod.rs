//! Consent at the door: what banners say is read into our purposes, and the policy decides what comes in.
//!
//! `bits`, `tcf`, `gpp`, `us` and `google` decode; `tables` says which of our purposes is meant; `signals` puts both
//! together; `policy` is what a tenant asks; `gate` decides as far as an event alone allows. To understand another
//! language of banners: a field of `ConsentSignals`, a decoder, its lines in `tables` and in `signals`.

mod bits;
mod check;
mod country;
mod gate;
mod google;
mod gpp;
#[cfg(test)]
mod laws;
mod memory;
mod policy;
mod policy_check;
mod refused;
mod signals;
mod tables;
mod tcf;
mod us;

pub(crate) use bits::MAX_CHARS as MAX_STRING_CHARS;
pub(crate) use check::check_signals;
pub(crate) use country::Country;
pub(crate) use gate::{Gate, Outcome, Said, Stated, Subject, decide, decide_again, stamp, state};
pub(crate) use policy::{Policy, Unanswered};
pub(crate) use policy_check::check as check_policy;
pub(crate) use refused::Unread;
pub(crate) use signals::{Statement, read};
