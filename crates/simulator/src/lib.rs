//! A believable shop with known truth, for the demo, the tests and the benchmarks.
//!
//! [`World`] draws people with devices, accounts and loyalty cards, a catalogue whose products go together, purchases by
//! BG/NBD and Gamma-Gamma, visits with and without an order, and everything that goes wrong on the way to a collector:
//! late, shuffled and doubled events, worthless and untidy identifiers, shared tablets, numbers sent as strings. It
//! hands them out as Segment bodies, and tells as [`Truth`] what a perfect system would find in them. [`bench_events`] is
//! a cheaper stream for load.
//!
//! The crate is pure: no input or output, no clock, no other randomness than the seed. One configuration gives one world,
//! byte for byte, with one version of this crate and its dependencies; what one person does depends on nobody but their
//! family.
//!
//! To add something people do: 1. an `Intent` in `plan.rs` and when it happens; 2. how it is played in `life.rs` (orders: `checkout.rs`), with an
//! `Act` of its own if it sends a new event, written in `render.rs`; 3. what a perfect system learns from it in
//! `truth.rs`, and the independent recount in `tests/truth.rs`.

mod basket;
mod bench;
mod catalogue;
mod checkout;
mod config;
mod dice;
mod life;
mod names;
mod person;
mod plan;
mod post;
mod purchases;
mod react;
mod render;
mod signal;
mod truth;
mod world;

pub use basket::{Basket, Line};
pub use bench::{bench_bodies, bench_events};
pub use catalogue::Product;
pub use config::{Habits, Market, Noise, PurchaseModel, WorldConfig};
pub use person::{Consent, Device, Person, Relation, Responsiveness};
pub use react::Reaction;
pub use signal::{Order, SourceKind};
pub use truth::{Group, Identifier, IdentifierKind, Truth};
pub use world::{Day, Delivery, World};
