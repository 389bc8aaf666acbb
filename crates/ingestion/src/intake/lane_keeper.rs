//! Looking after what waits: what expired is destroyed, what was answered beyond its sight comes in.

use std::collections::BTreeMap;

use eventlog::EventLog;
use kit::{Clock, TenantId};
use proto::event::v1::ConsentDecision;
use proto::event::v1::consent_decision::Basis;
use store::{Db, Error, Tx};

use super::lane::{self, Ground, Verdict};
use crate::domain::consent::{Stated, Subject};
use crate::metrics::IntakeMetrics;
use crate::seal::Sealer;
use crate::store::consent_answers::{self, Answers};
use crate::store::consent_counts::{self, ConsentCountsBySource};
use crate::store::counts::{self, CountsBySource};
use crate::store::pending::{self, Waiting};

/// Events looked after in one transaction.
const AT_ONCE: i64 = 500;

/// What looking after needs.
pub(crate) struct LaneKeeper {
    pub(crate) db: Db,
    pub(crate) log: EventLog,
    pub(crate) clock: Clock,
    pub(crate) sealer: std::sync::Arc<Sealer>,
    pub(crate) metrics: IntakeMetrics,
    /// So long after a change events may still come to wait by the policy before, in microseconds.
    pub(crate) stale_policy_us: i64,
}

/// What carrying verdicts out adds to the metrics once it is committed.
pub(super) struct Counted {
    consent: ConsentCountsBySource,
    accepted: CountsBySource,
}

impl LaneKeeper {
    /// Looks after some of what is due. Returns whether there may be more.
    pub(crate) async fn look(&self) -> Result<bool, Error> {
        let now_us = self.clock.now_us();
        let due = pending::due(&self.db, now_us, AT_ONCE).await?;
        let more = due.len() as i64 == AT_ONCE;
        let mut by_tenant: BTreeMap<TenantId, Vec<Waiting>> = BTreeMap::new();
        for (tenant, waiting) in due {
            by_tenant.entry(tenant).or_default().push(waiting);
        }
        for (tenant, waiting) in by_tenant {
            let mut tx = self.db.begin().await?;
            let counted = self.settle(&mut tx, &tenant, waiting, now_us).await?;
            tx.commit().await?;
            self.count(counted);
        }
        Ok(more)
    }

    pub(super) fn count(&self, counted: Counted) {
        counted.consent.values().for_each(|counts| self.metrics.count_consent(counts));
        for ((_, source_id), counts) in &counted.accepted {
            self.metrics.count(source_id, counts);
        }
    }

    async fn settle(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        mut waiting: Vec<Waiting>,
        now_us: i64,
    ) -> Result<Counted, Error> {
        waiting.sort_by_key(|waiting| (waiting.receive_us, waiting.ordinal, waiting.message_hash));
        let subjects = subjects(&waiting);
        let answers = consent_answers::find(tx, tenant, &subjects).await?;

        let mut verdicts: Vec<Verdict> = Vec::new();
        for waiting in waiting {
            match answer(&answers, &waiting) {
                Some(stated) => {
                    let ground = stated.granted.then(|| (Ground::Answer(remembered(&waiting.purpose)), (0, 0)));
                    verdicts.push((waiting, ground));
                }
                None if waiting.expire_us <= now_us => verdicts.push((waiting, None)),
                None => {
                    let waited_us = now_us.saturating_sub(waiting.receive_us).max(1_000_000);
                    let next_us = now_us.saturating_add(waited_us).min(waiting.expire_us);
                    pending::postpone(tx, tenant, &waiting.message_hash, next_us).await?;
                }
            }
        }
        self.carry_out(tx, tenant, verdicts, now_us).await
    }

    /// Lets in and destroys.
    pub(super) async fn carry_out(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        verdicts: Vec<Verdict>,
        now_us: i64,
    ) -> Result<Counted, Error> {
        let mut consent = ConsentCountsBySource::new();
        let released = lane::finish(tx, &self.sealer, tenant, verdicts, &mut consent, now_us).await?;
        let mut accepted = CountsBySource::new();
        let mut records = Vec::new();
        for released in released.into_values().flatten() {
            accepted.entry((tenant.clone(), released.source_id)).or_default().accepted += 1;
            records.push(released.record);
        }
        counts::add(tx, &accepted).await?;
        consent_counts::add(tx, &consent).await?;
        if !records.is_empty() {
            self.log.append(tx, tenant, records).await?;
        }
        Ok(Counted { consent, accepted })
    }
}

/// Returns the newest answer to what an event waits for, of the visitor or of the account.
pub(super) fn answer(answers: &Answers, waiting: &Waiting) -> Option<Stated> {
    [Some(waiting.subject), waiting.other_subject]
        .into_iter()
        .flatten()
        .filter_map(|subject| answers.get(&(subject, waiting.purpose.clone())))
        .max_by_key(|stated| (stated.decided_us, !stated.granted))
        .copied()
}

fn remembered(purpose: &str) -> ConsentDecision {
    ConsentDecision {
        bases: vec![Basis::Remembered.into()],
        granted_purposes: vec![purpose.to_owned()],
        ..ConsentDecision::default()
    }
}

/// Returns everybody whose answer counts.
pub(super) fn subjects(waiting: &[Waiting]) -> Vec<Subject> {
    let mut subjects: Vec<Subject> =
        waiting.iter().flat_map(|waiting| [Some(waiting.subject), waiting.other_subject]).flatten().collect();
    subjects.sort_unstable();
    subjects.dedup();
    subjects
}
