//! What scoring does with each record of the profile log.

use std::collections::{BTreeMap, BTreeSet};

use ::store::Tx;
use eventlog::{Fold, FoldError, FoldFactory, LogRecord, Unit};
use kit::TenantId;
use prost::Message;
use proto::event::v1 as event;
use proto::identity::v1::{ProfileRecord, profile_record::Body};

use crate::domain::event::{Event, What};
use crate::engine::Engine;
use crate::engine::work::{Occasion, Work};
use crate::store::profiles;
use crate::wire::{consent, domain_event};

/// Name of the follower.
pub(crate) const NAME: &str = "scoring";
/// Name of the log that it follows.
pub(crate) const LOG: &str = "profiles";

/// Opens the folds of partitions.
pub(crate) struct ProfileFolds {
    pub(crate) engine: Engine,
}

/// Folds one partition of the profile log. What it keeps in memory is in the engine, tied to the shard's lock, so that
/// nothing is to be undone here.
pub(crate) struct ProfileFold {
    engine: Engine,
    tenant: TenantId,
    partition: u32,
}

/// What a record asks for.
struct Step<'r> {
    profile_id: String,
    occasion: Occasion<'r>,
    what: Ask,
}

enum Ask {
    Fold(Event, bool),
    Update(BTreeMap<String, String>, BTreeMap<String, bool>),
    /// These are no more; what follows is restated under the person of the record.
    Absorb(Vec<String>),
    /// The person begins anew.
    Split,
    Erase,
}

impl FoldFactory for ProfileFolds {
    type Fold = ProfileFold;

    async fn open(&self, unit: &Unit) -> Result<ProfileFold, FoldError> {
        let partition = unit.partition.ok_or("scoring folds partitions, not whole tenants")?;
        Ok(ProfileFold { engine: self.engine.clone(), tenant: unit.tenant.clone(), partition })
    }
}

impl Fold for ProfileFold {
    async fn apply(&mut self, tx: &mut Tx, records: &[LogRecord]) -> Result<(), FoldError> {
        let mut steps = Vec::with_capacity(records.len());
        for record in records {
            match parse(record) {
                Ok(Some(step)) => steps.push(step),
                Ok(None) => {}
                Err(reason) => eventlog::dead_letter(tx, NAME, LOG, record, reason).await?,
            }
        }

        let mut work = Work::open(&self.engine, tx, &self.tenant, self.partition).await?;
        self.load(&mut work, tx, &mut steps).await?;
        for step in steps {
            take(&mut work, step);
        }
        work.save(tx).await?;
        Ok(())
    }
}

impl ProfileFold {
    /// Loads everybody whom the steps are about; of the absorbed only those who live here.
    async fn load(&self, work: &mut Work, tx: &mut Tx, steps: &mut [Step<'_>]) -> Result<(), FoldError> {
        for step in steps.iter_mut() {
            if let Ask::Absorb(absorbed) = &mut step.what {
                let own = absorbed.contains(&step.profile_id).then(|| step.profile_id.clone());
                *absorbed = profiles::in_partition(tx, &self.tenant, self.partition, absorbed).await?;
                absorbed.extend(own.filter(|own| !absorbed.contains(own)));
            }
        }

        let mut everybody: BTreeSet<&str> = BTreeSet::new();
        let mut with_orders: BTreeSet<&str> = BTreeSet::new();
        for step in steps.iter() {
            everybody.insert(&step.profile_id);
            match &step.what {
                Ask::Absorb(absorbed) => everybody.extend(absorbed.iter().map(String::as_str)),
                Ask::Fold(Event { what: What::Order(_), .. }, _) => {
                    with_orders.insert(&step.profile_id);
                }
                _ => {}
            }
        }
        work.load(tx, &everybody, &with_orders).await?;
        Ok(())
    }
}

fn take(work: &mut Work, step: Step<'_>) {
    let Step { profile_id, occasion, what } = step;
    match what {
        Ask::Fold(event, restated) => work.fold(&profile_id, &event, restated, occasion),
        Ask::Update(traits, consents) => work.update(&profile_id, traits, consents, occasion),
        Ask::Absorb(absorbed) => {
            for absorbed_id in &absorbed {
                work.forget(absorbed_id, occasion);
            }
            if !absorbed.contains(&profile_id) {
                work.begin_restating(&profile_id);
            }
        }
        Ask::Split => {
            work.forget(&profile_id, occasion);
            work.begin_restating(&profile_id);
        }
        Ask::Erase => work.forget(&profile_id, occasion),
    }
}

/// Returns what a record asks for; nothing when it holds what a later release publishes.
fn parse(record: &LogRecord) -> Result<Option<Step<'_>>, &'static str> {
    let told = ProfileRecord::decode(record.record.payload.as_ref()).map_err(|_| "not a ProfileRecord")?;
    if told.profile_id.is_empty() {
        return Err("names no profile");
    }
    let at_us = match record.record.event_time_us {
        0 => record.append_time_us,
        event_time_us => event_time_us,
    };
    let Some(body) = told.body else { return Ok(None) };
    let what = match body {
        Body::Event(told) => {
            let event = event::Event::decode(told.event.as_ref()).map_err(|_| "holds something else than an Event")?;
            Ask::Fold(domain_event(&event, at_us), told.restated)
        }
        Body::Updated(updated) => {
            let profile = updated.profile.unwrap_or_default();
            let traits = profile.traits.into_iter().map(|told| (told.name, told.value)).collect();
            let consents = profile.consents.iter().filter_map(consent).collect();
            Ask::Update(traits, consents)
        }
        Body::Merged(merged) => Ask::Absorb(merged.absorbed_profile_ids),
        Body::Split(_) => Ask::Split,
        Body::Erased(_) => Ask::Erase,
    };
    let occasion = Occasion { at_us, traceparent: record.record.traceparent.as_deref() };
    Ok(Some(Step { profile_id: told.profile_id, occasion, what }))
}
