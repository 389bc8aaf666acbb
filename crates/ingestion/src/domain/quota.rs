//! How much a source may send.

use proto::ingestion::v1::SourceQuota;

/// Events and bytes a second; 0 for no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) events_per_second: u32,
    pub(crate) bytes_per_second: u64,
}

impl Quota {
    /// Largest number of events a second that can be set.
    pub(crate) const MAX_EVENTS: u32 = 10_000_000;
    /// Largest number of bytes a second that can be set.
    pub(crate) const MAX_BYTES: u64 = 1 << 40;

    pub(crate) fn is_unbounded(self) -> bool {
        self.events_per_second == 0 && self.bytes_per_second == 0
    }

    /// Returns what the API shows; `None` when nothing is bounded.
    pub(crate) fn to_wire(self) -> Option<SourceQuota> {
        let Self { events_per_second, bytes_per_second } = self;
        (!self.is_unbounded()).then_some(SourceQuota { events_per_second, bytes_per_second })
    }
}
