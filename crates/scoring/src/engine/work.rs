//! A unit of work on the people of one shard, in one transaction.
//!
//! It holds the shard's lock, so nobody else changes these people until the transaction ends. People are loaded once,
//! changed in memory, judged after each change, and written once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ::store::{Error, Tx};
use kit::TenantId;

use super::bench::TenantBench;
use super::{Engine, publish};
use crate::domain::entry::Placed;
use crate::domain::event::{Event, What};
use crate::domain::judge::{Cause, How, Transition};
use crate::domain::state::{CONSENTS, Inputs, Membership, ORDERS, State, TRAITS};
use crate::store::buyers::Changed;
use crate::store::shards::Shard;
use crate::store::{buyers, orders, profiles, segments, shards};

/// Work on one shard.
pub(crate) struct Work {
    engine: Engine,
    tenant: TenantId,
    partition: u32,
    /// The shard, locked.
    pub(crate) shard: Shard,
    /// By what its people are judged.
    pub(crate) bench: TenantBench,
    now_us: i64,
    people: BTreeMap<String, Person>,
    transitions: Vec<Told>,
}

/// An entry or exit to be published.
pub(crate) struct Told {
    pub(crate) profile_id: String,
    pub(crate) transition: Transition,
    pub(crate) traceparent: Option<String>,
}

/// Somebody who is worked on.
#[derive(Default)]
struct Person {
    state: State,
    /// Nothing was known before: every rule looks at what comes first.
    is_new: bool,
    /// Something is to be written.
    changed: bool,
    /// What was stored is to be removed first.
    forgotten: bool,
    touched_orders: BTreeSet<String>,
    order_changes: i64,
    /// Memberships that are stored, once one has changed.
    stored_memberships: Option<Vec<Membership>>,
    /// Currencies that there may be rows of, once a value has changed.
    stored_currencies: Option<Vec<String>>,
}

/// The instant of a change and the trace that it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion<'a> {
    /// When it happened, in microseconds since the Unix epoch.
    pub(crate) at_us: i64,
    /// W3C trace context.
    pub(crate) traceparent: Option<&'a str>,
}

impl Person {
    /// Makes a change that may move memberships, and keeps what is stored of them before the first that does.
    fn change_memberships(&mut self, change: impl FnOnce(&mut State) -> Vec<Transition>) -> Vec<Transition> {
        let stored = self.stored_memberships.is_none().then(|| self.state.memberships.clone());
        let transitions = change(&mut self.state);
        if !transitions.is_empty() {
            self.stored_memberships = self.stored_memberships.take().or(stored);
        }
        transitions
    }
}

impl Work {
    /// Takes the lock of a shard.
    pub(crate) async fn open(engine: &Engine, tx: &mut Tx, tenant: &TenantId, partition: u32) -> Result<Self, Error> {
        let shard = shards::lock(tx, tenant, partition).await?;
        engine.cache.open(tenant, partition, shard.revision);
        let bench = engine.benches.within(tx, tenant).await?;
        Ok(Self {
            engine: engine.clone(),
            tenant: tenant.clone(),
            partition,
            shard,
            bench,
            now_us: engine.clock.now_us(),
            people: BTreeMap::new(),
            transitions: Vec::new(),
        })
    }

    /// Loads people and brings them up to date; `with_orders` are those of whose orders something will be told.
    pub(crate) async fn load(
        &mut self,
        tx: &mut Tx,
        profile_ids: &BTreeSet<&str>,
        with_orders: &BTreeSet<&str>,
    ) -> Result<(), Error> {
        let wanted: Vec<String> = profile_ids.iter().map(|profile_id| (*profile_id).to_owned()).collect();
        let mut known: HashMap<String, State> = self.engine.cache.take(&self.tenant, self.partition, &wanted);
        let missing: Vec<&str> =
            wanted.iter().map(String::as_str).filter(|profile_id| !known.contains_key(*profile_id)).collect();
        if !missing.is_empty() {
            known.extend(profiles::load(tx, &self.tenant, &missing).await?);
        }

        let lacks_orders = |profile_id: &&&str| known.get(**profile_id).is_some_and(|state| state.orders.is_none());
        let lacking: Vec<&str> = with_orders.iter().filter(lacks_orders).copied().collect();
        if !lacking.is_empty() {
            let mut told = orders::load(tx, &self.tenant, &lacking).await?;
            for profile_id in lacking {
                if let Some(state) = known.get_mut(profile_id) {
                    state.orders = Some(told.remove(profile_id).unwrap_or_default());
                }
            }
        }
        for profile_id in wanted {
            match known.remove(&profile_id) {
                Some(state) => self.adopt(profile_id, state),
                None => {
                    self.people.insert(profile_id, self.newcomer());
                }
            }
        }
        Ok(())
    }

    /// Takes on somebody as stored, brings them up to date, and lets them go again when that changed nothing.
    ///
    /// For passes over everyone: who is not changed is neither written nor brought into the cache. Who is changed leaves
    /// the cache at once: should the next holder of the lock come before the commit is told here, it reads them anew.
    pub(crate) fn bring_up_to_date(&mut self, profile_id: String, state: State) {
        self.adopt(profile_id.clone(), state);
        if self.people.get(&profile_id).is_some_and(|person| person.changed) {
            self.engine.cache.drop_one(&self.tenant, self.partition, &profile_id);
        } else {
            self.people.remove(&profile_id);
        }
    }

    /// Takes on somebody as stored and brings them up to date with rules, cuts and time.
    fn adopt(&mut self, profile_id: String, mut state: State) {
        // Whoever was judged in a pass without any change was not written.
        state.rules_version = state.rules_version.max(self.shard.judged_rules);
        state.cuts_version = state.cuts_version.max(self.shard.judged_cuts);
        let due_us = state.due_us;
        let stored = state.memberships.clone();
        let mut transitions = Vec::new();
        self.bench.bench().catch_up(&mut state, self.now_us, &mut transitions);

        let mut person = Person { state, ..Person::default() };
        let is_moved = person.state.memberships != stored;
        person.changed = is_moved || person.state.due_us != due_us;
        person.stored_memberships = is_moved.then_some(stored);
        self.tell(&profile_id, transitions, None);
        self.people.insert(profile_id, person);
    }

    /// Folds an event of somebody who is loaded.
    pub(crate) fn fold(&mut self, profile_id: &str, event: &Event, restated: bool, occasion: Occasion<'_>) {
        let Some(person) = self.people.get_mut(profile_id) else { return };
        let currencies = match &event.what {
            What::Order(_) if person.stored_currencies.is_none() => person.state.stats.values.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let known_us = person.state.placed_us(event);
        let changed = person.state.fold(event, &mut person.touched_orders);
        let mut redated = Vec::new();
        let (mut is_late_order, how) = (false, How::told(restated));
        if changed & ORDERS != 0 {
            person.order_changes += 1;
            person.stored_currencies.get_or_insert(currencies);
            if let Some(placed) = Placed::read(&person.state, event, known_us) {
                is_late_order = placed.is_late(&person.state);
                if is_late_order || placed.former_us.is_some() {
                    let (bench, now_us) = (self.bench.bench(), self.now_us);
                    redated = person.change_memberships(|state| bench.redate(state, &placed, now_us, how));
                }
            }
        }
        person.state.restating = restated;
        self.tell(profile_id, redated, occasion.traceparent);
        let cause = Cause { at_us: event.time_us, how, is_late_order };
        self.judge(profile_id, changed, cause, occasion.traceparent);
    }

    /// Takes over the golden record and the consents of somebody who is loaded.
    pub(crate) fn update(
        &mut self,
        profile_id: &str,
        traits: BTreeMap<String, String>,
        consents: BTreeMap<String, bool>,
        occasion: Occasion<'_>,
    ) {
        let Some(person) = self.people.get_mut(profile_id) else { return };
        let mut changed = 0;
        if person.state.traits != traits {
            person.state.traits = traits;
            changed |= TRAITS;
        }
        if person.state.consents != consents {
            person.state.consents = consents;
            changed |= CONSENTS;
        }
        if changed == 0 {
            return;
        }
        let how = How::told(person.state.restating);
        let cause = Cause { at_us: occasion.at_us, how, ..Cause::default() };
        self.judge(profile_id, changed, cause, occasion.traceparent);
    }

    /// Notes that events of somebody who is loaded will be restated.
    pub(crate) fn begin_restating(&mut self, profile_id: &str) {
        if let Some(person) = self.people.get_mut(profile_id) {
            person.state.restating = true;
            person.changed = true;
        }
    }

    /// Forgets everything of somebody who is loaded; they leave every segment.
    pub(crate) fn forget(&mut self, profile_id: &str, occasion: Occasion<'_>) {
        let newcomer = self.newcomer();
        let Some(person) = self.people.get_mut(profile_id) else { return };
        let stored = person.stored_memberships.take();
        let stored = stored.unwrap_or_else(|| person.state.memberships.clone());
        let exits = person.state.leave_all(occasion.at_us);
        let order_changes = person.order_changes + i64::from(person.state.stats.order_count > 0);
        *person = Person {
            forgotten: true,
            order_changes,
            stored_memberships: Some(stored),
            stored_currencies: Some(Vec::new()),
            ..newcomer
        };
        self.tell(profile_id, exits, occasion.traceparent);
    }

    /// Writes what changed and publishes entries and exits. The cache follows when the transaction commits.
    pub(crate) async fn save(mut self, tx: &mut Tx) -> Result<(), Error> {
        let bench = self.bench.clone();
        for person in self.people.values_mut().filter(|person| person.changed) {
            person.state.due_us = bench.bench().next_due_us(&person.state, self.now_us);
        }
        self.write(tx).await?;
        publish::append(&self.engine.scores, tx, &self.tenant, &self.transitions).await?;

        let kept = self.people.into_iter().filter(|(_, person)| !person.is_new);
        let kept: Vec<(String, State)> = kept.map(|(profile_id, person)| (profile_id, person.state)).collect();
        let first_due_us = kept.iter().filter_map(|(_, state)| state.due_us).min();
        let (engine, tenant, partition, revision) = (self.engine, self.tenant, self.partition, self.shard.revision);
        tx.after_commit(move || {
            engine.cache.put_back(&tenant, partition, revision, kept);
            engine.due_at(first_due_us);
        });
        Ok(())
    }

    async fn write(&self, tx: &mut Tx) -> Result<(), Error> {
        let people = || self.people.iter().map(|(profile_id, person)| (profile_id.as_str(), person));
        let forgotten: Vec<&str> =
            people().filter(|(_, person)| person.forgotten).map(|(profile_id, _)| profile_id).collect();
        if !forgotten.is_empty() {
            profiles::remove(tx, &self.tenant, &forgotten).await?;
        }

        let changed: Vec<(&str, &State)> = people()
            .filter(|(_, person)| person.changed && !person.is_new)
            .map(|(profile_id, person)| (profile_id, &person.state))
            .collect();
        profiles::save(tx, &self.tenant, self.partition, &changed).await?;

        let mut told = Vec::new();
        for (profile_id, person) in people() {
            for order_id in &person.touched_orders {
                if let Some(order) = person.state.orders.as_ref().and_then(|orders| orders.get(order_id)) {
                    told.push((profile_id, order_id.as_str(), order));
                }
            }
        }
        orders::save(tx, &self.tenant, &told).await?;

        let valued = people().filter_map(|(profile_id, person)| {
            let stored = person.stored_currencies.as_deref()?;
            Some(Changed { profile_id, state: &person.state, stored })
        });
        buyers::save(tx, &self.tenant, &valued.collect::<Vec<_>>()).await?;

        self.write_memberships(tx).await?;
        let order_changes: i64 = people().map(|(_, person)| person.order_changes).sum();
        if order_changes > 0 {
            shards::count_changes(tx, &self.tenant, self.partition, order_changes).await?;
        }
        Ok(())
    }

    async fn write_memberships(&self, tx: &mut Tx) -> Result<(), Error> {
        let mut left = Vec::new();
        let mut entered = Vec::new();
        for (profile_id, person) in &self.people {
            let Some(stored) = &person.stored_memberships else { continue };
            for membership in stored.iter().filter(|known| person.state.membership(&known.segment_id).is_none()) {
                left.push((membership.segment_id.as_str(), profile_id.as_str()));
            }
            for membership in person.state.memberships.iter().filter(|membership| !stored.contains(membership)) {
                entered.push((membership.segment_id.as_str(), profile_id.as_str(), membership.enter_us));
            }
        }
        segments::leave(tx, &self.tenant, &left).await?;
        segments::enter(tx, &self.tenant, &entered).await
    }

    fn judge(&mut self, profile_id: &str, changed: Inputs, cause: Cause, traceparent: Option<&str>) {
        let Some(person) = self.people.get_mut(profile_id) else { return };
        let changed = if person.is_new { Inputs::MAX } else { changed };
        person.is_new = false;
        person.changed = true;

        let transitions = person.change_memberships(|state| {
            let mut transitions = Vec::new();
            self.bench.bench().judge_changed(state, changed, self.now_us, cause, &mut transitions);
            transitions
        });
        self.tell(profile_id, transitions, traceparent);
    }

    fn tell(&mut self, profile_id: &str, transitions: Vec<Transition>, traceparent: Option<&str>) {
        self.transitions.extend(transitions.into_iter().map(|transition| Told {
            profile_id: profile_id.to_owned(),
            transition,
            traceparent: traceparent.map(str::to_owned),
        }));
    }

    /// Somebody of whom nothing is known is up to date with everything.
    fn newcomer(&self) -> Person {
        let mut state = State::new();
        state.rules_version = self.bench.rules.version;
        state.cuts_version = self.bench.cuts.version;
        Person { state, is_new: true, ..Person::default() }
    }
}
