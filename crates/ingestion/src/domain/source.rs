//! What a source says about the events that come through it.

use std::sync::Arc;

use kit::{Currency, Origins, TenantId};
use proto::event::v1::{Medium, Party};

use super::consent::Policy;
use super::edge::Enricher;
use super::plan::Plan;
use super::quota::Quota;

/// What every event of a source takes from it, unless the event says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct SourceProfile {
    pub(crate) tenant: TenantId,
    pub(crate) source_id: String,
    pub(crate) name: String,
    pub(crate) party: Party,
    pub(crate) medium: Medium,
    pub(crate) default_currency: Option<Currency>,
    /// What happens to every event at the door.
    pub(crate) edge: Edge,
    /// What it is held to.
    pub(crate) controls: Controls,
}

/// What reads consents and circumstances into the events of a source. The default takes everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edge {
    pub(crate) policy: Arc<Policy>,
    pub(crate) enricher: Arc<Enricher>,
}

/// What a source is held to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Controls {
    /// What it is expected to send; `None` when nobody looks.
    pub(crate) plan: Option<Arc<Plan>>,
    pub(crate) quota: Quota,
    /// The sites whose pages may send to it.
    pub(crate) origins: Origins,
}
