//! How fast this machine appends and follows: `cargo run --release -p comptoir-eventlog --example throughput`.
//!
//! On SQLite, and on PostgreSQL when `TEST_POSTGRES_URL` is set; everything in one process.

use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use comptoir_eventlog::{
    EventLog, Fold, FoldError, FoldFactory, Follower, FollowerHandle, FollowerOptions, LogOptions, LogRecord,
    MIGRATIONS, PartitionId, Record, Unit, UnitKind,
};
use kit::auth::Authority;
use kit::channel::{ChannelOptions, Credential};
use kit::metrics::Metrics;
use kit::server::{Readiness, Services};
use kit::shutdown::Shutdown;
use kit::{Clock, TenantId};
use proto::log::v1::log_service_server::LogServiceServer;
use store::{Db, Tx};

const RECORDS: usize = 500_000;
const BATCH: usize = 1_000;

/// Does nothing with the records: what is left is the cost of the log itself.
#[derive(Clone)]
struct Nothing;

impl FoldFactory for Nothing {
    type Fold = Self;

    async fn open(&self, _unit: &Unit) -> Result<Self, FoldError> {
        Ok(Self)
    }
}

impl Fold for Nothing {
    async fn apply(&mut self, _tx: &mut Tx, records: &[LogRecord]) -> Result<(), FoldError> {
        std::hint::black_box(records);
        Ok(())
    }
}

/// 300 bytes that compress about as events do.
fn record(index: usize) -> Record {
    let payload = format!(
        "{{\"type\":\"product_viewed\",\"message_id\":\"{:016x}\",\"anonymous_id\":\"{:016x}\",\"product\":\"sku-{}\",\"page\":\"https://shop.example/p/{}\"",
        index.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        (index % 5_000).wrapping_mul(0xc2b2_ae3d_27d4_eb4f),
        index % 997,
        index % 997,
    );
    let key = format!("anonymous:{}", index % 5_000);
    Record { key: key.into(), payload: Bytes::from(format!("{payload:<300}")), event_time_us: 0, traceparent: None }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    for db in store::testing::databases(&[&MIGRATIONS]).await {
        let metrics = Metrics::new();
        let log = EventLog::new(db.handle(), "events", LogOptions::default(), Clock::system(), &metrics);
        let shop = TenantId::try_from("shop")?;

        let batches: Vec<Vec<Record>> =
            (0..RECORDS / BATCH).map(|batch| (batch * BATCH..(batch + 1) * BATCH).map(record).collect()).collect();
        let began = Instant::now();
        for batch in batches {
            let mut tx = db.begin().await?;
            log.append(&mut tx, &shop, batch).await?;
            tx.commit().await?;
        }
        report(db.engine(), "append", began);

        let authority = Authority::new(b"a secret of at least thirty-two bytes");
        let routes = Services::new("publisher", authority.clone(), metrics.clone(), Readiness::new())
            .add(LogServiceServer::new(log.service(&Shutdown::new())))
            .build();
        let source = kit::channel::local(routes, ChannelOptions::new(Credential::service(&authority, "follower")));
        for unit in [UnitKind::Tenant, UnitKind::Partition] {
            let (shutdown, readiness) = (Shutdown::new(), Readiness::new());
            let name = if unit == UnitKind::Tenant { "by tenant" } else { "by partition" };
            let options = FollowerOptions::new(name, "events", unit, db.handle(), source.clone(), Clock::system());
            let began = Instant::now();
            let follower = Follower::new(options, Nothing).spawn(&shutdown, &readiness, &metrics);
            follower.reached(&log.ends().await?).await;
            report(db.engine(), name, began);
            latency(&log, &db, &shop, &follower).await?;
            shutdown.drain(std::time::Duration::from_secs(10)).await;
        }
    }
    Ok(())
}

/// Shows how long it takes from the beginning of an append until the record is folded and committed.
async fn latency(
    log: &EventLog,
    db: &Db,
    shop: &TenantId,
    follower: &FollowerHandle,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut times = Vec::new();
    for index in 0..200 {
        let began = Instant::now();
        let mut tx = db.begin().await?;
        let places = log.append(&mut tx, shop, vec![record(index)]).await?;
        tx.commit().await?;
        let ends = places.iter().map(|(partition, offset)| (PartitionId::new(shop, *partition), offset + 1));
        follower.reached(&ends.collect::<Vec<_>>()).await;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!(
        "{:8} {:12} {:>10.1?} median, {:.1?} at the 99th percentile",
        db.engine(),
        "one record",
        times[100],
        times[198]
    );
    Ok(())
}

fn report(engine: &str, what: &str, began: Instant) {
    let rate = RECORDS as f64 / began.elapsed().as_secs_f64();
    println!("{engine:8} {what:12} {rate:>10.0} records/s");
}
