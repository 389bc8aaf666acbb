//! Bad input at every door is told what is wrong with it, and leaves nothing behind but what is kept aside on purpose.

mod calls;
mod collector;
mod files;

use comptoir::{api::Api, shop::Stage};
use comptoir_integration_tests::{Embedded, Engine, Subject, log::event_log, read, scenario};
use proto::ingestion::v1::Source;

/// A shop with one source, and what it holds.
struct Ground {
    subject: Embedded,
    api: Api,
    key: String,
    source_id: String,
    write_key: String,
}

/// What there is, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    logged: usize,
    dead_letters: usize,
    profiles: usize,
    products: usize,
}

impl Ground {
    async fn open() -> anyhow::Result<Self> {
        let subject = Embedded::start(Engine::Sqlite, scenario::start()).await?;
        let key = subject.operator()?.create_tenant("careful").await?;
        let api = subject.api(&key)?;
        // Without a default currency: an amount must say its own.
        let created =
            api.create_source(Source { name: "site".into(), kind: "site".into(), ..Source::default() }).await?;
        let source_id = created.source.unwrap_or_default().source_id;
        Ok(Self { subject, api, key, source_id, write_key: created.write_key })
    }

    async fn counts(&self) -> anyhow::Result<Counts> {
        self.subject.settle().await?;
        Ok(Counts {
            logged: event_log(&self.subject).await?.len(),
            dead_letters: read::dead_letters(&self.api).await?.len(),
            profiles: read::profiles(&self.api).await?.len(),
            products: read::products(&self.api).await?.len(),
        })
    }
}
