use std::path::PathBuf;

use anyhow::Context;
use clap::{Args as ClapArgs, Subcommand};
use kit::Clock;
use proto::{
    event::v1::{Medium, Party},
    ingestion::v1::{ListSourcesRequest, Source},
};

use super::{Settings, quiet_telemetry};
use crate::{
    api::Api,
    import::{
        ImportOptions, Mapping, Step, import_orders,
        records::{RecordImport, RecordKind, RecordMapping, RecordStep, import_records},
    },
    platform::Platform,
    progress::Progress,
};

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Read order lines
    Orders(Orders),
    /// Read customers with their identifiers, traits and consents
    Customers(Common),
    /// Read products into the catalogue
    Products(Common),
    /// Read reviews of products
    Reviews(Common),
    /// Read answers to questions of consent
    Consents(Common),
    /// Read visits to physical shops
    StoreVisits(Common),
    /// Read context signals: weather, TV spots, trends, holidays, stock
    Signals(Common),
}

#[derive(Debug, ClapArgs)]
struct Orders {
    #[command(flatten)]
    common: Common,
    /// Do not put the products that were seen into the catalogue
    #[arg(long)]
    no_catalogue: bool,
}

#[derive(Debug, ClapArgs)]
struct Common {
    /// The file: CSV, JSON Lines or Parquet
    file: PathBuf,
    /// Mapping file that says which column is what, or the name of one that is shipped: online_retail_ii for orders, the
    /// command's own name for all else
    #[arg(long, value_name = "FILE")]
    mapping: String,
    /// Name of the source that the events belong to; made when it does not exist
    #[arg(long, default_value = "import")]
    source: String,
    /// Where to write the rejected lines, as CSV; FILE.rejects.csv in the working folder when not given
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Read and check everything, send nothing
    #[arg(long)]
    dry_run: bool,
    /// Address of a running gateway. Without it the services run in this process, on the data folder
    #[arg(long, requires = "key")]
    gateway: Option<String>,
    /// Key of the tenant, for --gateway
    #[arg(long, env = "COMPTOIR_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Tenant, without --gateway; made when it does not exist
    #[arg(long, default_value = "shop")]
    tenant: String,
    #[command(flatten)]
    settings: Settings,
}

/// A file with what is needed to read it.
enum Job {
    Orders { mapping: Box<Mapping>, catalogue: bool },
    Records { kind: RecordKind, mapping: Box<RecordMapping> },
}

/// What became of it.
struct Outcome {
    text: String,
    rejected: u64,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let (common, job) = match args.what {
        What::Orders(Orders { common, no_catalogue }) => {
            let mapping = Box::new(Mapping::named_or_read(&common.mapping)?);
            (common, Job::Orders { mapping, catalogue: !no_catalogue })
        }
        What::Customers(common) => records(common, RecordKind::Customers)?,
        What::Products(common) => records(common, RecordKind::Products)?,
        What::Reviews(common) => records(common, RecordKind::Reviews)?,
        What::Consents(common) => records(common, RecordKind::Consents)?,
        What::StoreVisits(common) => records(common, RecordKind::StoreVisits)?,
        What::Signals(common) => records(common, RecordKind::Signals)?,
    };
    let outcome = match (&common.gateway, &common.key) {
        _ if common.dry_run => import(&common, job, None).await?,
        (Some(gateway), Some(key)) => import(&common, job, Some(Api::remote(gateway, key)?)).await?,
        _ => on_data_folder(&common, job).await?,
    };
    println!("{}", outcome.text);
    if outcome.rejected > 0 {
        println!("rejected lines, each with its reason: {}", common.beside("rejects.csv").display());
    }
    Ok(())
}

fn records(common: Common, kind: RecordKind) -> anyhow::Result<(Common, Job)> {
    let mapping = Box::new(RecordMapping::named_or_read(&common.mapping, kind)?);
    Ok((common, Job::Records { kind, mapping }))
}

async fn on_data_folder(common: &Common, job: Job) -> anyhow::Result<Outcome> {
    let mut config = common.settings.read()?;
    config.access.calls_per_second = 0;
    let telemetry = quiet_telemetry(&config)?;
    let platform = Platform::open(config, Clock::system()).await?;
    platform.start();
    let api = tenant_api(&platform, &common.tenant).await?;
    let outcome = import(common, job, Some(api)).await?;

    let progress = Progress::begin("folding", 0);
    platform.settled().await?;
    progress.end("profiles, scores and recommendations are up to date");
    platform.stop().await;
    telemetry.shutdown().await;
    Ok(outcome)
}

/// Returns the API of a tenant on this installation, making the tenant when it is not there.
async fn tenant_api(platform: &Platform, tenant: &str) -> anyhow::Result<Api> {
    let operator = platform.operator()?;
    let key = match operator.create_tenant(tenant).await {
        Ok(key) => key,
        Err(error) if error.kind == kit::Kind::AlreadyExists => operator.create_key(tenant).await?,
        Err(error) => return Err(error.into()),
    };
    Ok(platform.api(&key)?)
}

async fn import(common: &Common, job: Job, api: Option<Api>) -> anyhow::Result<Outcome> {
    let source_id = match (&api, &job) {
        // Products belong to no source.
        (None, _) | (_, Job::Records { kind: RecordKind::Products, .. }) => String::new(),
        (Some(api), _) => source(api, &common.source).await?,
    };
    let channel = api.map(|api| api.channel());
    let mut stage = Stage::default();
    let done = match job {
        Job::Orders { mapping, catalogue } => {
            let options = ImportOptions {
                file: common.file.clone(),
                mapping: *mapping,
                source_id,
                rejects: Some(common.beside("rejects.csv")),
                dry_run: common.dry_run,
                catalogue,
                now: chrono::Utc::now(),
            };
            let report = import_orders(options, channel, |step, done, total| stage.at(name(step), done, total)).await;
            report.map(|report| Outcome { text: report.to_string(), rejected: report.lines_rejected() })
        }
        Job::Records { kind, mapping } => {
            let import = RecordImport {
                kind,
                file: common.file.clone(),
                mapping: *mapping,
                source_id,
                destination: common.destination()?,
                rejects: Some(common.beside("rejects.csv")),
                progress: Some(common.beside("progress.json")),
                dry_run: common.dry_run,
                now: chrono::Utc::now(),
            };
            let report = import_records(import, channel, |step, done, total| {
                let name = if step == RecordStep::Read { "reading the file" } else { "sending records" };
                stage.at(name, done, total);
            })
            .await;
            report.map(|report| Outcome { text: report.to_string(), rejected: report.lines_rejected() })
        }
    };
    let outcome = done.with_context(|| common.file.display().to_string())?;
    stage.end();
    Ok(outcome)
}

/// The step that an import is at, shown.
#[derive(Default)]
struct Stage {
    shown: Option<(&'static str, Progress)>,
}

impl Stage {
    fn at(&mut self, name: &'static str, done: u64, total: u64) {
        if self.shown.as_ref().is_none_or(|(current, _)| *current != name) {
            self.end();
            self.shown = Some((name, Progress::begin(name, total)));
        }
        if let Some((_, progress)) = &mut self.shown {
            progress.set_total(total);
            progress.at(done);
        }
    }

    fn end(&mut self) {
        if let Some((_, ended)) = self.shown.take() {
            ended.end("done");
        }
    }
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Read => "reading the file",
        Step::Catalogue => "filling the catalogue",
        Step::Send => "sending orders",
    }
}

/// Returns the source with this name, making it when it is not there.
async fn source(api: &Api, name: &str) -> anyhow::Result<String> {
    let mut page_token = String::new();
    loop {
        let page = api.sources().list_sources(ListSourcesRequest { page_size: 1_000, page_token }).await?.into_inner();
        if let Some(found) = page.sources.into_iter().find(|source| source.name == name) {
            return Ok(found.source_id);
        }
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    let source = Source {
        name: name.into(),
        kind: "import".into(),
        party: Party::First.into(),
        medium: Medium::Offline.into(),
        ..Source::default()
    };
    let created = api.create_source(source).await?.source.unwrap_or_default();
    Ok(created.source_id)
}

impl Common {
    /// Names the tenant that the records go to. It is only ever kept as part of a hash.
    fn destination(&self) -> anyhow::Result<String> {
        Ok(match (&self.gateway, &self.key) {
            (Some(gateway), Some(key)) => format!("{gateway} {key}"),
            _ => format!("{} {}", self.settings.read()?.data.display(), self.tenant),
        })
    }

    /// Returns the file of this ending that goes with the one that is read: the one that was asked for, or one in the working
    /// folder.
    fn beside(&self, ending: &str) -> PathBuf {
        match (&self.rejects, ending) {
            (Some(rejects), "rejects.csv") => rejects.clone(),
            _ => {
                let name = self.file.file_name().unwrap_or_default().to_string_lossy();
                PathBuf::from(format!("{name}.{ending}"))
            }
        }
    }
}
