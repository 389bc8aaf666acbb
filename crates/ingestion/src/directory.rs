//! Which source a write key or a source id stands for.

use std::sync::Arc;
use std::time::Duration;

use kit::TenantId;
use proto::event::v1::{Medium, Party};
use store::{Db, Error};
use subtle::ConstantTimeEq;

use crate::domain::source::SourceProfile;
use crate::domain::write_key::{self, KeyHash};
use crate::store::sources::{self, SourceRow};
use crate::store::write_keys;
use crate::ttl_cache::TtlCache;
use kit::Currency;

/// A key that is unknown may be made known by another replica: that is looked at again soon.
const UNKNOWN_TTL: Duration = Duration::from_millis(500);

/// The sources, looked up in the store at most every few seconds.
pub(crate) struct Directory {
    db: Db,
    ttl: Duration,
    by_key: TtlCache<KeyHash, Option<Arc<SourceProfile>>>,
    by_id: TtlCache<(TenantId, String), Arc<SourceProfile>>,
}

impl Directory {
    pub(crate) fn new(db: Db, ttl: Duration) -> Self {
        Self { db, ttl, by_key: TtlCache::new(), by_id: TtlCache::new() }
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
        let profile = Arc::new(profile(tenant, opened.source));
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
        let profile = Arc::new(profile(tenant.clone(), row));
        self.by_id.insert(key, Arc::clone(&profile), self.ttl);
        Ok(Some(profile))
    }

    /// Forgets what is known of a key: it was made or ended just now.
    pub(crate) fn forget_key(&self, hash: &KeyHash) {
        self.by_key.remove(hash);
    }
}

fn profile(tenant: TenantId, row: SourceRow) -> SourceProfile {
    SourceProfile {
        tenant,
        source_id: row.source_id,
        party: enumeration(row.party, Party::First),
        medium: enumeration(row.medium, Medium::Online),
        default_currency: Currency::parse(&row.default_currency),
    }
}

/// Returns the value of a number; `default` for one that is not said, or that a newer version stored.
fn enumeration<E: TryFrom<i32> + Default + PartialEq>(number: i64, default: E) -> E {
    let value = i32::try_from(number).ok().and_then(|number| E::try_from(number).ok()).unwrap_or_default();
    if value == E::default() { default } else { value }
}
