//! The shelves of all tenants, within bounds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::store::{Db, Error};
use kit::TenantId;

use super::Shelf;

/// Age at which a shelf is refreshed in the background.
const REFRESH_AFTER: Duration = Duration::from_millis(250);

/// Age at which nobody is answered from a shelf before it is in step.
const STALE_AFTER: Duration = Duration::from_secs(1);

/// The shelves of the tenants that were asked for lately.
pub(crate) struct Shelves {
    db: Db,
    max_items: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    shelves: BTreeMap<TenantId, Entry>,
    uses: u64,
}

struct Entry {
    shelf: Arc<Shelf>,
    last_use: u64,
}

impl Shelves {
    /// Returns shelves that keep about `max_items` items and products in all.
    pub(crate) fn new(db: Db, max_items: usize) -> Self {
        Self { db, max_items, kept: Mutex::default() }
    }

    /// Returns a tenant's shelf, at most a second behind the store.
    pub(crate) async fn fresh(&self, tenant: &TenantId) -> Result<Arc<Shelf>, Error> {
        let shelf = self.of(tenant);
        match shelf.age() {
            Some(age) if age < REFRESH_AFTER => {}
            Some(age) if age < STALE_AFTER => shelf.refresh(&self.db),
            _ => shelf.sync(&self.db).await?,
        }
        Ok(shelf)
    }

    /// Returns a tenant's shelf as it is.
    pub(crate) fn of(&self, tenant: &TenantId) -> Arc<Shelf> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let last_use = kept.uses;
        if let Some(entry) = kept.shelves.get_mut(tenant) {
            entry.last_use = last_use;
            return entry.shelf.clone();
        }
        kept.make_room(self.max_items);
        let shelf = Arc::new(Shelf::new(tenant.clone()));
        kept.shelves.insert(tenant.clone(), Entry { shelf: shelf.clone(), last_use });
        shelf
    }
}

impl Kept {
    /// Drops shelves that nobody holds, longest unused first, until there is room. A follower holds those it fills.
    fn make_room(&mut self, max_items: usize) {
        let mut items: usize = self.shelves.values().map(|entry| entry.shelf.len()).sum();
        while items >= max_items {
            let idle = self.shelves.iter().filter(|(_, entry)| Arc::strong_count(&entry.shelf) == 1);
            let Some(tenant) = idle.min_by_key(|(_, entry)| entry.last_use).map(|(tenant, _)| tenant.clone()) else {
                return;
            };
            if let Some(dropped) = self.shelves.remove(&tenant) {
                items -= dropped.shelf.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MIGRATIONS, domain::item::Item, store::items::Head};

    fn fill(shelf: &Shelf) {
        let item = Arc::new(Item::new("a".into()));
        shelf.publish(Head { version: 1, baskets: 0 }, vec![(0, item)]);
    }

    #[tokio::test]
    async fn the_shelf_unused_longest_makes_room_unless_it_is_held() {
        let db = ::store::testing::sqlite(&[&MIGRATIONS]).await;
        let shelves = Shelves::new(db.handle(), 2);
        let tenant = |name: &str| TenantId::try_from(name).unwrap();
        let held = shelves.of(&tenant("held"));
        fill(&held);
        fill(&shelves.of(&tenant("idle")));

        shelves.of(&tenant("new"));

        assert_eq!(shelves.of(&tenant("idle")).len(), 0, "it was dropped and is empty again");
        assert!(Arc::ptr_eq(&held, &shelves.of(&tenant("held"))));
    }

    #[tokio::test]
    async fn a_tenant_of_whom_nothing_is_stored_has_an_empty_shelf() {
        for db in ::store::testing::databases(&[&MIGRATIONS]).await {
            let shelves = Shelves::new(db.handle(), 2);

            let shelf = shelves.fresh(&TenantId::try_from("nobody").unwrap()).await.unwrap();

            assert_eq!(shelf.len(), 0);
        }
    }
}
