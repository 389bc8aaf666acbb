//! All that is needed to choose products for a tenant, in memory, in step with the store.
//!
//! The replica that folds a tenant's events puts each committed batch on the shelf itself. Any replica, that one too,
//! reads from the store what is newer than its shelf: versions say what. Rows only ever replace older ones, so the two
//! ways may meet.

mod shelves;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ::store::{Db, Error};
use kit::TenantId;

pub(crate) use shelves::Shelves;

use crate::{
    domain::{book::ItemBook, catalogue::Catalogue, item::Item},
    store::{catalogue, items, items::Head},
};

/// Rows read at once.
const PAGE: i64 = 2_000;

/// The items and products of a tenant.
pub(crate) struct Shelf {
    tenant: TenantId,
    book: RwLock<ItemBook>,
    catalogue: RwLock<Catalogue>,
    /// When it was last known to be in step with the store, on real time as the store is real; `None` before the first
    /// time, and when it is known to be behind.
    checked: Mutex<Option<Instant>>,
    /// Held by the one who reads from the store.
    syncing: tokio::sync::Mutex<()>,
    is_refreshing: AtomicBool,
}

impl Shelf {
    fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            book: RwLock::default(),
            catalogue: RwLock::default(),
            checked: Mutex::default(),
            syncing: tokio::sync::Mutex::default(),
            is_refreshing: AtomicBool::new(false),
        }
    }

    /// Returns the items. Do not await while holding them.
    pub(crate) fn book(&self) -> RwLockReadGuard<'_, ItemBook> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the products. Do not await while holding them.
    pub(crate) fn catalogue(&self) -> RwLockReadGuard<'_, Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a committed batch on the shelf; the owner of the tenant alone calls it.
    pub(crate) fn publish(&self, head: Head, items: Vec<(u32, Arc<Item>)>) {
        let mut book = self.book_mut();
        for (number, item) in items {
            book.put(number, item);
        }
        advance(&mut book, head);
    }

    /// Has the next one who asks read from the store first.
    pub(crate) fn mark_behind(&self) {
        *self.checked() = None;
    }

    /// Reads all that is newer in the store.
    pub(crate) async fn sync(&self, db: &Db) -> Result<(), Error> {
        let _syncing = self.syncing.lock().await;
        let begun = Instant::now();
        self.sync_items(db).await?;
        self.sync_catalogue(db).await?;
        *self.checked() = Some(begun);
        Ok(())
    }

    /// Returns how long ago it was in step; `None` when it is known not to be.
    fn age(&self) -> Option<Duration> {
        self.checked().map(|checked| checked.elapsed())
    }

    /// Syncs in the background, unless that is under way.
    fn refresh(self: &Arc<Self>, db: &Db) {
        if self.is_refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (shelf, db) = (self.clone(), db.clone());
        tokio::spawn(async move {
            let outcome = shelf.sync(&db).await;
            shelf.is_refreshing.store(false, Ordering::Release);
            if let Err(error) = outcome {
                // Whoever asks next waits for a sync of their own, and is told.
                shelf.mark_behind();
                tracing::debug!(error = &error as &dyn std::error::Error, "a shelf could not be refreshed");
            }
        });
    }

    async fn sync_items(&self, db: &Db) -> Result<(), Error> {
        let known = self.book().version;
        // Read first: rows that are newer than the head are read again next time, and none is missed.
        let head = items::head(db, &self.tenant).await?;
        if head.version <= known {
            return Ok(());
        }
        let mut after = -1;
        loop {
            let page = items::changed(db, &self.tenant, known, after, PAGE).await?;
            let Some(&(last, _)) = page.last() else { break };
            let is_last = (page.len() as i64) < PAGE;
            let mut book = self.book_mut();
            for (number, item) in page {
                book.put(number, Arc::new(item));
            }
            drop(book);
            if is_last {
                break;
            }
            after = i64::from(last);
        }
        advance(&mut self.book_mut(), head);
        Ok(())
    }

    async fn sync_catalogue(&self, db: &Db) -> Result<(), Error> {
        let known = self.catalogue().version;
        let version = catalogue::version(db, &self.tenant).await?;
        if version <= known {
            return Ok(());
        }
        let mut after = String::new();
        loop {
            let page = catalogue::changed(db, &self.tenant, known, &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.product_id.to_string();
            let is_last = (page.len() as i64) < PAGE;
            let mut products = self.catalogue_mut();
            for product in page {
                products.put(Arc::new(product));
            }
            drop(products);
            if is_last {
                break;
            }
        }
        let mut products = self.catalogue_mut();
        products.version = products.version.max(version);
        Ok(())
    }

    fn len(&self) -> usize {
        self.book().len() + self.catalogue().len()
    }

    fn book_mut(&self) -> RwLockWriteGuard<'_, ItemBook> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalogue_mut(&self) -> RwLockWriteGuard<'_, Catalogue> {
        self.catalogue.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn checked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn advance(book: &mut ItemBook, head: Head) {
    if head.version > book.version {
        book.version = head.version;
        book.baskets = head.baskets;
    }
}
