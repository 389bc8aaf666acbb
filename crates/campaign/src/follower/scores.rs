//! Follows the score log: who is in which segment, and what entering one sets off.

use std::collections::BTreeSet;

use ::store::Tx;
use eventlog::{Fold, FoldError, FoldFactory, LogRecord, Unit, dead_letter};
use kit::{Clock, TenantId};
use prost::Message;
use proto::scoring::v1::{ScoreRecord, SegmentEntered, score_record::Body};

use super::plan::{Cause, Plan};
use crate::{
    NAME, SCORE_LOG,
    domain::{
        campaign::{Definition, Trigger},
        ids,
        time::{micros, micros_or_zero},
    },
    engine::wake::Wake,
    store::{campaigns, memberships},
};

/// Opens the fold of each partition that this replica owns.
pub(crate) struct SegmentFolds {
    pub(crate) clock: Clock,
    pub(crate) wake: Wake,
}

impl FoldFactory for SegmentFolds {
    type Fold = SegmentFold;

    async fn open(&self, unit: &Unit) -> Result<SegmentFold, FoldError> {
        Ok(SegmentFold {
            tenant: unit.tenant.clone(),
            clock: self.clock.clone(),
            wake: self.wake.clone(),
            first_due_us: None,
        })
    }
}

/// Folds the records of one partition. Keeps nothing in memory: segments change seldom.
pub(crate) struct SegmentFold {
    tenant: TenantId,
    clock: Clock,
    wake: Wake,
    first_due_us: Option<i64>,
}

impl Fold for SegmentFold {
    async fn apply(&mut self, tx: &mut Tx, records: &[LogRecord]) -> Result<(), FoldError> {
        self.first_due_us = None;
        let mut told = Vec::with_capacity(records.len());
        for record in records {
            match ScoreRecord::decode(record.record.payload.clone()) {
                Ok(score) if !score.profile_id.is_empty() => {
                    told.push((score, record.record.traceparent.as_deref().unwrap_or_default()));
                }
                _ => dead_letter(tx, NAME, SCORE_LOG, record, "not a score record").await?,
            }
        }
        let profile_ids: BTreeSet<&str> = told.iter().map(|(score, _)| score.profile_id.as_str()).collect();
        let profile_ids: Vec<&str> = profile_ids.into_iter().collect();
        let mut stays = memberships::of_profiles(tx, &self.tenant, &profile_ids).await?;
        let mut changed: BTreeSet<(String, String)> = BTreeSet::new();
        let campaigns = campaigns::definitions(tx, &self.tenant).await?;
        let mut plan = Plan::default();

        for (score, traceparent) in &told {
            let segment_id = match &score.body {
                Some(Body::SegmentEntered(entered)) => &entered.segment_id,
                Some(Body::SegmentExited(exited)) => &exited.segment_id,
                None => continue,
            };
            let key = (score.profile_id.clone(), segment_id.clone());
            let stay = stays.entry(key.clone()).or_default();
            match &score.body {
                Some(Body::SegmentEntered(entered)) => {
                    let enter_us = micros_or_zero(entered.enter_time.as_ref());
                    match &entered.former_enter_time {
                        Some(former) => stay.redate(micros(former), enter_us),
                        None => stay.enter(enter_us),
                    }
                    self.trigger(&mut plan, &campaigns, &score.profile_id, entered, traceparent);
                }
                Some(Body::SegmentExited(exited)) => stay.exit(micros_or_zero(exited.exit_time.as_ref())),
                None => {}
            }
            changed.insert(key);
        }

        let rows: Vec<_> = changed.iter().filter_map(|key| Some((key, stays.get(key)?))).collect();
        memberships::save(tx, &self.tenant, &rows).await?;
        plan.write(tx, &self.tenant).await?;
        self.first_due_us = plan.first_due_us();
        Ok(())
    }

    fn committed(&mut self) {
        if let Some(due_us) = self.first_due_us.take() {
            self.wake.scheduled(&self.tenant, due_us);
        }
    }

    fn rolled_back(&mut self) {
        self.first_due_us = None;
    }
}

impl SegmentFold {
    fn trigger(
        &self,
        plan: &mut Plan,
        campaigns: &[Definition],
        profile_id: &str,
        entered: &SegmentEntered,
        traceparent: &str,
    ) {
        if entered.backfilled && !entered.restated {
            return;
        }
        let now_us = self.clock.now_us();
        let time_us = micros_or_zero(entered.enter_time.as_ref());
        for campaign in campaigns {
            let Trigger::SegmentEntered { segment_id, delay_us } = &campaign.trigger else { continue };
            let due_us = time_us.saturating_add(*delay_us);
            if *segment_id != entered.segment_id || !campaign.takes(time_us, due_us, now_us) {
                continue;
            }
            // What fell due before was decided for those whom the events were told of then.
            let is_ahead = due_us > now_us;
            if entered.restated && !is_ahead {
                continue;
            }
            let cause = Cause {
                profile_id,
                name: ids::segment_cause(segment_id, profile_id, time_us),
                text: format!("entered segment {segment_id}"),
                time_us,
                due_us,
                traceparent,
            };
            match &entered.former_enter_time {
                Some(former) => plan.redate(&self.tenant, campaign, micros(former), cause, is_ahead),
                None => plan.schedule(&self.tenant, campaign, cause, entered.restated),
            }
        }
    }
}
