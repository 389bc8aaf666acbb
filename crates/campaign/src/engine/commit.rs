//! The commits around a hand-over: many messages to a transaction, each under its tenant's lease.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ::store::{Error, Tx};
use eventlog::{GroupCommit, GroupCommitOptions, Handler};
use kit::{TenantId, shutdown::Shutdown};

use super::{Engine, decide::Known};
use crate::{
    domain::{
        gates::{Depth, Outcome},
        message::{EMAIL, Message, State, number},
    },
    store::{due, feedback, feedback::Outgoing, gone, leases, suppressions},
};

/// Where steps are submitted.
pub(crate) type Commits = GroupCommit<Step, Answer>;

/// One step of one message.
pub(crate) struct Step {
    pub(crate) tenant: TenantId,
    pub(crate) epoch: i64,
    pub(crate) message: Message,
    pub(crate) kind: Kind,
}

/// What is to be committed.
pub(crate) enum Kind {
    /// That it is being handed over, unless something speaks against it by now.
    Hand,
    /// That it waits, or stays unsent after all. The message says which.
    PutOff,
    /// What became of it.
    Settle { suppress: Option<&'static str>, event: Option<Box<Outgoing>> },
}

/// What the one who submitted may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Committed: go on.
    Done,
    /// Something speaks against it; nothing is to be handed over.
    Stop,
    /// Another replica has taken over; nothing was written.
    Lost,
}

/// Starts committing; ends with `shutdown`.
pub(crate) fn spawn(engine: &Arc<Engine>, shutdown: &Shutdown) -> Commits {
    let handler = StepHandler { engine: Arc::clone(engine), told: false };
    GroupCommit::spawn(engine.db.clone(), shutdown, GroupCommitOptions::default(), handler)
}

struct StepHandler {
    engine: Arc<Engine>,
    /// Whether the transaction holds events for ingestion.
    told: bool,
}

impl Handler<Step, Answer> for StepHandler {
    async fn handle(&mut self, tx: &mut Tx, items: Vec<Step>) -> Result<Vec<Answer>, Error> {
        self.told = false;
        let mut answers = vec![Answer::Lost; items.len()];
        // Leases are locked in one order by everybody.
        let mut by_lease: BTreeMap<(TenantId, i64), Vec<(usize, Step)>> = BTreeMap::new();
        for (index, step) in items.into_iter().enumerate() {
            by_lease.entry((step.tenant.clone(), step.epoch)).or_default().push((index, step));
        }
        for ((tenant, epoch), steps) in by_lease {
            if !leases::is_held(tx, &tenant, &self.engine.owner, epoch).await? {
                continue;
            }
            let known = self.look(tx, &tenant, &steps).await?;
            for (index, step) in steps {
                answers[index] = self.commit(tx, &tenant, &known, step).await?;
            }
        }
        Ok(answers)
    }

    fn committed(&mut self) {
        if std::mem::take(&mut self.told) {
            self.engine.wake.feedback();
        }
    }

    fn rolled_back(&mut self) {
        self.told = false;
    }
}

/// What is known of the people whose messages are about to be handed over.
struct Look {
    known: Option<Known>,
    survivors: HashMap<String, String>,
}

impl StepHandler {
    async fn look(&self, tx: &mut Tx, tenant: &TenantId, steps: &[(usize, Step)]) -> Result<Look, Error> {
        let handing = steps.iter().filter(|(_, step)| matches!(step.kind, Kind::Hand));
        let messages: Vec<Message> = handing.map(|(_, step)| step.message.clone()).collect();
        if messages.is_empty() {
            return Ok(Look { known: None, survivors: HashMap::new() });
        }
        let profile_ids: Vec<&str> = messages.iter().map(|message| message.profile_id.as_str()).collect();
        let survivors = gone::resolve(tx, tenant, &profile_ids).await?;
        let known = Known::load(tx, tenant, &self.engine.keys, &messages, Depth::Again).await?;
        Ok(Look { known: Some(known), survivors })
    }

    async fn commit(&mut self, tx: &mut Tx, tenant: &TenantId, look: &Look, step: Step) -> Result<Answer, Error> {
        let Step { mut message, kind, .. } = step;
        match kind {
            Kind::Hand => self.hand(tx, tenant, look, &mut message).await,
            Kind::PutOff => {
                due::put_off(tx, tenant, &message).await?;
                Ok(Answer::Done)
            }
            Kind::Settle { suppress, event } => {
                if !due::settle(tx, tenant, &message).await? {
                    return Ok(Answer::Stop);
                }
                if let Some(cause) = suppress {
                    let now_us = self.engine.clock.now_us();
                    suppressions::add(tx, tenant, EMAIL, &message.address_hash, cause, now_us).await?;
                }
                if let Some(event) = event {
                    feedback::put(tx, &[*event]).await?;
                    self.told = true;
                }
                Ok(Answer::Done)
            }
        }
    }

    /// Asks once more what may have changed since the decision: an unsubscribe stops what is already rendered.
    async fn hand(&self, tx: &mut Tx, tenant: &TenantId, look: &Look, message: &mut Message) -> Result<Answer, Error> {
        let Some(known) = &look.known else { return Ok(Answer::Stop) };
        let now_us = self.engine.clock.now_us();
        let address_hash = known.contact(&message.profile_id).email.as_str();
        let same_address = self.engine.keys.address_hash(tenant, EMAIL, address_hash) == message.address_hash;
        if look.survivors.contains_key(&message.profile_id) || !same_address {
            // It was prepared for somebody else; it is still queued and will be prepared again.
            return Ok(Answer::Stop);
        }
        // The first attempt stands for the instant of the decision, later ones for their own.
        let as_of_us = if message.attempts == 0 { message.as_of_us } else { now_us };
        let (outcome, gates) = known.ask(tenant, message, as_of_us, now_us, Depth::Again);
        match outcome {
            Outcome::Send => {
                let handed = due::hand(tx, tenant, message, now_us).await?;
                return Ok(if handed { Answer::Done } else { Answer::Stop });
            }
            Outcome::Withhold(reason) => {
                message.state = State::Withheld;
                message.reason = number(reason);
            }
            Outcome::Defer(until_us) => message.fire_us = until_us,
        }
        message.gates.extend(gates.into_iter().last());
        due::put_off(tx, tenant, message).await?;
        Ok(Answer::Stop)
    }
}
