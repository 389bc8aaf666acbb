//! RFM cuts as of now, for reads.
//!
//! As long as nobody buys, cuts are exact at any time: they are kept with the count of changes they take in. While
//! orders pour in, a scan for each read would cost more than it tells: cuts are then used for twenty times as long as
//! their scan took, so that reads never take more than a twentieth of a core for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::store::{Db, Error};
use kit::TenantId;

use crate::domain::rfm::{Buyer, Cuts};
use crate::store::{buyers, shards};

/// Cuts of all tenants that were asked for.
#[derive(Default)]
pub(crate) struct Ranks(Mutex<HashMap<TenantId, Slot>>);

/// One reader scans while the others wait for it.
type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

struct Kept {
    cuts: Arc<Cuts>,
    order_changes: i64,
    computed: Instant,
    took: Duration,
}

impl Ranks {
    /// Returns the cuts of a tenant.
    pub(crate) async fn cuts(&self, db: &Db, tenant: &TenantId) -> Result<Arc<Cuts>, Error> {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(tenant.clone()).or_default())
        };
        let mut kept = slot.lock().await;
        let order_changes = shards::order_changes(db, tenant).await?;
        if let Some(kept) = kept.as_ref() {
            let is_current = kept.order_changes == order_changes;
            if is_current || kept.computed.elapsed() < kept.took * 20 {
                return Ok(Arc::clone(&kept.cuts));
            }
        }
        let started = Instant::now();
        let cuts = Arc::new(compute(db, tenant).await?);
        let took = started.elapsed();
        *kept = Some(Kept { cuts: Arc::clone(&cuts), order_changes, computed: Instant::now(), took });
        Ok(cuts)
    }
}

/// Scans the buyers of a tenant and cuts.
pub(crate) async fn compute(db: &Db, tenant: &TenantId) -> Result<Cuts, Error> {
    let currency = buyers::main_currency(db, tenant).await?;
    let mut all: Vec<Buyer> = Vec::new();
    buyers::scan(db, tenant, &currency, |_, buyer| all.push(buyer)).await?;
    Ok(Cuts::of(&all, currency))
}
