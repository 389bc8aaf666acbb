//! What a source says about the events that come through it.

use kit::TenantId;
use proto::event::v1::{Medium, Party};

use kit::Currency;

/// What every event of a source takes from it, unless the event says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct SourceProfile {
    pub(crate) tenant: TenantId,
    pub(crate) source_id: String,
    pub(crate) party: Party,
    pub(crate) medium: Medium,
    pub(crate) default_currency: Option<Currency>,
}
