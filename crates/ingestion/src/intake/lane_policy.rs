//! What waits when a policy changes: decided again by the policy in force. What is allowed by now comes in, what is denied
//! is destroyed, what still has to ask waits on.
//!
//! That it is to be done stands in the policy's row from the transaction that changes it until it is done, so a crash
//! only begins it again. Beginning again is safe: what was let in or destroyed does not wait any more.

use std::collections::HashMap;

use kit::TenantId;
use prost::Message;
use proto::event::v1::Event;
use store::{Error, Tx};

use super::lane::{self, Ground, Verdict};
use super::lane_keeper::{Counted, LaneKeeper, answer, subjects};
use crate::directory::policy_of;
use crate::domain::consent::{Outcome, Policy, Subject, decide_again};
use crate::store::consent_answers;
use crate::store::consent_policies::{self, Unsettled};
use crate::store::pending::{self, Waiting};

/// Changes looked at in one round.
const CHANGES_AT_ONCE: i64 = 1_000;
/// People whose events are decided in one transaction, so that each keeps the order of their events: what waits for one
/// is bounded, and this many fit into a transaction.
const PEOPLE_AT_ONCE: i64 = 10;

/// Which changes this process went through while events may still have come to wait by the policy before: they are gone
/// through once more when that is over.
#[derive(Default)]
pub(crate) struct GoneThrough(HashMap<(TenantId, String), i64>);

impl LaneKeeper {
    /// Decides again over what waits under policies that changed.
    pub(crate) async fn settle_policies(&self, gone_through: &mut GoneThrough) -> Result<(), Error> {
        for change in consent_policies::unsettled(&self.db, CHANGES_AT_ONCE).await? {
            let is_last = self.clock.now_us() > change.update_us.saturating_add(self.stale_policy_us);
            let key = (change.tenant.clone(), change.source_id.clone());
            if !is_last && gone_through.0.get(&key) == Some(&change.version) {
                continue;
            }
            self.go_through(&change).await?;
            if !is_last {
                gone_through.0.insert(key, change.version);
                continue;
            }
            gone_through.0.remove(&key);
            let mut tx = self.db.begin().await?;
            consent_policies::settle(&mut tx, &change).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn go_through(&self, change: &Unsettled) -> Result<(), Error> {
        let Unsettled { tenant, source_id, .. } = change;
        let mut after: Vec<u8> = Vec::new();
        loop {
            let people = pending::subjects_after(&self.db, tenant, source_id, &after, PEOPLE_AT_ONCE).await?;
            let Some(last) = people.last() else { return Ok(()) };
            after = last.to_vec();
            let mut tx = self.db.begin().await?;
            let counted = self.decide_again(&mut tx, change, &people).await?;
            tx.commit().await?;
            self.count(counted);
        }
    }

    async fn decide_again(&self, tx: &mut Tx, change: &Unsettled, people: &[Subject]) -> Result<Counted, Error> {
        let tenant = &change.tenant;
        let now_us = self.clock.now_us();
        let is_meant = |waiting: &Waiting| {
            let of_source = change.source_id.is_empty() || waiting.source_id == change.source_id;
            // What waits for somebody else is theirs to order.
            of_source && people.contains(&waiting.subject)
        };
        let waiting: Vec<Waiting> = pending::list(tx, tenant, people).await?.into_iter().filter(is_meant).collect();
        let policies = policies(tx, tenant, &waiting).await?;
        let answers = consent_answers::find(tx, tenant, &subjects(&waiting)).await?;
        let kept = lane::open(tx, &self.sealer, tenant, &waiting.iter().collect::<Vec<_>>()).await?;

        let mut verdicts: Vec<Verdict> = Vec::new();
        for waiting in waiting {
            // What cannot be opened stays for its time: the key of the configuration may come back.
            let Some(kept) = kept.get(&waiting.message_hash) else { continue };
            let Some(policy) = policies.get(&waiting.source_id) else { continue };
            let damaged = |_| Error::Damaged("an event that waits for consent cannot be read".into());
            let mut event = Event::decode(kept.event.clone()).map_err(damaged)?;
            let before = kept.decision.clone().unwrap_or_default();
            let Some(gate) = decide_again(&mut event, &before, policy, tenant) else {
                let decision = event.context.and_then(|context| context.consent_decision).unwrap_or_default();
                verdicts.push((waiting, Some((Ground::Policy(decision), (0, 0)))));
                continue;
            };
            let asked = Waiting { purpose: gate.purpose.clone(), ..waiting.clone() };
            match gate.outcome(|| answer(&answers, &asked)) {
                Outcome::In(decision) => verdicts.push((waiting, Some((Ground::Policy(decision), (0, 0))))),
                Outcome::Denied => verdicts.push((waiting, None)),
                Outcome::Ask => wait_on(tx, tenant, &waiting, asked, gate.hold_us).await?,
            }
        }
        self.carry_out(tx, tenant, verdicts, now_us).await
    }
}

/// Lets an event wait for what the policy asks by now, never longer than it was to wait when it came.
async fn wait_on(tx: &mut Tx, tenant: &TenantId, before: &Waiting, asked: Waiting, hold_us: i64) -> Result<(), Error> {
    let expire_us = before.expire_us.min(before.receive_us.saturating_add(hold_us));
    let waiting = Waiting { expire_us, due_us: before.due_us.min(expire_us), ..asked };
    if waiting == *before { Ok(()) } else { pending::change(tx, tenant, &waiting).await }
}

/// Returns the policies in force, by source.
async fn policies(tx: &mut Tx, tenant: &TenantId, waiting: &[Waiting]) -> Result<HashMap<String, Policy>, Error> {
    let mut policies = HashMap::new();
    for Waiting { source_id, .. } in waiting {
        if !policies.contains_key(source_id) {
            let found = consent_policies::find_within(tx, tenant, source_id).await?;
            let policy = found.as_ref().map(policy_of).transpose()?;
            policies.insert(source_id.clone(), policy.as_ref().map(Policy::new).unwrap_or_default());
        }
    }
    Ok(policies)
}
