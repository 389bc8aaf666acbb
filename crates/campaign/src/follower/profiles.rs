//! Follows the profile log: what is known of each person, and what baskets and orders set off.

use std::collections::{BTreeSet, HashMap};

use ::store::{Error, Tx};
use eventlog::{Fold, FoldError, FoldFactory, LogRecord, Unit, dead_letter};
use kit::{Clock, TenantId};
use proto::campaign::v1::Reason;

use super::{
    plan::{Cause, Plan},
    recent::Recent,
    signal::{self, Signal, What},
};
use crate::{
    NAME, PROFILE_LOG,
    domain::{
        basket,
        campaign::{Definition, Trigger},
        contact::{BasketChange, Contact, Product},
        ids,
        message::number,
    },
    engine::wake::Wake,
    store::{campaigns, contacts, feedback, gone, leases, memberships, messages},
};

/// Opens the fold of each partition that this replica owns.
pub(crate) struct ContactFolds {
    pub(crate) clock: Clock,
    pub(crate) wake: Wake,
    /// People kept in memory per partition.
    pub(crate) cached_contacts: usize,
}

impl FoldFactory for ContactFolds {
    type Fold = ContactFold;

    async fn open(&self, unit: &Unit) -> Result<ContactFold, FoldError> {
        Ok(ContactFold {
            tenant: unit.tenant.clone(),
            clock: self.clock.clone(),
            wake: self.wake.clone(),
            known: Recent::new(self.cached_contacts),
            pending: Pending::default(),
        })
    }
}

/// Folds the records of one partition.
pub(crate) struct ContactFold {
    tenant: TenantId,
    clock: Clock,
    wake: Wake,
    /// As committed.
    known: Recent<Contact>,
    pending: Pending,
}

/// What a batch has changed and not yet committed.
#[derive(Default)]
struct Pending {
    contacts: HashMap<String, Touched>,
    plan: Plan,
    /// Loaded when first needed.
    campaigns: Option<Vec<Definition>>,
    traceparent: String,
}

/// A person in the batch.
#[derive(Default)]
struct Touched {
    contact: Contact,
    changed: bool,
    gone: bool,
}

impl Fold for ContactFold {
    async fn apply(&mut self, tx: &mut Tx, records: &[LogRecord]) -> Result<(), FoldError> {
        self.pending = Pending::default();
        let mut signals = Vec::new();
        for record in records {
            match signal::read(record) {
                Ok(found) => signals.extend(found),
                Err(reason) => dead_letter(tx, NAME, PROFILE_LOG, record, reason).await?,
            }
        }
        if signals.is_empty() {
            return Ok(());
        }
        if signals.iter().any(|signal| matches!(signal.body, What::Merged { .. } | What::Split { .. } | What::Erased)) {
            // First of all, so that a decision about a person and a change of who the person is never cross.
            leases::lock(tx, &self.tenant).await?;
        }

        self.load(tx, &signals).await?;
        for signal in signals {
            self.fold(tx, signal).await?;
        }
        self.write(tx).await?;
        Ok(())
    }

    fn committed(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if let Some(due_us) = pending.plan.first_due_us() {
            self.wake.scheduled(&self.tenant, due_us);
        }
        for (profile_id, touched) in pending.contacts {
            self.known.put(profile_id, touched.contact);
        }
    }

    fn rolled_back(&mut self) {
        self.pending = Pending::default();
    }
}

impl ContactFold {
    /// Brings the people of the batch into memory.
    async fn load(&mut self, tx: &mut Tx, signals: &[Signal]) -> Result<(), Error> {
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        for signal in signals {
            let profile_id = signal.profile_id.as_str();
            if self.pending.contacts.contains_key(profile_id) || missing.contains(profile_id) {
                continue;
            }
            match self.known.get(profile_id) {
                Some(contact) => {
                    let touched = Touched { contact: contact.clone(), ..Touched::default() };
                    self.pending.contacts.insert(profile_id.to_owned(), touched);
                }
                None => {
                    missing.insert(profile_id);
                }
            }
        }
        let missing: Vec<&str> = missing.into_iter().collect();
        let mut found = contacts::find_many(tx, &self.tenant, &missing).await?;
        for profile_id in missing {
            let contact = found.remove(profile_id).unwrap_or_default();
            self.pending.contacts.insert(profile_id.to_owned(), Touched { contact, ..Touched::default() });
        }
        Ok(())
    }

    async fn fold(&mut self, tx: &mut Tx, signal: Signal) -> Result<(), Error> {
        let Signal { profile_id, body, traceparent } = signal;
        self.pending.traceparent = traceparent;
        match body {
            What::Updated(profile) => {
                let touched = self.touched(&profile_id);
                touched.changed |= touched.contact.update(&profile);
                Ok(())
            }
            What::Basket { change, restated } => self.basket(tx, &profile_id, change, restated).await,
            What::Ordered { order_id, time_us, products, restated } => {
                self.order(tx, &profile_id, &order_id, time_us, products, restated).await
            }
            What::Cancelled { order_id, time_us } => {
                let touched = self.touched(&profile_id);
                touched.changed |= touched.contact.cancel_order(&order_id, time_us);
                Ok(())
            }
            What::Merged { survivor_id, absorbed_ids } => {
                self.merge(tx, &profile_id, &survivor_id, &absorbed_ids).await
            }
            What::Split { new_ids } => {
                // The events of each follow, restated, and bring the scheduled messages that they caused with them.
                self.forget(&profile_id);
                for living in new_ids.iter().chain([&profile_id]) {
                    gone::returned(tx, &self.tenant, living).await?;
                }
                Ok(())
            }
            What::Erased => self.erase(tx, &profile_id).await,
        }
    }

    /// A basket changed: the message that the change before has set off moves to this one.
    async fn basket(
        &mut self,
        tx: &mut Tx,
        profile_id: &str,
        change: BasketChange,
        restated: bool,
    ) -> Result<(), Error> {
        self.load_campaigns(tx).await?;
        let now_us = self.clock.now_us();
        let touched = touched(&mut self.pending.contacts, profile_id);
        if !touched.contact.change_basket(change.clone()) {
            return Ok(());
        }
        touched.changed = true;

        let changes = &touched.contact.basket;
        let Some(index) = changes.iter().position(|known| known.event_id == change.event_id) else { return Ok(()) };
        for campaign in self.pending.campaigns.iter().flatten() {
            let Trigger::AbandonedBasket { delay_us } = campaign.trigger else { continue };
            if let Some(before) = basket::formerly_ending(changes, index, delay_us) {
                self.pending.plan.cancel(&self.tenant, campaign, &ids::basket_cause(&before.event_id));
            }
            let due_us = change.time_us.saturating_add(delay_us);
            if !campaign.takes(change.time_us, due_us, now_us) {
                continue;
            }
            let cause = Cause {
                profile_id,
                name: ids::basket_cause(&change.event_id),
                text: format!("basket changed (event {})", change.event_id),
                time_us: change.time_us,
                due_us,
                traceparent: &self.pending.traceparent,
            };
            match basket::ends_run(changes, &change.event_id, delay_us) {
                true => set_off(&mut self.pending.plan, &self.tenant, campaign, cause, restated, now_us),
                // It had set off a message under a profile that knew nothing of the changes after it.
                false if restated => self.pending.plan.cancel(&self.tenant, campaign, &cause.name),
                false => {}
            }
        }
        Ok(())
    }

    async fn order(
        &mut self,
        tx: &mut Tx,
        profile_id: &str,
        order_id: &str,
        time_us: i64,
        products: Vec<Product>,
        restated: bool,
    ) -> Result<(), Error> {
        self.load_campaigns(tx).await?;
        let now_us = self.clock.now_us();
        let touched = touched(&mut self.pending.contacts, profile_id);
        if !touched.contact.place_order(order_id, time_us, products) {
            return Ok(());
        }
        touched.changed = true;
        for campaign in self.pending.campaigns.iter().flatten() {
            let Trigger::PostPurchase { delay_us } = campaign.trigger else { continue };
            let due_us = time_us.saturating_add(delay_us);
            if !campaign.takes(time_us, due_us, now_us) {
                continue;
            }
            let (name, text) = (ids::order_cause(order_id), "order placed".to_owned());
            let traceparent = &self.pending.traceparent;
            let cause = Cause { profile_id, name, text, time_us, due_us, traceparent };
            set_off(&mut self.pending.plan, &self.tenant, campaign, cause, restated, now_us);
        }
        Ok(())
    }

    /// Past and scheduled messages of the absorbed go to the survivor: caps count them, and nothing is lost. The record
    /// stands in the partition of each profile concerned; whichever is read first does it, the others find it done.
    async fn merge(
        &mut self,
        tx: &mut Tx,
        profile_id: &str,
        survivor_id: &str,
        absorbed_ids: &[String],
    ) -> Result<(), Error> {
        gone::returned(tx, &self.tenant, survivor_id).await?;
        let mut ends = gone::resolve(tx, &self.tenant, &[survivor_id]).await?;
        let heir = ends.remove(survivor_id).filter(|end| !end.is_empty()).unwrap_or_else(|| survivor_id.to_owned());
        for absorbed_id in absorbed_ids.iter().filter(|id| *id != survivor_id) {
            gone::put(tx, &self.tenant, absorbed_id, survivor_id).await?;
            messages::move_all(tx, &self.tenant, absorbed_id, &heir).await?;
            self.pending.plan.rename(absorbed_id, &heir);
        }
        if profile_id != survivor_id {
            memberships::forget(tx, &self.tenant, profile_id).await?;
            self.forget(profile_id);
        }
        Ok(())
    }

    async fn erase(&mut self, tx: &mut Tx, profile_id: &str) -> Result<(), Error> {
        self.forget(profile_id);
        self.pending.plan.forget(profile_id);
        gone::put(tx, &self.tenant, profile_id, "").await?;
        memberships::forget(tx, &self.tenant, profile_id).await?;
        feedback::forget(tx, &self.tenant, profile_id).await?;
        messages::erase(tx, &self.tenant, profile_id, number(Reason::ProfileGone), self.clock.now_us()).await
    }

    fn forget(&mut self, profile_id: &str) {
        let touched = self.touched(profile_id);
        *touched = Touched { contact: Contact::default(), changed: true, gone: true };
    }

    fn touched(&mut self, profile_id: &str) -> &mut Touched {
        touched(&mut self.pending.contacts, profile_id)
    }

    async fn load_campaigns(&mut self, tx: &mut Tx) -> Result<(), Error> {
        if self.pending.campaigns.is_none() {
            self.pending.campaigns = Some(campaigns::definitions(tx, &self.tenant).await?);
        }
        Ok(())
    }

    async fn write(&mut self, tx: &mut Tx) -> Result<(), Error> {
        let mut changed: Vec<(&str, Option<&Contact>)> = Vec::new();
        for (profile_id, touched) in self.pending.contacts.iter().filter(|(_, touched)| touched.changed) {
            let gone = touched.gone && touched.contact.is_empty();
            changed.push((profile_id, (!gone).then_some(&touched.contact)));
        }
        // Rows are locked in one order by everybody.
        changed.sort_unstable_by_key(|(profile_id, _)| *profile_id);
        contacts::save(tx, &self.tenant, &changed).await?;
        self.pending.plan.write(tx, &self.tenant).await
    }
}

/// Schedules what a cause sets off. Of a cause that is told again and was due before, what is left is given to whoever has it
/// now: the rest was decided for those whom it was told of then.
fn set_off(plan: &mut Plan, tenant: &TenantId, campaign: &Definition, cause: Cause<'_>, restated: bool, now_us: i64) {
    if restated && cause.due_us <= now_us {
        plan.move_to(tenant, campaign, &cause);
    } else {
        plan.schedule(tenant, campaign, cause, restated);
    }
}

fn touched<'p>(contacts: &'p mut HashMap<String, Touched>, profile_id: &str) -> &'p mut Touched {
    contacts.entry(profile_id.to_owned()).or_default()
}
