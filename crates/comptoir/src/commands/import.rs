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
    import::{ImportOptions, ImportReport, Mapping, Step, import_orders},
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
    /// Read order lines from a CSV or Parquet file
    Orders(Orders),
}

#[derive(Debug, ClapArgs)]
struct Orders {
    /// The file
    file: PathBuf,
    /// Mapping file that says which column is what, or the name of one that is shipped: online_retail_ii
    #[arg(long, value_name = "FILE")]
    mapping: String,
    /// Name of the source that the orders belong to; made when it does not exist
    #[arg(long, default_value = "import")]
    source: String,
    /// Where to write the rejected lines, as CSV; FILE.rejects.csv beside the working folder when not given
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Read and check everything, send nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not put the products that were seen into the catalogue
    #[arg(long)]
    no_catalogue: bool,
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

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let What::Orders(orders) = args.what;
    let mapping = Mapping::named_or_read(&orders.mapping)?;
    if orders.dry_run {
        let report = import(&orders, mapping, None).await?;
        return tell(&report, &orders);
    }
    match (&orders.gateway, &orders.key) {
        (Some(gateway), Some(key)) => {
            let report = import(&orders, mapping, Some(Api::remote(gateway, key)?)).await?;
            tell(&report, &orders)
        }
        _ => on_data_folder(&orders, mapping).await,
    }
}

async fn on_data_folder(orders: &Orders, mapping: Mapping) -> anyhow::Result<()> {
    let mut config = orders.settings.read()?;
    config.access.calls_per_second = 0;
    let telemetry = quiet_telemetry(&config)?;
    let platform = Platform::open(config, Clock::system()).await?;
    platform.start();
    let api = tenant_api(&platform, &orders.tenant).await?;
    let report = import(orders, mapping, Some(api)).await?;

    let progress = Progress::begin("folding", 0);
    platform.settled().await?;
    progress.end("profiles, scores and recommendations are up to date");
    tell(&report, orders)?;
    platform.stop().await;
    telemetry.shutdown().await;
    Ok(())
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

async fn import(orders: &Orders, mapping: Mapping, api: Option<Api>) -> anyhow::Result<ImportReport> {
    let source_id = match &api {
        Some(api) => source(api, &orders.source).await?,
        None => String::new(),
    };
    let options = ImportOptions {
        file: orders.file.clone(),
        mapping,
        source_id,
        rejects: Some(orders.rejects_path()),
        dry_run: orders.dry_run,
        catalogue: !orders.no_catalogue,
        now: chrono::Utc::now(),
    };
    let mut stage: Option<(Step, Progress)> = None;
    let report = import_orders(options, api.map(|api| api.channel()), |step, done, total| {
        if stage.as_ref().is_none_or(|(current, _)| *current != step)
            && let Some((_, ended)) = stage.replace((step, Progress::begin(name(step), total)))
        {
            ended.end("done");
        }
        if let Some((_, progress)) = &mut stage {
            progress.set_total(total);
            progress.at(done);
        }
    })
    .await
    .with_context(|| orders.file.display().to_string())?;
    if let Some((_, ended)) = stage {
        ended.end("done");
    }
    Ok(report)
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

impl Orders {
    fn rejects_path(&self) -> PathBuf {
        self.rejects.clone().unwrap_or_else(|| {
            let name = self.file.file_name().unwrap_or_default().to_string_lossy();
            PathBuf::from(format!("{name}.rejects.csv"))
        })
    }
}

fn tell(report: &ImportReport, orders: &Orders) -> anyhow::Result<()> {
    println!("{report}");
    if report.lines_rejected() > 0 {
        println!("rejected lines, each with its reason: {}", orders.rejects_path().display());
    }
    Ok(())
}
