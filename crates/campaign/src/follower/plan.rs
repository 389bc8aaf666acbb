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
    scheduled: BTreeMap<String, Message>,
    cancelled: BTreeSet<String>,
    moved: BTreeMap<String, String>,
    /// By the id under which it was scheduled.
    redated: BTreeMap<String, Message>,
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
    /// Schedules the message that a cause sets off in a campaign.
    pub(crate) fn schedule(&mut self, tenant: &TenantId, campaign: &Definition, cause: Cause<'_>) {
        let message = message(tenant, campaign, cause);
        self.cancelled.remove(&message.message_id);
        self.scheduled.insert(message.message_id.clone(), message);
    }

    /// Puts the message of a cause in the place of the one that was scheduled while the cause was known by another name.
    pub(crate) fn redate(&mut self, tenant: &TenantId, campaign: &Definition, known_as: &str, cause: Cause<'_>) {
        let known_id = ids::message_id(tenant, &campaign.campaign_id, known_as).to_string();
        let message = message(tenant, campaign, cause);
        let before = self.redated.iter().find(|(_, redated)| redated.message_id == known_id).map(|(id, _)| id.clone());
        if self.scheduled.remove(&known_id).is_some() {
            self.scheduled.insert(message.message_id.clone(), message);
        } else {
            self.redated.insert(before.unwrap_or(known_id), message);
        }
    }

    /// Takes the message back that a cause has set off, if it is still scheduled.
    pub(crate) fn cancel(&mut self, tenant: &TenantId, campaign: &Definition, cause: &str) {
        let message_id = ids::message_id(tenant, &campaign.campaign_id, cause).to_string();
        self.scheduled.remove(&message_id);
        self.cancelled.insert(message_id);
    }

    /// Gives the message that a cause has set off to the profile that has the cause now.
    pub(crate) fn move_to(&mut self, tenant: &TenantId, campaign: &Definition, cause: &str, profile_id: &str) {
        let message_id = ids::message_id(tenant, &campaign.campaign_id, cause).to_string();
        match self.scheduled.get_mut(&message_id) {
            Some(message) => profile_id.clone_into(&mut message.profile_id),
            None => {
                self.moved.insert(message_id, profile_id.to_owned());
            }
        }
    }

    /// Gives what a profile has scheduled in this batch to another.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        for message in self.scheduled.values_mut().filter(|message| message.profile_id == from) {
            to.clone_into(&mut message.profile_id);
        }
        for profile_id in self.moved.values_mut().filter(|profile_id| *profile_id == from) {
            to.clone_into(profile_id);
        }
    }

    /// Drops what an erased profile has scheduled in this batch.
    pub(crate) fn forget(&mut self, profile_id: &str) {
        self.scheduled.retain(|_, message| message.profile_id != profile_id);
    }

    /// Returns when the first of the scheduled messages is due.
    pub(crate) fn first_due_us(&self) -> Option<i64> {
        self.scheduled.values().chain(self.redated.values()).map(|message| message.fire_us).min()
    }

    /// Writes everything.
    pub(crate) async fn write(&self, tx: &mut Tx, tenant: &TenantId) -> Result<(), Error> {
        let cancelled: Vec<&str> = self.cancelled.iter().map(String::as_str).collect();
        messages::cancel(tx, tenant, &cancelled).await?;
        let scheduled: Vec<&Message> = self.scheduled.values().collect();
        messages::schedule(tx, tenant, &scheduled).await?;
        for (known_id, message) in &self.redated {
            messages::redate(tx, tenant, known_id, message).await?;
        }
        for (message_id, profile_id) in &self.moved {
            messages::move_one(tx, tenant, message_id, profile_id).await?;
        }
        Ok(())
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
