//! Recommendation as others see it: records go into the profile log, calls go through its routes. On both engines.

mod catalogue;
mod follow;
mod harness;
mod recommend;
mod speed;
