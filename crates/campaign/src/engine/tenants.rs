//! The tenants that this replica works for.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ::store::{Db, Error};
use kit::TenantId;

use super::dispatch::InFlight;
use crate::store::{campaigns, due, leases};

/// A tenant whose lease this replica holds.
pub(crate) struct Held {
    pub(crate) epoch: i64,
    /// When the next scheduled message is due, as far as known.
    pub(crate) next_due_us: i64,
    pub(crate) looked: Option<Instant>,
    pub(crate) queue_may_hold_more: bool,
    pub(crate) in_flight: InFlight,
    /// Another replica has taken over.
    pub(crate) lost: bool,
}

/// The tenants held.
pub(crate) struct Tenants {
    owner: String,
    lease: Duration,
    held: BTreeMap<TenantId, Held>,
}

impl Tenants {
    pub(crate) fn new(owner: String, lease: Duration) -> Self {
        Self { owner, lease, held: BTreeMap::new() }
    }

    /// Notes that something is due then.
    pub(crate) fn hint(&mut self, tenant: &TenantId, due_us: i64) {
        if let Some(held) = self.held.get_mut(tenant) {
            held.next_due_us = held.next_due_us.min(due_us);
        }
    }

    /// Returns the tenants held, those that were lost left out.
    pub(crate) fn held(&mut self) -> impl Iterator<Item = (&TenantId, &mut Held)> {
        self.held.retain(|_, held| !held.lost);
        self.held.iter_mut()
    }

    /// Renews the leases held and takes those that nobody living holds.
    pub(crate) async fn renew_and_take(&mut self, db: &Db) -> Result<(), Error> {
        // Leases are about the real world: a virtual clock may jump over their end.
        let now_us = kit::Clock::system().now_us();
        let expire_us = now_us + i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX / 2);

        let mut tx = db.begin().await?;
        leases::renew(&mut tx, &self.owner, expire_us).await?;
        tx.commit().await?;
        let still: BTreeMap<String, i64> = leases::held(db, &self.owner).await?.into_iter().collect();
        self.held.retain(|tenant, held| still.get(tenant.as_str()) == Some(&held.epoch));

        let known = campaigns::tenants(db).await?;
        let taken = leases::all(db).await?;
        for tenant in known {
            let is_free = taken.get(tenant.as_str()).is_none_or(|until_us| *until_us < now_us);
            if !self.held.contains_key(&tenant) && is_free {
                self.take(db, tenant, now_us, expire_us).await?;
            }
        }
        Ok(())
    }

    /// Takes a lease; whatever its former owner was handing over is in doubt.
    async fn take(&mut self, db: &Db, tenant: TenantId, now_us: i64, expire_us: i64) -> Result<(), Error> {
        let mut tx = db.begin().await?;
        let Some(epoch) = leases::take(&mut tx, &tenant, &self.owner, now_us, expire_us).await? else {
            return Ok(());
        };
        let in_doubt = due::put_in_doubt(&mut tx, &tenant).await?;
        tx.commit().await?;
        if in_doubt > 0 {
            tracing::warn!(
                campaign.messages = in_doubt,
                "messages that were being handed over may or may not have arrived"
            );
        }
        self.held.insert(tenant, Held::new(epoch));
        Ok(())
    }
}
