//! The commits around a hand-over: many messages to a transaction, each under its tenant's lease.

use std::{
    collections::{BTreeMap, HashSet},
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
            if leases::is_held(tx, &tenant, &self.engine.owner, epoch).await? {
                self.commit(tx, &tenant, steps, &mut answers).await?;
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

impl StepHandler {
    async fn commit(
        &mut self,
        tx: &mut Tx,
        tenant: &TenantId,
        steps: Vec<(usize, Step)>,
        answers: &mut [Answer],
    ) -> Result<(), Error> {
        let mut handing = Vec::new();
        let mut settling = Vec::new();
        for (index, step) in steps {
            match step.kind {
                Kind::Hand => handing.push((index, step.message)),
                Kind::PutOff => {
                    due::put_off(tx, tenant, &step.message).await?;
                    answers[index] = Answer::Done;
                }
                Kind::Settle { suppress, event } => settling.push((index, step.message, suppress, event)),
            }
        }

        let (indexes, messages): (Vec<usize>, Vec<Message>) = handing.into_iter().unzip();
        let handed = self.hand(tx, tenant, messages.clone()).await?;
        for (index, message) in indexes.into_iter().zip(&messages) {
            answers[index] = if handed.contains(&message.message_id) { Answer::Done } else { Answer::Stop };
        }

        let settled: Vec<&Message> = settling.iter().map(|(_, message, ..)| message).collect();
        let settled = due::settle(tx, tenant, &settled).await?;
        let mut events = Vec::new();
        for (index, message, suppress, event) in settling {
            if !settled.contains(&message.message_id) {
                answers[index] = Answer::Stop;
                continue;
            }
            answers[index] = Answer::Done;
            events.extend(event.map(|event| *event));
            if let Some(cause) = suppress {
                let now_us = self.engine.clock.now_us();
                suppressions::add(tx, tenant, EMAIL, &message.address_hash, cause, now_us).await?;
            }
        }
        self.told |= !events.is_empty();
        feedback::put(tx, &events).await
    }

    /// Asks once more what may have changed since the decision: an unsubscribe stops what is already rendered. Returns the
    /// messages that may be handed over.
    async fn hand(&self, tx: &mut Tx, tenant: &TenantId, mut messages: Vec<Message>) -> Result<HashSet<String>, Error> {
        if messages.is_empty() {
            return Ok(HashSet::new());
        }
        let engine = &self.engine;
        let now_us = engine.clock.now_us();
        let profile_ids: Vec<&str> = messages.iter().map(|message| message.profile_id.as_str()).collect();
        let gone = gone::resolve(tx, tenant, &profile_ids).await?;
        let known = Known::load(tx, tenant, &engine.keys, &messages, Depth::Again).await?;

        let mut going = Vec::new();
        for message in &mut messages {
            if gone.contains_key(&message.profile_id) || !known.has_address(&message.profile_id, &message.address_hash)
            {
                // It was prepared for somebody else; it is still queued and will be prepared again.
                continue;
            }
            // The first attempt stands for the instant of the decision, later ones for their own.
            let as_of_us = if message.attempts == 0 { message.as_of_us } else { now_us };
            let (outcome, gates) = known.ask(tenant, message, as_of_us, now_us, Depth::Again);
            match outcome {
                Outcome::Send => {
                    going.push(&*message);
                    continue;
                }
                Outcome::Withhold(reason) => {
                    message.state = State::Withheld;
                    message.reason = number(reason);
                }
                Outcome::Defer(until_us) => message.fire_us = until_us,
            }
            message.gates.extend(gates.into_iter().last());
            due::put_off(tx, tenant, message).await?;
        }
        due::hand(tx, tenant, &going, now_us).await
    }
}
