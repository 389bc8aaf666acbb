//! One transaction for all that waits: deduplicated, appended, counted; what is bad is kept.

use std::collections::{BTreeMap, HashMap};
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
use super::tail::{Shown, Tail, Tailed, What};
use super::tally::Tally;
use crate::domain::consent::stamp;
use crate::domain::finish::{MessageHash, Ready};
use crate::domain::plan::Findings;
use crate::domain::problem::Problem;
use crate::domain::signal::SignalRow;
use crate::metrics::IntakeMetrics;
use crate::seal::Sealer;
use crate::store::consent_counts::ConsentCountsBySource;
use crate::store::counts::{self, CountsBySource};
use crate::store::dead_letters::{self, DeadLetterRow};
use crate::store::signals;
use crate::window::{Hashes, Window};

/// Decides and writes; told to [`eventlog::GroupCommit`].
pub(super) struct CommitHandler {
    log: EventLog,
    clock: Clock,
    metrics: IntakeMetrics,
    tail: Tail,
    tally: Tally,
    window: Window,
    dedupe_window_us: i64,
    sealer: Arc<Sealer>,
    /// What the open transaction adds to the metrics once it is committed.
    uncommitted: CountsBySource,
    uncommitted_consent: ConsentCountsBySource,
    /// What it shows then to those who watch.
    unshown: HashMap<(TenantId, String), Shown>,
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
    signals: Vec<SignalRow>,
    /// What breaks tracking plans, each with its source; of letters only once it is known that they are new.
    found: Vec<(String, Box<Findings>)>,
    found_in_letters: HashMap<String, Box<Findings>>,
}

impl CommitHandler {
    pub(super) fn new(
        log: EventLog,
        clock: Clock,
        metrics: IntakeMetrics,
        tail: Tail,
        (window, dedupe_window_us): (Window, i64),
        sealer: Arc<Sealer>,
    ) -> Self {
        Self {
            log,
            clock,
            metrics,
            tail,
            tally: Tally::default(),
            window,
            dedupe_window_us,
            sealer,
            uncommitted: CountsBySource::new(),
            uncommitted_consent: ConsentCountsBySource::new(),
            unshown: HashMap::new(),
        }
    }
}

impl Handler<Submission, Vec<Verdict>> for CommitHandler {
    async fn handle(&mut self, tx: &mut Tx, submissions: Vec<Submission>) -> Result<Vec<Vec<Verdict>>, Error> {
        self.uncommitted.clear();
        self.uncommitted_consent.clear();
        self.unshown.clear();
        let now_us = self.clock.now_us();
        let consenting = Consenting::decide(tx, &submissions, &self.sealer, now_us).await?;
        let mut fresh = HashMap::new();
        for (tenant, hashes) in distinct_messages(&submissions, &consenting) {
            let cutoff_us = now_us.saturating_sub(self.dedupe_window_us);
            let new = self.window.insert_new(tx, &tenant, &hashes, (now_us, cutoff_us)).await?;
            fresh.insert(tenant, new);
        }

        let consenting = consenting.settle(tx, &self.sealer, &submissions).await?;
        let mut sorting = Sorting {
            fresh,
            consenting,
            writes: BTreeMap::new(),
            counts: CountsBySource::new(),
            tail: &self.tail,
            shown: HashMap::new(),
            now_us,
        };
        let verdicts = submissions.into_iter().enumerate().map(|(index, one)| sorting.sort(index, one)).collect();
        let Sorting { consenting, writes, mut counts, shown, .. } = sorting;
        self.unshown = shown;
        self.uncommitted_consent = consenting.hold(tx, &self.sealer).await?;

        // The log's partitions are locked from the first append on: everything else comes before.
        let mut records = Vec::new();
        for (tenant, mut writes) in writes {
            write_letters(tx, &tenant, &mut writes, &mut counts).await?;
            signals::put(tx, &tenant, &writes.signals).await?;
            if !writes.found.is_empty() {
                self.tally.add(tx, &tenant, &writes.found, now_us).await?;
            }
            for source_id in writes.released {
                counts.entry((tenant.clone(), source_id)).or_default().accepted += 1;
            }
            records.push((tenant, writes.records));
        }
        counts::add(tx, &counts).await?;
        for (tenant, records) in records {
            self.log.append(tx, &tenant, records).await?;
        }
        self.uncommitted = counts;
        Ok(verdicts)
    }

    fn committed(&mut self) {
        for ((_, source_id), counts) in std::mem::take(&mut self.uncommitted) {
            self.metrics.count(&source_id, &counts);
        }
        for counts in std::mem::take(&mut self.uncommitted_consent).into_values() {
            self.metrics.count_consent(&counts);
        }
        self.tail.show(std::mem::take(&mut self.unshown));
        self.tally.committed();
        self.window.committed();
    }

    fn rolled_back(&mut self) {
        self.uncommitted.clear();
        self.uncommitted_consent.clear();
        self.unshown.clear();
        self.tally.rolled_back();
        self.window.rolled_back();
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
struct Sorting<'a> {
    /// New messages that no event has claimed yet; the first in order of arrival does.
    fresh: HashMap<TenantId, Hashes>,
    consenting: Consenting,
    writes: BTreeMap<TenantId, Writes>,
    counts: CountsBySource,
    tail: &'a Tail,
    /// What is shown to those who watch.
    shown: HashMap<(TenantId, String), Shown>,
    now_us: i64,
}

impl Sorting<'_> {
    fn sort(&mut self, index: usize, submission: Submission) -> Vec<Verdict> {
        let Submission { source, traceparent, items, .. } = submission;
        let mut no_messages = Hashes::default();
        let fresh = self.fresh.get_mut(&source.tenant).unwrap_or(&mut no_messages);
        let writes = self.writes.entry(source.tenant.clone()).or_default();
        let counts = self.counts.entry((source.tenant.clone(), source.source_id.clone())).or_default();
        let mut watched = match self.tail.watches(&source.tenant, &source.source_id) {
            true => Some(self.shown.entry((source.tenant.clone(), source.source_id.clone())).or_default()),
            false => None,
        };
        let received_us = self.now_us;

        let mut verdicts = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            let place = (index, place);
            // What waited for the answer that this event brings comes in before it.
            for Released { source_id, record } in self.consenting.take_released(place) {
                writes.released.push(source_id);
                writes.records.push(record);
            }
            let fate = self.consenting.take_fate(place);
            let what = watched.as_ref().map(|_| match fate {
                // Not even a repetition of what waits is shown.
                Some(Fate::Held | Fate::Denied) => What::Letter { event_name: String::new(), library: String::new() },
                Some(Fate::In(_)) | None => what(&item.arrived),
            });
            let verdict = match (item.arrived, item.replays) {
                (Arrived::Ready(mut ready), replays) => {
                    writes.replayed.extend(replays);
                    let gate = ready.gate.take();
                    match (fate, gate) {
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
                            writes.signals.extend(ready.signal.take().map(|signal| *signal));
                            counts.accepted += 1;
                            counts.bot += i64::from(ready.bot);
                            counts.late += i64::from(ready.late);
                            if let Some(findings) = ready.findings.take() {
                                counts.off_plan += 1;
                                writes.found.push((source.source_id.clone(), findings));
                            }
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
                (Arrived::Refused(letter, mut problem), None) => {
                    let verdict = quarantined(&problem, letter.dead_letter_id.clone());
                    if let Some(findings) = problem.findings.take() {
                        writes.found_in_letters.insert(letter.dead_letter_id.clone(), findings);
                    }
                    writes.letters.push(letter);
                    verdict
                }
            };
            if let (Some(shown), Some(what)) = (&mut watched, what) {
                shown.add(|| Tailed { what: shown_of(&verdict, what), verdict: verdict.clone(), received_us });
            }
            verdicts.push(verdict);
        }
        verdicts
    }
}

/// Keeps what is bad, lets go of what was replayed, and counts the dead letters that are new.
async fn write_letters(
    tx: &mut Tx,
    tenant: &TenantId,
    writes: &mut Writes,
    counts: &mut CountsBySource,
) -> Result<(), Error> {
    dead_letters::delete(tx, tenant, &writes.replayed).await?;
    for (dead_letter_id, problem) in &writes.still_refused {
        let (reason, message) = (problem.reason.as_str(), &problem.message);
        dead_letters::set_reason(tx, tenant, dead_letter_id, reason, message).await?;
    }
    // Two of one id in one statement would each count as new.
    let mut letters = std::mem::take(&mut writes.letters);
    letters.sort_by(|one, other| one.dead_letter_id.cmp(&other.dead_letter_id));
    letters.dedup_by(|one, other| one.dead_letter_id == other.dead_letter_id);
    let new = dead_letters::insert(tx, tenant, &letters).await?;
    for letter in letters.iter().filter(|letter| new.contains(&letter.dead_letter_id)) {
        let counts = counts.entry((tenant.clone(), letter.source_id.clone())).or_default();
        counts.quarantined += 1;
        match writes.found_in_letters.remove(&letter.dead_letter_id) {
            Some(findings) => writes.found.push((letter.source_id.clone(), findings)),
            None => counts.invalid += 1,
        }
    }
    Ok(())
}

fn record(ready: Ready, traceparent: Option<String>) -> Record {
    Record { key: ready.key, payload: ready.payload, event_time_us: ready.event_time_us, traceparent }
}

/// Returns what is shown of an event with this verdict: of one that was not taken, for whatever reason, nothing.
fn shown_of(verdict: &Verdict, what: What) -> What {
    match (verdict.outcome(), what) {
        (Outcome::Accepted | Outcome::Duplicate, what) | (_, what @ What::Letter { .. }) => what,
        (_, What::Event(_)) => What::Letter { event_name: String::new(), library: String::new() },
    }
}

/// Returns what those who watch may see of an event.
fn what(arrived: &Arrived) -> What {
    match arrived {
        Arrived::Ready(ready) => What::Event(ready.payload.clone()),
        Arrived::Refused(letter, _) => {
            What::Letter { event_name: letter.event_name.clone(), library: letter.library.clone() }
        }
    }
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
