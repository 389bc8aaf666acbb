//! The identity service from its door: events go into a real event log, people come out of the RPCs and the profile log.

mod api;
mod decisions;
mod mirror;
mod people;
mod shop;
mod survival;
mod throughput;
