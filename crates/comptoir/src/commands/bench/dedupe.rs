//! What exact deduplication costs: time, writes and space for each message id, as the window fills.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use ::store::{Db, OpenOptions, on};
use anyhow::Context;
use clap::Args as ClapArgs;
use ingestion::window::{Merger, Tuning, Window};
use kit::TenantId;

use super::Figures;
use crate::cluster::{cpu_seconds, execute};

/// Sizes of the window that are measured, as far as it is filled.
const SIZES: [u64; 9] =
    [100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000, 300_000_000, 1_000_000_000];
/// Ids whose cost is measured at each size.
const MEASURED: u64 = 50_000;
/// The size that a shop with some 165 events a second reaches in seven days.
const TARGET: f64 = 1e8;
const DAY_US: i64 = 86_400_000_000;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Ids to fill the window with
    #[arg(long, default_value_t = 3_000_000)]
    ids: u64,
    /// Ids recorded in one transaction: about what the collector commits at once under load
    #[arg(long, default_value_t = 2_000)]
    batch: usize,
    /// PostgreSQL server, postgres://user@host:port/postgres; a SQLite file when not given
    #[arg(long, env = "COMPTOIR_BENCH_POSTGRES")]
    postgres: Option<String>,
    /// Folder for the SQLite file; the system's for temporary files when not given
    #[arg(long)]
    folder: Option<std::path::PathBuf>,
    /// One JSON object per figure
    #[arg(long)]
    json: bool,
}

/// What some ids cost.
#[derive(Default)]
struct Cost {
    ids: u64,
    wall: Duration,
    cpu_seconds: f64,
    written: f64,
    slowest: Duration,
}

struct Filling {
    db: Db,
    window: Window,
    tenant: TenantId,
    batch: u64,
    filled: u64,
    /// What had expired when something was recorded last; the merger forgets it.
    cutoff_us: Arc<AtomicI64>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    anyhow::ensure!(args.batch > 0 && args.ids >= SIZES[0], "fill the window with {} ids at least", SIZES[0]);
    let folder = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let (url, name) = match &args.postgres {
        None => (format!("sqlite:{}", folder.path().join("seen.db").display()), None),
        Some(server) => {
            let name = format!("bench_{}", uuid::Uuid::now_v7().simple());
            execute(server, format!("CREATE DATABASE {name}")).await?;
            let (head, _) = server.rsplit_once('/').unwrap_or((server, ""));
            (format!("{head}/{name}"), Some(name))
        }
    };
    let db = Db::open(&url, OpenOptions::default()).await?;
    db.migrate(&ingestion::MIGRATIONS).await?;
    let tenant = TenantId::try_from("bench")?;
    let (window, merger) = Window::new(db.clone(), Tuning::default());
    let cutoff_us = Arc::new(AtomicI64::new(0));
    let merging = tokio::spawn(merge_for_ever(merger, tenant.clone(), Arc::clone(&cutoff_us)));
    let filling = Filling { db: db.clone(), window, tenant, batch: args.batch as u64, filled: 0, cutoff_us };
    let measured = tokio::select! {
        measured = measure(filling, &args) => measured,
        ended = merging => ended.context("the merger panicked")?,
    };
    db.close().await;
    if let (Some(server), Some(name)) = (&args.postgres, name) {
        execute(server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    }
    measured
}

/// Merges as the service does, beside what is measured and on its account.
async fn merge_for_ever(merger: Merger, tenant: TenantId, cutoff_us: Arc<AtomicI64>) -> anyhow::Result<()> {
    loop {
        merger.waiting().await;
        merger.tend(&tenant, cutoff_us.load(Ordering::Relaxed)).await?;
    }
}

async fn measure(mut window: Filling, args: &Args) -> anyhow::Result<()> {
    let figures = Figures { bench: "dedupe", engine: window.db.engine(), json: args.json };
    let empty = window.size().await?;
    let mut largest: Option<(u64, f64, f64)> = None;
    for size in SIZES.into_iter().filter(|size| *size <= args.ids) {
        let filled = window.fill(size - MEASURED.min(size)).await?;
        let cost = window.fill(size).await?;
        let bytes = (window.size().await? - empty) as f64 / size as f64;
        let per_id = |seconds: f64| seconds * 1e6 / cost.ids as f64;
        let print = |metric: &str, value: f64, unit: &str| figures.print(format!("at_{size}_{metric}"), value, unit);
        print("space", bytes, "bytes/id");
        print("insert", per_id(cost.wall.as_secs_f64()), "µs/id");
        print("cpu", per_id(cost.cpu_seconds), "µs of this process/id");
        print("written", cost.written / cost.ids as f64, "bytes to the device/id");
        if filled.ids > 0 {
            // Since the size before: merges are in it, which fifty thousand ids may meet or not.
            print("fill", filled.wall.as_secs_f64() * 1e6 / filled.ids as f64, "µs/id since the size before");
            print(
                "fill_cpu",
                filled.cpu_seconds * 1e6 / filled.ids as f64,
                "µs of this process/id since the size before",
            );
            print("fill_written", filled.written / filled.ids as f64, "bytes to the device/id since the size before");
            print("fill_slowest_transaction", filled.slowest.as_secs_f64() * 1e3, "ms");
        }
        print("slowest_transaction", cost.slowest.as_secs_f64() * 1e3, "ms");
        let (again, known) = window.again(size).await?;
        anyhow::ensure!(known, "ids that were seen count as new");
        print("memory", window.window.memory_bytes() as f64 / size as f64, "bytes/id");
        print("restart", window.restart().await?.as_secs_f64() * 1e3, "ms until the first answer of a new process");
        print("duplicate", again.as_secs_f64() * 1e6 / window.batch as f64, "µs/id");
        largest = Some((size, bytes, per_id(cost.wall.as_secs_f64())));
    }
    if let Some((size, bytes, insert)) = largest {
        // Space grows with the ids and nothing else; time with the levels of runs, one more for each eightfold.
        figures.print("extrapolated_space_at_100000000", bytes * TARGET / 1e9, "GB");
        figures.print("largest_measured", size as f64, "ids");
        figures.print("insert_at_largest_measured", insert, "µs/id");
    }
    Ok(())
}

impl Filling {
    /// Records new ids until there are `size`. Returns what it cost.
    async fn fill(&mut self, size: u64) -> anyhow::Result<Cost> {
        let own = std::process::id();
        let (cpu, written, mut cost) = (cpu_seconds(own), self.written().await?, Cost::default());
        while self.filled < size {
            let next = (self.filled + self.batch).min(size);
            let begun = Instant::now();
            let new = self.record(self.filled..next).await?;
            let wall = begun.elapsed();
            anyhow::ensure!(new as u64 == next - self.filled, "ids that nobody sent count as seen");
            cost.wall += wall;
            cost.slowest = cost.slowest.max(wall);
            cost.ids += next - self.filled;
            self.filled = next;
        }
        cost.cpu_seconds = cpu_seconds(own) - cpu;
        cost.written = self.written().await? - written;
        Ok(cost)
    }

    /// Records ids from all over the window once more. Returns how long it took, and whether none was new.
    async fn again(&mut self, size: u64) -> anyhow::Result<(Duration, bool)> {
        let step = (size / self.batch).max(1);
        let numbers: Vec<u64> = (0..self.batch.min(size)).map(|number| number * step).collect();
        let begun = Instant::now();
        let new = self.record(numbers.into_iter()).await?;
        Ok((begun.elapsed(), new == 0))
    }

    async fn record(&mut self, numbers: impl Iterator<Item = u64>) -> anyhow::Result<usize> {
        let (now_us, cutoff_us) = self.times();
        self.cutoff_us.store(cutoff_us, Ordering::Relaxed);
        let hashes = numbers.map(hash).collect();
        Ok(self.window.remember(&self.db, &self.tenant, hashes, (now_us, cutoff_us)).await?)
    }

    /// Returns the time in a window that fills at the rate at which time passes in it, 10^8 ids in seven days, and what has
    /// expired by then.
    fn times(&self) -> (i64, i64) {
        let now_us = 1_750_000_000_000_000 + (self.filled as f64 * 7.0 * DAY_US as f64 / TARGET) as i64;
        (now_us, now_us - 7 * DAY_US)
    }

    /// Returns how long it takes a process that has just begun to know what there is.
    async fn restart(&mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let (mut fresh, _) = Window::new(self.db.clone(), Tuning::default());
        let new = fresh.remember(&self.db, &self.tenant, vec![hash(0)], self.times()).await?;
        anyhow::ensure!(new == 0, "what was seen first counts as new after a restart");
        Ok(begun.elapsed())
    }

    /// Returns the size of the tables with their indexes, in bytes.
    async fn size(&self) -> anyhow::Result<i64> {
        let ask = match &self.db {
            Db::Sqlite(_) => {
                "SELECT (page_count - freelist_count) * page_size
                   FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
            }
            Db::Postgres(_) => {
                "SELECT CAST(SUM(pg_total_relation_size(oid)) AS BIGINT)
                   FROM pg_class
                  WHERE starts_with(relname, 'seen_') AND relkind = 'r'"
            }
        };
        Ok(on!(self.db, pool => sqlx::query_scalar(ask).fetch_one(pool).await)?)
    }

    /// Returns what was written so far, in bytes: by this process to files, or by PostgreSQL to its write-ahead log.
    async fn written(&self) -> anyhow::Result<f64> {
        match &self.db {
            Db::Sqlite(_) => {
                let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
                let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
                Ok(line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0.0))
            }
            Db::Postgres(pool) => {
                let ask = "SELECT CAST(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS DOUBLE PRECISION)";
                Ok(sqlx::query_scalar(ask).fetch_one(pool).await?)
            }
        }
    }
}

/// Returns a hash that looks drawn: SplitMix64, twice.
fn hash(number: u64) -> [u8; 16] {
    let mix = |mut value: u64| {
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    let high = mix(number.wrapping_add(0x9e37_79b9_7f4a_7c15));
    let low = mix(high ^ number);
    ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
}
