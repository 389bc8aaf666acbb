//! Telling the engine of this process that there is something to do, so that it need not look all the time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kit::TenantId;
use tokio::sync::Notify;

/// Wakes the engine. Cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct Wake(Arc<Inner>);

#[derive(Default)]
struct Inner {
    engine: Notify,
    feedback: Notify,
    news: Mutex<News>,
}

/// What has happened since the engine last looked.
#[derive(Default)]
pub(crate) struct News {
    /// When the first of the messages scheduled since is due, by tenant.
    pub(crate) scheduled: HashMap<TenantId, i64>,
    /// Whether there may be a new tenant.
    pub(crate) new_campaign: bool,
}

impl Wake {
    /// Says that messages were scheduled.
    pub(crate) fn scheduled(&self, tenant: &TenantId, first_due_us: i64) {
        let mut news = self.news();
        let known = news.scheduled.entry(tenant.clone()).or_insert(first_due_us);
        *known = first_due_us.min(*known);
        drop(news);
        self.0.engine.notify_one();
    }

    /// Says that a campaign was put.
    pub(crate) fn new_campaign(&self) {
        self.news().new_campaign = true;
        self.0.engine.notify_one();
    }

    /// Says that a message was handed over or put off: there is room for the next.
    pub(crate) fn room(&self) {
        self.0.engine.notify_one();
    }

    /// Says that events wait for ingestion.
    pub(crate) fn feedback(&self) {
        self.0.feedback.notify_one();
    }

    /// Takes what has happened.
    pub(crate) fn take_news(&self) -> News {
        std::mem::take(&mut *self.news())
    }

    /// Waits until something has happened.
    pub(crate) async fn woken(&self) {
        self.0.engine.notified().await;
    }

    /// Waits until events wait for ingestion.
    pub(crate) async fn feedback_woken(&self) {
        self.0.feedback.notified().await;
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.0.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
