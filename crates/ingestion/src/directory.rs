//! Which source a write key or a source id stands for, and what it is held to.

use std::sync::Arc;
use std::time::Duration;

use kit::TenantId;
use prost::Message;
use proto::event::v1::{Medium, Party};
use proto::ingestion::v1::ConsentPolicy;
use store::{Db, Error};
use subtle::ConstantTimeEq;

use crate::domain::consent::Policy;
use crate::domain::edge::Enricher;
use crate::domain::plan::Plan;
use crate::domain::source::{Controls, Edge, SourceProfile};
use crate::domain::write_key::{self, KeyHash};
use crate::plans::compile_stored;
use crate::store::consent_policies::{self, PolicyRow};
use crate::store::sources::{self, SourceRow};
use crate::store::{controls, plans, write_keys};
use crate::ttl_cache::TtlCache;
use kit::Currency;
use kit::time::timestamp;

/// A key that is unknown may be made known by another replica: that is looked at again soon.
const UNKNOWN_TTL: Duration = Duration::from_millis(500);
/// How long a compiled plan is kept; a changed one is compiled at once.
const PLAN_TTL: Duration = Duration::from_secs(3_600);

type SourceKey = (TenantId, String);

/// The sources, looked up in the store at most every few seconds.
pub(crate) struct Directory {
    db: Db,
    ttl: Duration,
    enricher: Arc<Enricher>,
    by_key: TtlCache<KeyHash, Option<Arc<SourceProfile>>>,
    by_id: TtlCache<SourceKey, Arc<SourceProfile>>,
    plans: TtlCache<SourceKey, Compiled>,
}

/// A plan with the version and the time that tell it from others of its source.
#[derive(Clone)]
struct Compiled {
    version: i64,
    update_us: i64,
    plan: Option<Arc<Plan>>,
}

impl Directory {
    pub(crate) fn new(db: Db, ttl: Duration, enricher: Arc<Enricher>) -> Self {
        Self { db, ttl, enricher, by_key: TtlCache::new(), by_id: TtlCache::new(), plans: TtlCache::new() }
    }

    /// Returns the source that a write key opens.
    pub(crate) async fn find_by_key(&self, key: &str) -> Result<Option<Arc<SourceProfile>>, Error> {
        let hash = write_key::hash(key);
        if let Some(known) = self.by_key.get(&hash) {
            return Ok(known);
        }
        let Some(opened) = write_keys::find_source(&self.db, &hash).await? else {
            self.by_key.insert(hash, None, UNKNOWN_TTL.min(self.ttl));
            return Ok(None);
        };
        // The index compared hashes at its own pace; this comparison takes the same time for every key.
        if !bool::from(opened.key_hash.as_slice().ct_eq(&hash)) {
            return Ok(None);
        }
        let tenant = TenantId::try_from(opened.tenant_id).map_err(|_| Error::Damaged("a tenant id".into()))?;
        let profile = Arc::new(self.profile(tenant, opened.source).await?);
        self.by_key.insert(hash, Some(Arc::clone(&profile)), self.ttl);
        Ok(Some(profile))
    }

    /// Returns a source of a tenant.
    pub(crate) async fn find(&self, tenant: &TenantId, source_id: &str) -> Result<Option<Arc<SourceProfile>>, Error> {
        let key = (tenant.clone(), source_id.to_owned());
        if let Some(known) = self.by_id.get(&key) {
            return Ok(Some(known));
        }
        let Some(row) = sources::find(&self.db, tenant, source_id).await? else { return Ok(None) };
        let profile = Arc::new(self.profile(tenant.clone(), row).await?);
        self.by_id.insert(key, Arc::clone(&profile), self.ttl);
        Ok(Some(profile))
    }

    /// Forgets what is known of a key: it was made or ended just now.
    pub(crate) fn forget_key(&self, hash: &KeyHash) {
        self.by_key.remove(hash);
    }

    /// Forgets all sources: a policy was changed just now.
    pub(crate) fn forget_all(&self) {
        self.by_key.clear();
        self.by_id.clear();
    }

    /// Forgets what a source is held to: it was changed just now.
    pub(crate) fn forget_controls(&self, tenant: &TenantId, source_id: &str) {
        let key = (tenant.clone(), source_id.to_owned());
        self.plans.remove(&key);
        self.by_id.remove(&key);
        // Which of the keys are the source's is not known here.
        self.by_key.clear();
    }

    async fn profile(&self, tenant: TenantId, row: SourceRow) -> Result<SourceProfile, Error> {
        let controls = self.controls(&tenant, &row.source_id).await?;
        let policy = consent_policies::find(&self.db, &tenant, &row.source_id).await?;
        let policy = policy.as_ref().map(policy_of).transpose()?;
        Ok(SourceProfile {
            tenant,
            source_id: row.source_id,
            name: row.name,
            party: enumeration(row.party, Party::First),
            medium: enumeration(row.medium, Medium::Online),
            default_currency: Currency::parse(&row.default_currency),
            controls,
            edge: Edge {
                policy: Arc::new(policy.as_ref().map(Policy::new).unwrap_or_default()),
                enricher: Arc::clone(&self.enricher),
            },
        })
    }

    async fn controls(&self, tenant: &TenantId, source_id: &str) -> Result<Controls, Error> {
        let held = controls::find(&self.db, tenant, source_id).await?;
        let plan = match held.plan {
            Some((version, update_us)) => self.plan(tenant, source_id, version, update_us).await?,
            None => None,
        };
        Ok(Controls { plan, quota: held.quota, origins: held.origins })
    }

    /// Returns a plan, compiled; `None` when it looks at nothing.
    async fn plan(
        &self,
        tenant: &TenantId,
        source_id: &str,
        version: i64,
        update_us: i64,
    ) -> Result<Option<Arc<Plan>>, Error> {
        let key = (tenant.clone(), source_id.to_owned());
        let is_current = |known: &Compiled| known.version == version && known.update_us == update_us;
        if let Some(known) = self.plans.get(&key).filter(is_current) {
            return Ok(known.plan);
        }
        let Some(row) = plans::find(&self.db, tenant, source_id).await? else { return Ok(None) };
        let (version, update_us) = (row.version, row.update_us);
        let plan = compile_stored(row)?.filter(Plan::is_on).map(Arc::new);
        self.plans.insert(key, Compiled { version, update_us, plan: plan.clone() }, PLAN_TTL);
        Ok(plan)
    }
}

/// Reads a policy as it is stored.
pub(crate) fn policy_of(row: &PolicyRow) -> Result<ConsentPolicy, Error> {
    let damaged = |_| Error::Damaged("a consent policy cannot be read".into());
    let policy = ConsentPolicy::decode(row.policy.as_slice()).map_err(damaged)?;
    Ok(ConsentPolicy {
        source_id: row.source_id.clone(),
        version: row.version,
        update_time: Some(timestamp(row.update_us)),
        ..policy
    })
}

/// Returns the value of a number; `default` for one that is not said, or that a newer version stored.
fn enumeration<E: TryFrom<i32> + Default + PartialEq>(number: i64, default: E) -> E {
    let value = i32::try_from(number).ok().and_then(|number| E::try_from(number).ok()).unwrap_or_default();
    if value == E::default() { default } else { value }
}
