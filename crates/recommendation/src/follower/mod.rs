//! What recommendation does with each record of the profile log.

mod recent;
mod signals;

pub(crate) use self::signals::MAX_PRODUCT_ID;

use std::{collections::HashMap, sync::Arc};

use ::store::{Db, Tx};
use eventlog::{Fold, FoldError, FoldFactory, LogRecord, Unit, dead_letter};
use kit::TenantId;

use self::recent::Recent;
use crate::{
    NAME, PROFILE_LOG,
    domain::{
        batch::{Batch, Changes, orders_needed, profiles_needed},
        profile::Profile,
        signal::Signal,
    },
    shelf::{Shelf, Shelves},
    store::{
        items::{self, Head},
        orders, profiles,
    },
};

/// Opens the fold of each tenant that this replica owns.
pub(crate) struct ShelfFolds {
    db: Db,
    shelves: Arc<Shelves>,
    cached_profiles: usize,
}

impl ShelfFolds {
    pub(crate) fn new(db: Db, shelves: Arc<Shelves>, cached_profiles: usize) -> Self {
        Self { db, shelves, cached_profiles }
    }
}

impl FoldFactory for ShelfFolds {
    type Fold = ShelfFold;

    async fn open(&self, unit: &Unit) -> Result<ShelfFold, FoldError> {
        let shelf = self.shelves.of(&unit.tenant);
        // The former owner cannot commit any more: from here on only this fold changes the items.
        shelf.sync(&self.db).await?;
        Ok(ShelfFold { tenant: unit.tenant.clone(), shelf, profiles: Recent::new(self.cached_profiles), pending: None })
    }
}

/// Folds what the people of one tenant do into its items, profiles and orders.
///
/// Reads items from the shelf, of which it is the only writer, and keeps the profiles it met lately.
pub(crate) struct ShelfFold {
    tenant: TenantId,
    shelf: Arc<Shelf>,
    profiles: Recent<Profile>,
    /// What is written and not yet committed.
    pending: Option<(Head, Changes)>,
}

impl Fold for ShelfFold {
    async fn apply(&mut self, tx: &mut Tx, records: &[LogRecord]) -> Result<(), FoldError> {
        let mut signals = Vec::with_capacity(records.len());
        for record in records {
            match signals::read(record) {
                Ok(signal) => signals.extend(signal),
                Err(reason) => dead_letter(tx, NAME, PROFILE_LOG, record, reason).await?,
            }
        }
        if signals.is_empty() {
            return Ok(());
        }

        let known_profiles = self.load_profiles(tx, &signals).await?;
        let known_orders = orders::find_many(tx, &self.tenant, &orders_needed(&signals)).await?;
        let (head, changes) = {
            let book = self.shelf.book();
            let version = book.version + 1;
            let mut batch = Batch::new(&book, known_profiles, known_orders);
            signals.into_iter().for_each(|signal| batch.fold(signal));
            let changes = batch.finish(version);
            (Head { version, baskets: changes.baskets }, changes)
        };

        orders::put(tx, &self.tenant, &changes.orders).await?;
        profiles::put(tx, &self.tenant, &changes.profiles).await?;
        if !changes.items.is_empty() {
            items::put(tx, &self.tenant, head, &changes.items).await?;
        }
        self.pending = Some((head, changes));
        Ok(())
    }

    fn committed(&mut self) {
        let Some((head, changes)) = self.pending.take() else { return };
        if !changes.items.is_empty() {
            self.shelf.publish(head, changes.items);
        }
        for (profile_id, profile) in changes.profiles.into_iter().chain(changes.unchanged_profiles) {
            self.profiles.put(profile_id, profile);
        }
    }

    fn rolled_back(&mut self) {
        // The profiles that the batch took from memory are read again; items were not touched.
        self.pending = None;
    }
}

impl ShelfFold {
    /// Takes the profiles that the signals need from memory, or reads them.
    async fn load_profiles(&mut self, tx: &mut Tx, signals: &[Signal]) -> Result<HashMap<String, Profile>, FoldError> {
        let mut known = HashMap::new();
        let mut missing = Vec::new();
        for profile_id in profiles_needed(signals) {
            match self.profiles.take(profile_id) {
                Some(profile) => {
                    known.insert(profile_id.to_owned(), profile);
                }
                None => missing.push(profile_id),
            }
        }
        known.extend(profiles::find_many(tx, &self.tenant, &missing).await?);
        Ok(known)
    }
}
