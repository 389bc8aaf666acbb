//! What a source says about the events that come through it.

use std::sync::Arc;

use kit::TenantId;
use proto::event::v1::{Medium, Party};

use kit::Currency;

use super::plan::Plan;
use super::quota::Quota;

/// What every event of a source takes from it, unless the event says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct SourceProfile {
    pub(crate) tenant: TenantId,
    pub(crate) source_id: String,
    pub(crate) party: Party,
    pub(crate) medium: Medium,
    pub(crate) default_currency: Option<Currency>,
    pub(crate) controls: Controls,
}

/// What a source is held to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Controls {
    /// What it is expected to send; `None` when nobody looks.
    pub(crate) plan: Option<Arc<Plan>>,
    pub(crate) quota: Quota,
}
