//! Campaign through its logs, its routes and a real socket to a mail server, on both engines.

mod decisions;
mod harness;
mod identity;
mod links;
mod neighbours;
mod rpc;
mod sending;
mod shop;
mod speed;
mod store;
mod twins;
mod uncertain;
