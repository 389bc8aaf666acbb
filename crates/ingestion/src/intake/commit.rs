//! One transaction for all that waits: deduplicated, appended, counted; what is bad is kept.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use eventlog::{EventLog, Handler, Record};
use kit::{Clock, TenantId};
use proto::ingestion::v1::Verdict;
use proto::ingestion::v1::verdict::Outcome;
use store::{Error, Tx};

use super::admission::Fate;
use super::consenting::Consenting;
use super::lane::{Held, Released};
use super::submission::{Arrived, Submission};
use crate::domain::consent::stamp;
use crate::domain::finish::{MessageHash, Ready};
use crate::domain::problem::Problem;
use crate::metrics::IntakeMetrics;
use crate::seal::Sealer;
use crate::store::consent_counts::{ConsentCounts, ConsentCountsBySource};
use crate::store::counts::{self, Counts, CountsBySource};
use crate::store::dead_letters::{self, DeadLetterRow};
use crate::store::seen;

/// Decides and writes; told to [`eventlog::GroupCommit`].
pub(super) struct CommitHandler {
    log: EventLog,
    clock: Clock,
    metrics: IntakeMetrics,
    dedupe_window_us: i64,
    sealer: Arc<Sealer>,
    /// What the open transaction adds to the metrics once it is committed.
    uncommitted: Counted,
}

#[derive(Default)]
struct Counted {
    events: Counts,
    consent: ConsentCounts,
    bots: u64,
}

/// What is written for one tenant.
#[derive(Default)]
struct Writes {
    records: Vec<Record>,
    /// The sources of those that waited for consent.
    released: Vec<String>,
    letters: Vec<DeadLetterRow>,
    /// The source of each letter, to count those that are new.
    replayed: Vec<String>,
    still_refused: Vec<(String, Problem)>,
}

impl CommitHandler {
    pub(super) fn new(
        log: EventLog,
        clock: Clock,
        metrics: IntakeMetrics,
        dedupe_window_us: i64,
        sealer: Arc<Sealer>,
    ) -> Self {
        Self { log, clock, metrics, dedupe_window_us, sealer, uncommitted: Counted::default() }
    }
}

impl Handler<Submission, Vec<Verdict>> for CommitHandler {
    async fn handle(&mut self, tx: &mut Tx, submissions: Vec<Submission>) -> Result<Vec<Vec<Verdict>>, Error> {
        self.uncommitted = Counted::default();
        let now_us = self.clock.now_us();
        let consenting = Consenting::decide(tx, &submissions, &self.sealer, now_us).await?;
        let mut fresh = HashMap::new();
        for (tenant, hashes) in distinct_messages(&submissions, &consenting) {
            let cutoff_us = now_us.saturating_sub(self.dedupe_window_us);
            let new = seen::insert_new(tx, &tenant, hashes, now_us, cutoff_us).await?;
            fresh.insert(tenant, new);
        }

        let consenting = consenting.settle(tx, &self.sealer, &submissions).await?;
        let mut sorting =
            Sorting { fresh, consenting, writes: BTreeMap::new(), counts: CountsBySource::new(), bots: 0 };
        let verdicts = submissions.into_iter().enumerate().map(|(index, one)| sorting.sort(index, one)).collect();
        let Sorting { consenting, writes, mut counts, bots, .. } = sorting;
        let consent_counts = consenting.hold(tx, &self.sealer).await?;

        // The log's partitions are locked from the first append on: everything else comes before.
        let mut records = Vec::new();
        for (tenant, writes) in writes {
            write_letters(tx, &tenant, &writes, &mut counts).await?;
            for source_id in writes.released {
                counts.entry((tenant.clone(), source_id)).or_default().accepted += 1;
            }
            records.push((tenant, writes.records));
        }
        counts::add(tx, &counts).await?;
        for (tenant, records) in records {
            self.log.append(tx, &tenant, records).await?;
        }
        self.uncommitted = Counted { events: total(&counts), consent: consent_total(&consent_counts), bots };
        Ok(verdicts)
    }

    fn committed(&mut self) {
        let Counted { events, consent, bots } = std::mem::take(&mut self.uncommitted);
        self.metrics.count_events("accepted", events.accepted.unsigned_abs());
        self.metrics.count_events("duplicate", events.duplicate.unsigned_abs());
        self.metrics.count_events("quarantined", events.quarantined.unsigned_abs());
        for (outcome, events) in [
            ("denied", consent.denied),
            ("held", consent.held),
            ("released", consent.released),
            ("destroyed", consent.destroyed),
        ] {
            self.metrics.count_events(outcome, events.unsigned_abs());
        }
        self.metrics.bot_events.inc_by(bots);
    }

    fn rolled_back(&mut self) {
        self.uncommitted = Counted::default();
    }
}

/// Returns the messages of each tenant that are to be kept, each once.
fn distinct_messages(submissions: &[Submission], consenting: &Consenting) -> BTreeMap<TenantId, Vec<MessageHash>> {
    let mut by_tenant: BTreeMap<TenantId, Vec<MessageHash>> = BTreeMap::new();
    for (index, submission) in submissions.iter().enumerate() {
        let hashes = match by_tenant.get_mut(&submission.source.tenant) {
            Some(hashes) => hashes,
            None => by_tenant.entry(submission.source.tenant.clone()).or_default(),
        };
        for (place, item) in submission.items.iter().enumerate() {
            if let Arrived::Ready(ready) = &item.arrived
                && !consenting.denies((index, place))
            {
                hashes.push(ready.message_hash);
            }
        }
    }
    for hashes in by_tenant.values_mut() {
        hashes.sort_unstable();
        hashes.dedup();
    }
    by_tenant.retain(|_, hashes| !hashes.is_empty());
    by_tenant
}

/// Decides each event's outcome, and gathers what is to be written.
struct Sorting {
    /// New messages that no event has claimed yet; the first in order of arrival does.
    fresh: HashMap<TenantId, HashSet<MessageHash>>,
    consenting: Consenting,
    writes: BTreeMap<TenantId, Writes>,
    counts: CountsBySource,
    bots: u64,
}

impl Sorting {
    fn sort(&mut self, index: usize, submission: Submission) -> Vec<Verdict> {
        let Submission { source, traceparent, items, .. } = submission;
        let mut no_messages = HashSet::new();
        let fresh = self.fresh.get_mut(&source.tenant).unwrap_or(&mut no_messages);
        let writes = self.writes.entry(source.tenant.clone()).or_default();
        let counts = self.counts.entry((source.tenant.clone(), source.source_id.clone())).or_default();

        let mut verdicts = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            let place = (index, place);
            // What waited for the answer that this event brings comes in before it.
            for Released { source_id, record } in self.consenting.take_released(place) {
                writes.released.push(source_id);
                writes.records.push(record);
            }
            let verdict = match (item.arrived, item.replays) {
                (Arrived::Ready(mut ready), replays) => {
                    writes.replayed.extend(replays);
                    let gate = ready.gate.take();
                    match (self.consenting.take_fate(place), gate) {
                        (Some(Fate::Denied), _) => self.consenting.deny(&source),
                        _ if !fresh.remove(&ready.message_hash) => {
                            counts.duplicate += 1;
                            duplicate()
                        }
                        (Some(Fate::Held), Some(gate)) => {
                            let (source_id, traceparent) = (source.source_id.clone(), traceparent.clone());
                            self.consenting.keep(&source, Held { source_id, traceparent, gate: *gate, ready })
                        }
                        (fate, _) => {
                            if let Some(Fate::In(decision)) = fate {
                                ready.payload = stamp(&ready.payload, decision);
                            }
                            counts.accepted += 1;
                            self.bots += u64::from(ready.bot);
                            let verdict = accepted(&ready);
                            writes.records.push(record(ready, traceparent.clone()));
                            verdict
                        }
                    }
                }
                (Arrived::Refused(_, problem), Some(dead_letter_id)) => {
                    let verdict = quarantined(&problem, dead_letter_id.clone());
                    writes.still_refused.push((dead_letter_id, problem));
                    verdict
                }
                (Arrived::Refused(letter, problem), None) => {
                    let verdict = quarantined(&problem, letter.dead_letter_id.clone());
                    writes.letters.push(letter);
                    verdict
                }
            };
            verdicts.push(verdict);
        }
        verdicts
    }
}

/// Keeps what is bad, lets go of what was replayed, and counts the dead letters that are new.
async fn write_letters(
    tx: &mut Tx,
    tenant: &TenantId,
    writes: &Writes,
    counts: &mut CountsBySource,
) -> Result<(), Error> {
    dead_letters::delete(tx, tenant, &writes.replayed).await?;
    for (dead_letter_id, problem) in &writes.still_refused {
        let (reason, message) = (problem.reason.as_str(), &problem.message);
        dead_letters::set_reason(tx, tenant, dead_letter_id, reason, message).await?;
    }
    // Two of one id in one statement would each count as new.
    let mut letters = writes.letters.clone();
    letters.sort_by(|one, other| one.dead_letter_id.cmp(&other.dead_letter_id));
    letters.dedup_by(|one, other| one.dead_letter_id == other.dead_letter_id);
    let new = dead_letters::insert(tx, tenant, &letters).await?;
    for letter in letters.iter().filter(|letter| new.contains(&letter.dead_letter_id)) {
        counts.entry((tenant.clone(), letter.source_id.clone())).or_default().quarantined += 1;
    }
    Ok(())
}

fn record(ready: Ready, traceparent: Option<String>) -> Record {
    Record { key: ready.key, payload: ready.payload, event_time_us: ready.event_time_us, traceparent }
}

fn total(counts: &CountsBySource) -> Counts {
    counts.values().fold(Counts::default(), |sum, one| Counts {
        accepted: sum.accepted + one.accepted,
        duplicate: sum.duplicate + one.duplicate,
        quarantined: sum.quarantined + one.quarantined,
    })
}

fn consent_total(counts: &ConsentCountsBySource) -> ConsentCounts {
    counts.values().fold(ConsentCounts::default(), |sum, one| ConsentCounts {
        denied: sum.denied + one.denied,
        held: sum.held + one.held,
        released: sum.released + one.released,
        destroyed: sum.destroyed + one.destroyed,
    })
}

fn accepted(ready: &Ready) -> Verdict {
    Verdict { outcome: Outcome::Accepted.into(), event_id: ready.event_id.to_string(), ..Verdict::default() }
}

fn duplicate() -> Verdict {
    Verdict { outcome: Outcome::Duplicate.into(), ..Verdict::default() }
}

fn quarantined(problem: &Problem, dead_letter_id: String) -> Verdict {
    Verdict {
        outcome: Outcome::Quarantined.into(),
        reason: problem.reason.as_str().to_owned(),
        message: problem.message.clone().into_owned(),
        dead_letter_id,
        ..Verdict::default()
    }
}
