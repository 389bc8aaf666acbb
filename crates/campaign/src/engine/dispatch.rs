//! Handing over what was decided to be sent, side by side.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::store::Error;
use kit::TenantId;
use proto::{
    campaign::v1::{Reason, gate::Verdict},
    event::v1::message_activity::{Action, Actor},
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{
    Engine,
    commit::{Answer, Commits, Kind, Step},
    feedback::{Told, event},
    prepare::{Prepared, Ready},
    tenants::Held,
};
use crate::{
    domain::{
        backoff,
        campaign::Definition,
        contact::Contact,
        message::{Message, State, number},
    },
    mail::Handover,
    store::{campaigns, contacts, due, feedback::Outgoing},
};

/// Messages of one tenant that are prepared or handed over at the same time.
const MOST_IN_FLIGHT: usize = 256;
/// Messages read from the queue at a time, beyond those in flight, which are read again and left.
const READ_AHEAD: usize = 192;
/// Pause before a commit is tried again.
const PAUSE: Duration = Duration::from_millis(300);

/// The messages being prepared or handed over. Cloning shares them.
#[derive(Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<String>>>);

impl InFlight {
    pub(crate) fn has_room(&self) -> bool {
        self.ids().len() <= MOST_IN_FLIGHT - READ_AHEAD
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a message out of flight when its task ends, however it ends.
struct Landing {
    engine: Arc<Engine>,
    in_flight: InFlight,
    message_id: String,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.in_flight.ids().remove(&self.message_id);
        self.engine.wake.room();
    }
}

impl Engine {
    /// Begins to hand over what is due. Returns whether there may be more.
    pub(super) async fn dispatch_due(
        self: &Arc<Self>,
        tenant: &TenantId,
        held: &Held,
        commits: &Commits,
        sending: &TaskTracker,
    ) -> Result<bool, Error> {
        let before = held.in_flight.ids().clone();
        let limit = before.len() + READ_AHEAD;
        let queued = due::queued(&self.db, tenant, self.clock.now_us(), limit as i64).await?;
        let more = queued.len() == limit;
        // What was in flight when the queue was read may have landed since: its row is not queued any more.
        let waiting: Vec<Message> =
            queued.into_iter().filter(|message| !before.contains(&message.message_id)).collect();
        if waiting.is_empty() {
            return Ok(more);
        }
        let campaigns = campaigns::read_definitions(&self.db, tenant).await?.into_iter();
        let campaigns: HashMap<String, Arc<Definition>> =
            campaigns.map(|campaign| (campaign.campaign_id.clone(), Arc::new(campaign))).collect();
        let profile_ids: BTreeSet<&str> = waiting.iter().map(|message| message.profile_id.as_str()).collect();
        let profile_ids: Vec<&str> = profile_ids.into_iter().collect();
        let contacts = contacts::read_many(&self.db, tenant, &profile_ids).await?;

        for message in waiting {
            let message_id = message.message_id.clone();
            if !held.in_flight.ids().insert(message_id.clone()) {
                continue;
            }
            let landing = Landing { engine: Arc::clone(self), in_flight: held.in_flight.clone(), message_id };
            let job = Job {
                engine: Arc::clone(self),
                tenant: tenant.clone(),
                epoch: held.epoch,
                commits: commits.clone(),
                campaign: campaigns.get(&message.campaign_id).cloned(),
                contact: contacts.get(&message.profile_id).cloned().unwrap_or_default(),
            };
            let span = tracing::info_span!(
                "send message",
                message.id = %message.message_id,
                campaign.id = %message.campaign_id,
                message.attempt = message.attempts + 1,
            );
            kit::telemetry::set_parent(&span, &message.traceparent);
            sending.spawn(
                async move {
                    job.run(message).await;
                    drop(landing);
                }
                .instrument(span),
            );
        }
        Ok(more)
    }
}

/// One message on its way.
struct Job {
    engine: Arc<Engine>,
    tenant: TenantId,
    epoch: i64,
    commits: Commits,
    campaign: Option<Arc<Definition>>,
    contact: Contact,
}

impl Job {
    async fn run(self, message: Message) {
        let ready = match self.engine.prepare(&self.tenant, self.campaign.as_deref(), &self.contact, message).await {
            Ok(Prepared::Ready(ready)) => ready,
            Ok(Prepared::PutOff(message)) => {
                self.commit(&message, || Kind::PutOff).await;
                return;
            }
            Err(error) => {
                // It is still queued, and will be read again.
                tracing::warn!(error = &error as &dyn std::error::Error, "preparing a message failed");
                tokio::time::sleep(PAUSE).await;
                return;
            }
        };
        let Ready { message, mail } = *ready;

        let slot = self.engine.mailer.slot().await;
        if self.try_commit(&message, Kind::Hand).await != Some(Answer::Done) {
            return;
        }
        let span = tracing::info_span!("hand over");
        let handover = self.engine.mailer.send(&mail, slot).instrument(span).await;
        self.settle(message, handover, mail.to.to_string()).await;
    }

    async fn settle(&self, mut message: Message, handover: Handover, address: String) {
        let now_us = self.engine.clock.now_us();
        let mut suppress = None;
        let mut told = None;
        message.attempts += 1;
        match handover {
            Handover::Accepted => {
                (message.state, message.send_us) = (State::Sent, now_us);
                told = Some((Action::Sent, "sent", ""));
            }
            Handover::Later(detail) => {
                message.note("channel", Verdict::Deferred, detail);
                message.state = State::Queued;
                message.fire_us = now_us.saturating_add(backoff::wait_us(message.attempts));
            }
            Handover::AddressRefused { detail, unknown } => {
                message.note("channel", Verdict::Refused, detail);
                (message.state, message.reason) = (State::Failed, number(Reason::AddressRefused));
                suppress = unknown.then_some("bounced");
                told = Some((Action::Bounced, "bounced", "hard"));
            }
            Handover::Refused(detail) => {
                message.note("channel", Verdict::Refused, detail);
                (message.state, message.reason) = (State::Failed, number(Reason::ChannelRefused));
            }
            Handover::Uncertain(detail) => {
                message.note("channel", Verdict::Refused, format!("{detail}; it may or may not have arrived"));
                message.state = State::Uncertain;
            }
        }
        self.engine.metrics.handed_over(&message);
        let event = told.map(|(action, what, detail)| {
            let told = Told { action, what, actor: Actor::Unspecified, detail, url: "", user_agent: "" };
            Outgoing {
                tenant: self.tenant.clone(),
                profile_id: message.profile_id.clone(),
                create_us: now_us,
                event: event(&self.tenant, &message, &address, &told, now_us),
            }
        });
        self.commit(&message, || Kind::Settle { suppress, event: event.clone().map(Box::new) }).await;
    }

    /// Commits until it is done: what became of a message must not be forgotten.
    async fn commit(&self, message: &Message, kind: impl Fn() -> Kind) {
        while self.try_commit(message, kind()).await.is_none() {
            if self.engine.ended.is_cancelled() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_commit(&self, message: &Message, kind: Kind) -> Option<Answer> {
        let step = Step { tenant: self.tenant.clone(), epoch: self.epoch, message: message.clone(), kind };
        match self.commits.submit(step).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a step of a message was not committed");
                None
            }
        }
    }
}
