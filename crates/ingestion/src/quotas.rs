//! Holding sources to their quotas, over all replicas.

use std::time::{Duration, Instant};

use kit::TenantId;
use store::Cache;

use crate::domain::source::SourceProfile;
use crate::ttl_cache::TtlCache;

/// How much of a source's time may be spent at once.
const BURST: Duration = Duration::from_secs(2);
/// Longest wait that a sender is told.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Spends the time of sources: a request that brings what the quota gives in one second costs a second. So one bucket
/// bounds events and bytes alike.
///
/// The replicas share the buckets in the cache. While it does not answer, each replica holds the sources to their whole
/// quota by itself: turning them away would do more harm.
pub(crate) struct Quotas {
    shared: Cache,
    own: Cache,
    /// Sources that must wait, as far as it was seen here: they are refused without any work.
    waiting: TtlCache<(TenantId, String), Instant>,
}

impl Quotas {
    pub(crate) fn new(shared: Cache) -> Self {
        Self { shared, own: Cache::memory(), waiting: TtlCache::new() }
    }

    /// Returns how long a source has to wait still, as far as that is known without asking.
    pub(crate) fn known_wait(&self, source: &SourceProfile) -> Option<Duration> {
        if source.controls.quota.is_unbounded() {
            return None;
        }
        let until = self.waiting.get(&(source.tenant.clone(), source.source_id.clone()))?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// Takes events of so many bytes off a source's quota, or returns how long it has to wait before it may send them.
    pub(crate) async fn draw(&self, source: &SourceProfile, events: usize, bytes: usize) -> Result<(), Duration> {
        let quota = source.controls.quota;
        if quota.is_unbounded() {
            return Ok(());
        }
        let of_events = share(events as f64, f64::from(quota.events_per_second));
        let of_bytes = share(bytes as f64, quota.bytes_per_second as f64);
        let cost = Duration::from_secs_f64(of_events.max(of_bytes).min(3_600.0));
        let key = format!("quota:{}:{}", source.tenant, source.source_id);
        let wait = match self.shared.draw(&key, cost, BURST).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(error.cause = %kit::status::chain(&error), "quotas hold for each replica alone: the cache does not answer");
                self.own.draw(&key, cost, BURST).await.unwrap_or_default()
            }
        };
        if wait.is_zero() {
            return Ok(());
        }
        let wait = wait.min(LONGEST_WAIT);
        self.waiting.insert((source.tenant.clone(), source.source_id.clone()), Instant::now() + wait, wait);
        Err(wait)
    }

    /// Forgets what is known here of a source's wait: its quota was changed.
    pub(crate) fn forget(&self, tenant: &TenantId, source_id: &str) {
        self.waiting.remove(&(tenant.clone(), source_id.to_owned()));
    }
}

/// Returns the part of a second's quota; nothing where there is no bound.
fn share(amount: f64, per_second: f64) -> f64 {
    if per_second > 0.0 { amount / per_second } else { 0.0 }
}

/// The refusal of a gRPC caller.
pub(crate) fn exceeded(wait: Duration) -> kit::Error {
    kit::Error::resource_exhausted(QUOTA_EXCEEDED, "the source sends more than its quota").retry_after(wait)
}

pub(crate) const QUOTA_EXCEEDED: &str = "QUOTA_EXCEEDED";
