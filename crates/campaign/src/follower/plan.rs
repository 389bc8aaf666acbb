//! What a batch of records does to messages: the net effect, written once.

use std::collections::{BTreeMap, BTreeSet};

use ::store::{Error, Tx};
use kit::TenantId;

use crate::{
    domain::{
        campaign::Definition,
        ids,
        message::{Message, State},
    },
    store::messages,
};

/// Messages to schedule, to take back and to move.
#[derive(Default)]
pub(crate) struct Plan {
    scheduled: BTreeMap<String, Scheduled>,
    cancelled: BTreeSet<String>,
    /// New owner and the time of what was told again, by message.
    moved: BTreeMap<String, (String, i64)>,
    /// In the order in which they were told.
    redated: Vec<Redated>,
}

/// A message to be scheduled.
struct Scheduled {
    message: Message,
    /// Whether its cause was told again: then whoever has it now is who it is for.
    restated: bool,
}

/// A message whose cause is older than was told.
struct Redated {
    former_us: i64,
    message: Message,
    /// Whether it may still be set off when none is known that was set off before.
    is_ahead: bool,
}

/// What sets a message off.
pub(crate) struct Cause<'a> {
    pub(crate) profile_id: &'a str,
    /// Names it; the message id is derived from it.
    pub(crate) name: String,
    /// For a person to read.
    pub(crate) text: String,
    pub(crate) time_us: i64,
    pub(crate) due_us: i64,
    pub(crate) traceparent: &'a str,
}

impl Plan {
    /// Schedules the message that a cause sets off in a campaign. Of several tellings of one cause the earliest counts, and
    /// is whose message it is; of the same told again, the last.
    pub(crate) fn schedule(&mut self, tenant: &TenantId, campaign: &Definition, cause: Cause<'_>, restated: bool) {
        let message = message(tenant, campaign, cause);
        self.cancelled.remove(&message.message_id);
        let known = self.scheduled.get(&message.message_id).map(|known| known.message.due_us);
        let counts = known.is_none_or(|due_us| message.due_us < due_us || restated && message.due_us == due_us);
        if counts {
            self.scheduled.insert(message.message_id.clone(), Scheduled { message, restated });
        }
    }

    /// Puts the message of a cause in the place of the one that was scheduled while the cause was believed to have been at
    /// `former_us`.
    pub(crate) fn redate(
        &mut self,
        tenant: &TenantId,
        campaign: &Definition,
        former_us: i64,
        cause: Cause<'_>,
        is_ahead: bool,
    ) {
        self.redated.push(Redated { former_us, message: message(tenant, campaign, cause), is_ahead });
    }

    /// Takes the message back that a cause has set off, if it is still scheduled.
    pub(crate) fn cancel(&mut self, tenant: &TenantId, campaign: &Definition, cause: &str) {
        let message_id = ids::message_id(tenant, &campaign.campaign_id, cause).to_string();
        self.scheduled.remove(&message_id);
        self.cancelled.insert(message_id);
    }

    /// Gives the message that a cause has set off to the profile that has the cause now. One that is not known sets nothing
    /// off: it was decided, or taken back.
    pub(crate) fn move_to(&mut self, tenant: &TenantId, campaign: &Definition, cause: &Cause<'_>) {
        let message_id = ids::message_id(tenant, &campaign.campaign_id, &cause.name).to_string();
        match self.scheduled.get_mut(&message_id) {
            Some(known) if cause.due_us <= known.message.due_us => {
                cause.profile_id.clone_into(&mut known.message.profile_id);
            }
            Some(_) => {}
            None => {
                self.moved.insert(message_id, (cause.profile_id.to_owned(), cause.time_us));
            }
        }
    }

    /// Gives what a profile has scheduled in this batch to another.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        let scheduled = self.scheduled.values_mut().map(|scheduled| &mut scheduled.message.profile_id);
        let moved = self.moved.values_mut().map(|(profile_id, _)| profile_id);
        for profile_id in scheduled.chain(moved).filter(|profile_id| *profile_id == from) {
            to.clone_into(profile_id);
        }
    }

    /// Drops what an erased profile has scheduled in this batch.
    pub(crate) fn forget(&mut self, profile_id: &str) {
        self.scheduled.retain(|_, scheduled| scheduled.message.profile_id != profile_id);
    }

    /// Returns when the first of the scheduled messages is due.
    pub(crate) fn first_due_us(&self) -> Option<i64> {
        let scheduled = self.scheduled.values().map(|scheduled| &scheduled.message);
        scheduled.chain(self.redated.iter().map(|redated| &redated.message)).map(|message| message.fire_us).min()
    }

    /// Writes everything.
    pub(crate) async fn write(&self, tx: &mut Tx, tenant: &TenantId) -> Result<(), Error> {
        let cancelled: Vec<&str> = self.cancelled.iter().map(String::as_str).collect();
        messages::cancel(tx, tenant, &cancelled).await?;
        for restated in [false, true] {
            let scheduled = self.scheduled.values().filter(|scheduled| scheduled.restated == restated);
            let scheduled: Vec<&Message> = scheduled.map(|scheduled| &scheduled.message).collect();
            messages::schedule(tx, tenant, &scheduled, restated).await?;
        }
        for redated in &self.redated {
            redated.write(tx, tenant).await?;
        }
        for (message_id, (profile_id, time_us)) in &self.moved {
            messages::move_one(tx, tenant, message_id, profile_id, *time_us).await?;
        }
        Ok(())
    }
}

impl Redated {
    async fn write(&self, tx: &mut Tx, tenant: &TenantId) -> Result<(), Error> {
        let Self { former_us, message, is_ahead } = self;
        let known = messages::set_off_at(tx, tenant, message, *former_us).await?;
        let waiting: Vec<&str> =
            known.iter().filter(|known| known.is_scheduled()).map(|known| known.message_id.as_str()).collect();
        // One that was decided has spoken for this stay.
        if waiting.len() < known.len() || known.is_empty() && !is_ahead {
            return Ok(());
        }
        messages::cancel(tx, tenant, &waiting).await?;
        messages::schedule(tx, tenant, &[message], false).await
    }
}

fn message(tenant: &TenantId, campaign: &Definition, cause: Cause<'_>) -> Message {
    Message {
        message_id: ids::message_id(tenant, &campaign.campaign_id, &cause.name).to_string(),
        campaign_id: campaign.campaign_id.clone(),
        profile_id: cause.profile_id.to_owned(),
        state: State::Scheduled,
        purpose: campaign.purpose.clone(),
        cause: cause.name,
        trigger_text: cause.text,
        trigger_us: cause.time_us,
        due_us: cause.due_us,
        fire_us: cause.due_us,
        traceparent: cause.traceparent.to_owned(),
        ..Message::default()
    }
}
