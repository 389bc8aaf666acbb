//! Deciding what is due and handing over what was decided.
//!
//! One replica at a time works for a tenant, under a lease that every commit checks. It decides messages in the order in
//! which they fell due, many to a transaction, then hands them over side by side. A message being handed over is marked so
//! before the first byte leaves: after a crash exactly these are in doubt, and they are not sent again.

pub(crate) mod commit;
pub(crate) mod decide;
pub(crate) mod dispatch;
pub(crate) mod feedback;
pub(crate) mod prepare;
pub(crate) mod tenants;
pub(crate) mod wake;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::store::{Db, Error};
use kit::{Clock, TenantId, channel::Channel, shutdown::Shutdown};
use lettre::message::Mailbox;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::{
    commit::Commits,
    dispatch::InFlight,
    tenants::{Held, Tenants},
    wake::Wake,
};
use crate::{
    domain::{message::State, token::Keys},
    mail::Mailer,
    metrics::EngineMetrics,
    store::{due, leases},
};

/// How often the clock is looked at; a virtual one tells nobody when it moves.
const TICK: Duration = Duration::from_millis(15);
/// How often the database is looked at for what another replica has scheduled.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How often leases are renewed and free ones looked for.
const RENEW_EVERY: Duration = Duration::from_millis(1_500);
/// Time without renewal after which another replica takes over.
const LEASE: Duration = Duration::from_secs(6);
/// Pause after a failure of the database.
const PAUSE: Duration = Duration::from_millis(500);
/// How long messages being handed over may take to end at shutdown.
const LAST_WORDS: Duration = Duration::from_secs(15);

/// What the parts of the engine share.
pub(crate) struct Engine {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) wake: Wake,
    pub(crate) keys: Keys,
    pub(crate) mailer: Mailer,
    /// Whom messages come from.
    pub(crate) sender: Mailbox,
    pub(crate) recommendation: Channel,
    pub(crate) metrics: EngineMetrics,
    /// Where links lead to, without a slash at the end.
    pub(crate) public_base_url: String,
    /// Names this replica, never used before.
    pub(crate) owner: String,
    pub(crate) templates: prepare::Templates,
    /// Cancelled when nothing can be committed any more.
    pub(crate) ended: CancellationToken,
}

impl Engine {
    /// Returns a name for a replica.
    pub(crate) fn new_owner() -> String {
        Uuid::now_v7().to_string()
    }

    /// Decides and sends until shutdown, then finishes what is being handed over and gives its leases up.
    pub(crate) async fn run(self: Arc<Self>, shutdown: Shutdown) -> Result<(), Error> {
        // Commits of what is under way must go on after shutdown has begun.
        let inner = Shutdown::new();
        let commits = commit::spawn(&self, &inner);
        let sending = TaskTracker::new();
        let mut tenants = Tenants::new(self.owner.clone(), LEASE);
        let mut renewed: Option<Instant> = None;

        while !shutdown.is_cancelled() && !inner.is_cancelled() {
            let news = self.wake.take_news();
            for (tenant, due_us) in &news.scheduled {
                tenants.hint(tenant, *due_us);
            }
            let renewal_due = renewed.is_none_or(|at| at.elapsed() >= RENEW_EVERY);
            let done = async {
                if renewal_due || news.new_campaign {
                    tenants.renew_and_take(&self.db).await?;
                    renewed = Some(Instant::now());
                }
                for (tenant, held) in tenants.held() {
                    self.turn(tenant, held, &commits, &sending).await?;
                }
                Ok::<(), Error>(())
            };
            if let Err(error) = done.await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "deciding messages failed; it goes on after a pause"
                );
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = shutdown.cancelled() => {}
                }
            }
            tokio::select! {
                () = self.wake.woken() => {}
                () = tokio::time::sleep(TICK) => {}
                () = shutdown.cancelled() => {}
            }
        }

        sending.close();
        if tokio::time::timeout(LAST_WORDS, sending.wait()).await.is_err() {
            tracing::warn!("some messages were still being handed over; they are in doubt from now on");
        }
        inner.drain(LAST_WORDS).await;
        self.ended.cancel();
        self.mailer.close().await;
        self.release().await?;
        match inner.failure() {
            Some(failure) => Err(Error::fatal(failure)),
            None => Ok(()),
        }
    }

    /// Does for one tenant what is due.
    async fn turn(
        self: &Arc<Self>,
        tenant: &TenantId,
        held: &mut Held,
        commits: &Commits,
        sending: &TaskTracker,
    ) -> Result<(), Error> {
        let now_us = self.clock.now_us();
        let look_again = held.looked.is_none_or(|at| at.elapsed() >= LOOK_AGAIN);
        if look_again || now_us >= held.next_due_us {
            held.looked = Some(Instant::now());
            held.next_due_us = self.next_due_us(tenant).await?;
            if held.next_due_us <= now_us {
                if !self.decide_due(tenant, held.epoch, now_us).await? {
                    held.lost = true;
                    return Ok(());
                }
                held.next_due_us = self.next_due_us(tenant).await?;
            }
            held.queue_may_hold_more = true;
        }
        if held.queue_may_hold_more && held.in_flight.has_room() {
            held.queue_may_hold_more = self.dispatch_due(tenant, held, commits, sending).await?;
        }
        Ok(())
    }

    async fn next_due_us(&self, tenant: &TenantId) -> Result<i64, Error> {
        Ok(due::next_us(&self.db, tenant, State::Scheduled).await?.unwrap_or(i64::MAX))
    }

    async fn release(&self) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        leases::release(&mut tx, &self.owner).await?;
        tx.commit().await
    }
}

impl Held {
    fn new(epoch: i64) -> Self {
        Self {
            epoch,
            next_due_us: i64::MIN,
            looked: None,
            queue_may_hold_more: true,
            in_flight: InFlight::default(),
            lost: false,
        }
    }
}
