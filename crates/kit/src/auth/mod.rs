//! Who calls, and what they may do: short-lived signed tokens and the check every handler starts with.
//!
//! The gateway turns API keys into tokens; services present tokens of their own. A token names its tenant, so the tenant of a call
//! always comes from the credential; only a service credential, which belongs to no tenant, names it in metadata.

mod authority;
mod caller;

pub use authority::{AuthContext, Authority};
pub use caller::{Caller, caller, service_caller};

/// Metadata key in which a service names the tenant it acts for. Ignored from anyone else, unless it contradicts the credential.
pub const TENANT_METADATA: &str = "comptoir-tenant";

/// What a credential may do.
pub mod scope {
    /// Append events to the log.
    pub const EVENTS_WRITE: &str = "events:write";
    /// Read profiles and their timelines.
    pub const PROFILES_READ: &str = "profiles:read";
    /// Change, merge, split and erase profiles.
    pub const PROFILES_WRITE: &str = "profiles:write";
    /// Read scores, segments and models.
    pub const SCORES_READ: &str = "scores:read";
    /// Define segments and score settings.
    pub const SCORES_WRITE: &str = "scores:write";
    /// Change the catalogue.
    pub const CATALOGUE_WRITE: &str = "catalogue:write";
    /// Ask for recommendations.
    pub const RECOMMEND_READ: &str = "recommend:read";
    /// Read campaigns, journeys and messages.
    pub const CAMPAIGNS_READ: &str = "campaigns:read";
    /// Change campaigns, journeys and templates.
    pub const CAMPAIGNS_WRITE: &str = "campaigns:write";
    /// Change sources and their tracking plans.
    pub const SOURCES_WRITE: &str = "sources:write";
    /// Follow the logs.
    pub const LOGS_READ: &str = "logs:read";
    /// Everything inside the tenant; stands for every other scope.
    pub const ADMIN: &str = "admin";

    /// Every scope there is.
    pub const ALL: &[&str] = &[
        EVENTS_WRITE,
        PROFILES_READ,
        PROFILES_WRITE,
        SCORES_READ,
        SCORES_WRITE,
        CATALOGUE_WRITE,
        RECOMMEND_READ,
        CAMPAIGNS_READ,
        CAMPAIGNS_WRITE,
        SOURCES_WRITE,
        LOGS_READ,
        ADMIN,
    ];
}
