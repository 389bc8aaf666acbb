//! The contracts of Comptoir as Rust types: messages, clients and servers, generated from `proto/` and committed, so
//! that building needs no protobuf compiler. Nothing here is written by hand.
//!
//! To change a contract, edit the `.proto` file, run
//! `UPDATE_GENERATED=1 cargo test -p comptoir-proto --test generated`, and commit both.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

/// Every contract with the well-known types they import, serialised as a `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptors.bin");

/// Types of Google's common protos that the contracts use.
pub mod google {
    /// `google.type`.
    pub mod r#type {
        include!("gen/google.r#type.rs");
    }
}

macro_rules! contract {
    ($($area:ident => $file:literal),+ $(,)?) => {
        $(
            pub mod $area {
                pub mod v1 {
                    include!(concat!("gen/comptoir.", $file, ".v1.rs"));
                }
            }
        )+
    };
}

/// The contracts, by package; generated code refers to its neighbours by these paths.
pub mod comptoir {
    contract! {
        r#type => "r#type",
        event => "event",
        log => "log",
        ingestion => "ingestion",
        identity => "identity",
        scoring => "scoring",
        recommendation => "recommendation",
        campaign => "campaign",
        gateway => "gateway",
    }
}

pub use comptoir::{campaign, event, gateway, identity, ingestion, log, recommendation, scoring, r#type};
