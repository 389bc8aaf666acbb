//! Tracking plans: kept, tried against the log, drafted from it.

use std::collections::BTreeMap;

use kit::{Error, TenantId};
use prost::Message;
use proto::event::v1::Event;
use proto::ingestion::v1::{DraftTrackingPlanResponse, TrackingPlan, TryTrackingPlanResponse, Violation};

use crate::app::App;
use crate::domain::instant::from_timestamp;
use crate::domain::plan::{Draft, Plan};
use crate::history;
use crate::store::plans::{self, PlanRow};
use crate::store::violations;
use kit::time::timestamp;

/// Most things that a try tells apart.
const MAX_TOLD: usize = 5_000;
/// Most entries that a try shows.
const MAX_SHOWN: usize = 500;

impl App {
    /// Keeps a plan in the place of the one before.
    pub(crate) async fn put_plan(
        &self,
        tenant: &TenantId,
        plan: TrackingPlan,
        expected_version: u64,
    ) -> Result<TrackingPlan, Error> {
        self.source(tenant, &plan.source_id).await?;
        compile(&plan)?;
        let plan = TrackingPlan { version: 0, update_time: None, ..plan };
        let update_us = self.clock.now_us();
        let mut tx = self.db.begin().await?;
        let version = plans::put(&mut tx, tenant, &plan.source_id, update_us, &plan.encode_to_vec()).await?;
        let before = version.unsigned_abs() - 1;
        if expected_version != 0 && expected_version != before {
            tx.rollback().await?;
            let message = format!("the plan has version {before}, not {expected_version}");
            return Err(Error::aborted("PLAN_CHANGED", message));
        }
        tx.commit().await?;
        self.directory.forget_controls(tenant, &plan.source_id);
        Ok(TrackingPlan { version: version.unsigned_abs(), update_time: Some(timestamp(update_us)), ..plan })
    }

    /// Returns the plan of a source. `NOT_FOUND` when it has none.
    pub(crate) async fn plan(&self, tenant: &TenantId, source_id: &str) -> Result<TrackingPlan, Error> {
        let row = plans::find(&self.db, tenant, source_id).await?;
        let row = row.ok_or_else(|| Error::not_found("PLAN_NOT_FOUND", "the tenant's source has no tracking plan"))?;
        Ok(stored(row)?)
    }

    /// Removes the plan of a source with what was counted.
    pub(crate) async fn delete_plan(&self, tenant: &TenantId, source_id: &str) -> Result<(), Error> {
        if source_id.contains('\0') {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        plans::delete(&mut tx, tenant, source_id).await?;
        violations::delete(&mut tx, tenant, source_id).await?;
        tx.commit().await?;
        self.directory.forget_controls(tenant, source_id);
        Ok(())
    }

    /// Holds the last events of the plan's source against it.
    pub(crate) async fn try_plan(
        &self,
        tenant: &TenantId,
        plan: TrackingPlan,
        events: usize,
    ) -> Result<TryTrackingPlanResponse, Error> {
        self.source(tenant, &plan.source_id).await?;
        let plan = if plan.rules.is_empty() { self.plan(tenant, &plan.source_id).await? } else { plan };
        let compiled = compile(&plan)?;
        let mut response = TryTrackingPlanResponse::default();
        let mut told = Told::new();
        let see = |event: Event| {
            response.checked += 1;
            let found = compiled.find(&event);
            if !compiled.plans(&event.name) {
                response.unplanned += 1;
            } else if !found.is_empty() {
                response.violating += 1;
            }
            let library = event.provenance.map(|provenance| provenance.library).unwrap_or_default();
            let time = event.event_time.and_then(|time| from_timestamp(&time).ok()).unwrap_or_default();
            for finding in found {
                let key = (event.name.clone(), finding.field, finding.rule, library.clone());
                if told.len() < MAX_TOLD || told.contains_key(&key) {
                    let (count, first, last) = told.entry(key).or_insert((0, time, time));
                    (*count, *first, *last) = (*count + 1, (*first).min(time), (*last).max(time));
                }
            }
        };
        history::see_last(&self.log, tenant, &plan.source_id, events, see).await?;
        response.violations = shown(told, &plan.source_id);
        Ok(response)
    }

    /// Drafts a plan from the last events of a source.
    pub(crate) async fn draft_plan(
        &self,
        tenant: &TenantId,
        source_id: &str,
        events: usize,
    ) -> Result<DraftTrackingPlanResponse, Error> {
        self.source(tenant, source_id).await?;
        let mut draft = Draft::default();
        history::see_last(&self.log, tenant, source_id, events, |event| draft.see(&event)).await?;
        Ok(draft.finish(source_id))
    }
}

/// How often, first and last, by event, field, rule and library.
type Told = BTreeMap<(String, String, &'static str, String), (u64, i64, i64)>;

fn shown(told: Told, source_id: &str) -> Vec<Violation> {
    let violation = |((event_name, field, rule, library), (count, first_us, last_us))| Violation {
        source_id: source_id.to_owned(),
        event_name,
        field,
        rule: String::from(rule),
        library,
        count,
        first_time: Some(timestamp(first_us)),
        last_time: Some(timestamp(last_us)),
    };
    let mut violations: Vec<Violation> = told.into_iter().map(violation).collect();
    // The sort is stable: what is equally frequent stays in the order of its names.
    violations.sort_by_key(|violation| std::cmp::Reverse(violation.count));
    violations.truncate(MAX_SHOWN);
    violations
}

fn compile(plan: &TrackingPlan) -> Result<Plan, Error> {
    Plan::compile(plan).map_err(|faults| {
        let mut violations = kit::Violations::new();
        for (field, fault) in faults {
            violations.add(field, fault);
        }
        violations.finish().expect_err("there are faults")
    })
}

/// Returns a plan as it was put.
pub(crate) fn stored(row: PlanRow) -> Result<TrackingPlan, store::Error> {
    let plan =
        TrackingPlan::decode(row.plan.as_slice()).map_err(|_| store::Error::Damaged("a tracking plan".into()))?;
    Ok(TrackingPlan { version: row.version.unsigned_abs(), update_time: Some(timestamp(row.update_us)), ..plan })
}

/// Compiles a stored plan; `None` for one of a newer version of this service, whose keywords are not known here.
pub(crate) fn compile_stored(row: PlanRow) -> Result<Option<Plan>, store::Error> {
    let plan = stored(row)?;
    match Plan::compile(&plan) {
        Ok(compiled) => Ok(Some(compiled)),
        Err(faults) => {
            tracing::error!(
                source.id = plan.source_id,
                faults = faults.len(),
                "a stored tracking plan is not in force"
            );
            Ok(None)
        }
    }
}
