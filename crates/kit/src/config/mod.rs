//! Configuration: defaults in Rust, then one optional TOML file, then `COMPTOIR__SECTION__KEY` from the environment.
//!
//! Unknown keys are refused by name, so that a misspelt setting cannot silently keep its default.

mod load;
mod secret;
mod sections;

pub use self::{
    load::{ConfigError, load, print},
    secret::Secret,
    sections::{AuthConfig, ClockConfig, GatewayClientConfig, LogFormat, ServerConfig, StoreConfig, TelemetryConfig},
};
