//! Rules and cuts of each tenant, compiled and kept until their version changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::store::{Db, Error, Tx};
use kit::TenantId;

use crate::domain::judge::{Bench, JudgingCuts, RuleSet, Segment};
use crate::domain::rule::Rule;
use crate::store::segments::StoredSegment;
use crate::store::{BEFORE_ALL, segments, shards};

/// Most segments of a tenant.
pub(crate) const MAX_SEGMENTS: u32 = 1_000;

/// By what the people of one tenant are judged.
#[derive(Debug, Clone, Default)]
pub(crate) struct TenantBench {
    /// The rules.
    pub(crate) rules: Arc<RuleSet>,
    /// The cuts.
    pub(crate) cuts: Arc<JudgingCuts>,
}

impl TenantBench {
    /// Returns it for judging.
    pub(crate) fn bench(&self) -> Bench<'_> {
        Bench { rules: &self.rules, cuts: &self.cuts }
    }

    /// Whether some rule reads what a refresh of the cuts may change.
    pub(crate) fn reads_cuts(&self) -> bool {
        self.rules.segments.iter().any(|segment| segment.reads_cuts())
    }
}

/// What is known of every tenant.
#[derive(Default)]
pub(crate) struct Benches(Mutex<HashMap<TenantId, TenantBench>>);

impl Benches {
    /// Returns the bench as the transaction sees it.
    pub(crate) async fn within(&self, tx: &mut Tx, tenant: &TenantId) -> Result<TenantBench, Error> {
        let versions = shards::versions(tx, tenant).await?;
        let mut bench = self.known(tenant);
        if bench.rules.version != versions.0 {
            let stored = segments::list_in(tx, tenant, BEFORE_ALL, MAX_SEGMENTS).await?;
            bench.rules = Arc::new(compile(versions.0, stored, &bench.rules));
        }
        if bench.cuts.version != versions.1 {
            bench.cuts = Arc::new(shards::cuts_in(tx, tenant).await?);
        }
        self.keep(tenant, &bench);
        Ok(bench)
    }

    /// Returns the bench as committed.
    pub(crate) async fn committed(&self, db: &Db, tenant: &TenantId) -> Result<TenantBench, Error> {
        let versions = shards::committed_versions(db, tenant).await?;
        let mut bench = self.known(tenant);
        if bench.rules.version != versions.0 {
            let stored = segments::list(db, tenant, BEFORE_ALL, MAX_SEGMENTS).await?;
            bench.rules = Arc::new(compile(versions.0, stored, &bench.rules));
        }
        if bench.cuts.version != versions.1 {
            bench.cuts = Arc::new(shards::cuts(db, tenant).await?);
        }
        self.keep(tenant, &bench);
        Ok(bench)
    }

    fn known(&self, tenant: &TenantId) -> TenantBench {
        self.lock().get(tenant).cloned().unwrap_or_default()
    }

    /// Content is read after its version, so it is of that version or a later one: then the next look reads it again.
    fn keep(&self, tenant: &TenantId, bench: &TenantBench) {
        let mut known = self.lock();
        let known = known.entry(tenant.clone()).or_default();
        if known.rules.version < bench.rules.version {
            known.rules = Arc::clone(&bench.rules);
        }
        if known.cuts.version < bench.cuts.version {
            known.cuts = Arc::clone(&bench.cuts);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, TenantBench>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compiles what is new; an expression that an earlier release took and this one does not is left out.
fn compile(version: i64, stored: Vec<StoredSegment>, known: &RuleSet) -> RuleSet {
    let mut compiled = Vec::with_capacity(stored.len());
    for segment in stored {
        let unchanged = known.segments.iter().find(|known| {
            known.segment_id == segment.segment_id
                && known.version == segment.version
                && known.created_version == segment.created_version
        });
        if let Some(unchanged) = unchanged {
            compiled.push(Arc::clone(unchanged));
            continue;
        }
        match Rule::compile(&segment.expression) {
            Ok(rule) => compiled.push(Arc::new(Segment {
                segment_id: segment.segment_id,
                created_version: segment.created_version,
                version: segment.version,
                rule,
            })),
            Err(error) => {
                tracing::error!(segment.id = %segment.segment_id, "left out a segment whose rule {error}");
            }
        }
    }
    RuleSet { version, segments: compiled }
}
