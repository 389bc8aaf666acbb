//! Deciding the messages that have fallen due.

use std::collections::{BTreeSet, HashMap, HashSet};

use ::store::{Error, Tx};
use kit::TenantId;
use proto::campaign::v1::{Gate, gate::Verdict};

use super::Engine;
use crate::{
    domain::{
        basket,
        campaign::{Definition, Trigger},
        contact::Contact,
        gates::{Depth, Facts, Outcome, Past, decide},
        message::{EMAIL, Message, State, number},
        policy::Policy,
        token::Keys,
    },
    store::{campaigns, contacts, due, gone, leases, memberships, messages, policies, suppressions},
};

/// Messages decided in one transaction.
const BATCH: i64 = 500;

/// What the gates look at, of all people concerned, as it stands in one transaction.
pub(crate) struct Known {
    pub(crate) campaigns: HashMap<String, Definition>,
    pub(crate) policy: Policy,
    contacts: HashMap<String, Contact>,
    stays: memberships::Stays,
    suppressed: HashMap<Vec<u8>, String>,
    hashes: HashMap<String, Vec<u8>>,
    past: HashMap<String, Vec<Past>>,
    /// For people of whom nothing is known.
    nobody: Contact,
}

impl Engine {
    /// Decides all that is due, in the order in which it fell due. Returns false when the lease was lost.
    pub(super) async fn decide_due(&self, tenant: &TenantId, epoch: i64, now_us: i64) -> Result<bool, Error> {
        loop {
            let mut tx = self.db.begin().await?;
            if !leases::is_held(&mut tx, tenant, &self.owner, epoch).await? {
                return Ok(false);
            }
            let mut due = due::scheduled(&mut tx, tenant, now_us, BATCH).await?;
            if due.is_empty() {
                return Ok(true);
            }
            let more = due.len() as i64 == BATCH;
            // Beyond the last one read there may be others that fell due before what is put off.
            let horizon_us = due.last().filter(|_| more).map_or(now_us, |last| last.fire_us);
            self.decide_batch(&mut tx, tenant, &mut due, now_us, horizon_us).await?;
            tx.commit().await?;
            due.iter().for_each(|message| self.metrics.decided(message));
            if !more {
                return Ok(true);
            }
        }
    }

    /// Decides messages in the order in which they fell due; one that is put off until before `horizon_us` takes its place
    /// among the others, as it would have if the clock had not jumped.
    async fn decide_batch(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        due: &mut [Message],
        now_us: i64,
        horizon_us: i64,
    ) -> Result<(), Error> {
        find_survivors(tx, tenant, due).await?;
        let mut known = Known::load(tx, tenant, &self.keys, due, Depth::Full).await?;
        let mut waiting: BTreeSet<Turn> = BTreeSet::new();
        let mut overtaken: Vec<&str> = Vec::new();
        let mut causes = HashSet::new();
        for (index, message) in due.iter().enumerate() {
            // What was set off by one thing under two profiles is one message now that they are one person.
            let is_told = !causes.insert((&message.campaign_id, &message.profile_id, message.trigger_us));
            if is_told && known.is_about_segment(message) || known.is_overtaken(message) {
                overtaken.push(&message.message_id);
            } else {
                waiting.insert(Turn::of(message, index));
            }
        }
        messages::cancel(tx, tenant, &overtaken).await?;

        let mut decided: BTreeSet<usize> = BTreeSet::new();
        while let Some(Turn { as_of_us, index, .. }) = waiting.pop_first() {
            let message = &mut due[index];
            decided.insert(index);
            let (outcome, gates) = known.ask(tenant, message, as_of_us, now_us, Depth::Full);
            // That it was put off stays in the record.
            message.gates.retain(|gate| gate.verdict() == Verdict::Deferred);
            message.gates.extend(gates);
            match outcome {
                Outcome::Defer(until_us) => {
                    message.fire_us = until_us;
                    if until_us <= horizon_us {
                        waiting.insert(Turn::of(message, index));
                    }
                }
                Outcome::Send => {
                    (message.state, message.decide_us, message.as_of_us) = (State::Queued, now_us, as_of_us);
                    known.will_hear(message);
                }
                Outcome::Withhold(reason) => {
                    (message.state, message.decide_us, message.as_of_us) = (State::Withheld, now_us, as_of_us);
                    message.reason = number(reason);
                }
            }
        }
        let decided: Vec<&Message> = decided.into_iter().map(|index| &due[index]).collect();
        messages::save_decided(tx, tenant, &decided).await
    }
}

/// The place of a message among those that are due. At one instant goes first what fell due first, and then by campaign: ids
/// are drawn, and would order two messages to one person in one way today and in another in a replay.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    as_of_us: i64,
    due_us: i64,
    campaign_id: String,
    message_id: String,
    index: usize,
}

impl Turn {
    fn of(message: &Message, index: usize) -> Self {
        let Message { fire_us, due_us, campaign_id, message_id, .. } = message;
        Self {
            as_of_us: *fire_us,
            due_us: *due_us,
            campaign_id: campaign_id.clone(),
            message_id: message_id.clone(),
            index,
        }
    }
}

/// Names the person that remains where the one who set the message off was merged since; nobody where erased.
async fn find_survivors(tx: &mut Tx, tenant: &TenantId, messages: &mut [Message]) -> Result<(), Error> {
    let profile_ids: BTreeSet<&str> = messages.iter().map(|message| message.profile_id.as_str()).collect();
    let profile_ids: Vec<&str> = profile_ids.into_iter().collect();
    let survivors = gone::resolve(tx, tenant, &profile_ids).await?;
    for message in messages.iter_mut() {
        if let Some(survivor) = survivors.get(&message.profile_id) {
            survivor.clone_into(&mut message.profile_id);
        }
    }
    Ok(())
}

impl Known {
    /// Reads what is known of the people that these messages are for.
    pub(crate) async fn load(
        tx: &mut Tx,
        tenant: &TenantId,
        keys: &Keys,
        messages: &[Message],
        depth: Depth,
    ) -> Result<Self, Error> {
        let profile_ids: BTreeSet<&str> = messages.iter().map(|message| message.profile_id.as_str()).collect();
        let profile_ids: Vec<&str> = profile_ids.into_iter().filter(|id| !id.is_empty()).collect();
        let campaigns: Vec<Definition> = campaigns::definitions(tx, tenant).await?;
        let policy = policies::in_force(tx, tenant).await?;
        let contacts = contacts::find_many(tx, tenant, &profile_ids).await?;
        let about_segments =
            campaigns.iter().any(|campaign| matches!(campaign.trigger, Trigger::SegmentEntered { .. }));
        let stays = match about_segments {
            true => memberships::of_profiles(tx, tenant, &profile_ids).await?,
            false => memberships::Stays::new(),
        };

        let with_address = contacts.iter().filter(|(_, contact)| !contact.email.is_empty());
        let hashes: HashMap<String, Vec<u8>> =
            with_address.map(|(id, contact)| (id.clone(), keys.address_hash(tenant, EMAIL, &contact.email))).collect();
        let asked: Vec<Vec<u8>> = hashes.values().cloned().collect();
        let suppressed = suppressions::find_many(tx, tenant, EMAIL, &asked).await?;

        let past = match depth {
            Depth::Again => HashMap::new(),
            Depth::Full => {
                let interval_us = campaigns.iter().map(|campaign| campaign.min_interval_us).max().unwrap_or(0);
                let earliest_us = messages.iter().map(|message| message.fire_us).min().unwrap_or(0);
                let since_us = earliest_us.saturating_sub(policy.cap_window_us.max(interval_us));
                due::past(tx, tenant, &profile_ids, since_us).await?
            }
        };
        let campaigns = campaigns.into_iter().map(|campaign| (campaign.campaign_id.clone(), campaign)).collect();
        Ok(Self { campaigns, policy, contacts, stays, suppressed, hashes, past, nobody: Contact::default() })
    }

    /// Asks the gates about one message.
    pub(crate) fn ask(
        &self,
        tenant: &TenantId,
        message: &Message,
        as_of_us: i64,
        now_us: i64,
        depth: Depth,
    ) -> (Outcome, Vec<Gate>) {
        let campaign = self.campaigns.get(&message.campaign_id);
        let membership = match campaign.map(|campaign| &campaign.trigger) {
            Some(Trigger::SegmentEntered { segment_id, .. }) => {
                self.stays.get(&(message.profile_id.clone(), segment_id.clone()))
            }
            _ => None,
        };
        let hash = self.hashes.get(&message.profile_id);
        let facts = Facts {
            tenant,
            campaign,
            policy: &self.policy,
            contact: (!message.profile_id.is_empty()).then(|| self.contact(&message.profile_id)),
            membership,
            suppressed: hash.and_then(|hash| self.suppressed.get(hash)).map(String::as_str),
            past: self.past.get(&message.profile_id).map_or(&[], Vec::as_slice),
            as_of_us,
            now_us,
        };
        decide(message, &facts, depth)
    }

    /// Whether what set a message off turned out to be part of something else: a later change of the basket has taken the
    /// place of the one that did, or the person was in the segment since before. The follower takes such messages back; it
    /// cannot when they came to the person by a merge.
    fn is_overtaken(&self, message: &Message) -> bool {
        match self.campaigns.get(&message.campaign_id).map(|campaign| &campaign.trigger) {
            Some(Trigger::AbandonedBasket { delay_us }) => {
                let Some(event_id) = message.cause.strip_prefix("basket:") else { return false };
                let changes = &self.contact(&message.profile_id).basket;
                let is_known = changes.iter().any(|change| change.event_id == event_id);
                is_known && !basket::ends_run(changes, event_id, *delay_us)
            }
            Some(Trigger::SegmentEntered { segment_id, .. }) => {
                let stay = self.stays.get(&(message.profile_id.clone(), segment_id.clone()));
                let since_us = stay.and_then(|stay| stay.since_us(message.trigger_us));
                since_us.is_some_and(|since_us| since_us < message.trigger_us)
            }
            Some(Trigger::PostPurchase { .. }) | None => false,
        }
    }

    /// Whether entering a segment has set a message off.
    fn is_about_segment(&self, message: &Message) -> bool {
        let trigger = self.campaigns.get(&message.campaign_id).map(|campaign| &campaign.trigger);
        matches!(trigger, Some(Trigger::SegmentEntered { .. }))
    }

    /// Returns what is known of a person.
    pub(crate) fn contact(&self, profile_id: &str) -> &Contact {
        self.contacts.get(profile_id).unwrap_or(&self.nobody)
    }

    /// Whether this is the address of a person.
    pub(crate) fn has_address(&self, profile_id: &str, address_hash: &[u8]) -> bool {
        self.hashes.get(profile_id).is_some_and(|hash| hash == address_hash)
    }

    /// Counts a message that was just decided to be sent.
    fn will_hear(&mut self, message: &Message) {
        let past = Past { campaign_id: message.campaign_id.clone(), as_of_us: message.as_of_us };
        self.past.entry(message.profile_id.clone()).or_default().push(past);
    }
}
