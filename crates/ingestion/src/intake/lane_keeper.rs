//! Looking after what waits: what expired is destroyed, what was answered beyond its sight comes in.

use std::collections::BTreeMap;

use eventlog::EventLog;
use kit::{Clock, TenantId};
use proto::event::v1::ConsentDecision;
use proto::event::v1::consent_decision::Basis;
use store::{Db, Error, Tx};

use super::lane::{self, Verdict};
use crate::domain::consent::Subject;
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
            let (counted, accepted) = self.settle(&mut tx, &tenant, waiting, now_us).await?;
            tx.commit().await?;
            counted.values().for_each(|counts| self.metrics.count_consent(counts));
            for ((_, source_id), counts) in &accepted {
                self.metrics.count(source_id, counts);
            }
        }
        Ok(more)
    }

    async fn settle(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        mut waiting: Vec<Waiting>,
        now_us: i64,
    ) -> Result<(ConsentCountsBySource, CountsBySource), Error> {
        waiting.sort_by_key(|waiting| (waiting.receive_us, waiting.ordinal, waiting.message_hash));
        let mut subjects: Vec<Subject> =
            waiting.iter().flat_map(|waiting| [Some(waiting.subject), waiting.other_subject]).flatten().collect();
        subjects.sort_unstable();
        subjects.dedup();
        let answers = consent_answers::find(tx, tenant, &subjects).await?;

        let mut verdicts: Vec<Verdict> = Vec::new();
        for waiting in waiting {
            match answer(&answers, &waiting) {
                Some(granted) => {
                    let decision = granted.then(|| (remembered(&waiting.purpose), (0, 0)));
                    verdicts.push((waiting, decision));
                }
                None if waiting.expire_us <= now_us => verdicts.push((waiting, None)),
                None => {
                    let waited_us = now_us.saturating_sub(waiting.receive_us).max(1_000_000);
                    let next_us = now_us.saturating_add(waited_us).min(waiting.expire_us);
                    pending::postpone(tx, tenant, &waiting.message_hash, next_us).await?;
                }
            }
        }
        let mut counted = ConsentCountsBySource::new();
        let released = lane::finish(tx, &self.sealer, tenant, verdicts, &mut counted, now_us).await?;
        let mut accepted = CountsBySource::new();
        let mut records = Vec::new();
        for released in released.into_values().flatten() {
            accepted.entry((tenant.clone(), released.source_id)).or_default().accepted += 1;
            records.push(released.record);
        }
        counts::add(tx, &accepted).await?;
        consent_counts::add(tx, &counted).await?;
        if !records.is_empty() {
            self.log.append(tx, tenant, records).await?;
        }
        Ok((counted, accepted))
    }
}

/// Returns the newest answer to what an event waits for, of the visitor or of the account.
fn answer(answers: &Answers, waiting: &Waiting) -> Option<bool> {
    [Some(waiting.subject), waiting.other_subject]
        .into_iter()
        .flatten()
        .filter_map(|subject| answers.get(&(subject, waiting.purpose.clone())))
        .max_by_key(|stated| (stated.decided_us, !stated.granted))
        .map(|stated| stated.granted)
}

fn remembered(purpose: &str) -> ConsentDecision {
    ConsentDecision {
        bases: vec![Basis::Remembered.into()],
        granted_purposes: vec![purpose.to_owned()],
        ..ConsentDecision::default()
    }
}
