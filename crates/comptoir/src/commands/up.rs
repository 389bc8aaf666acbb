use std::net::SocketAddr;

use anyhow::Context;
use clap::Args as ClapArgs;
use tokio::net::TcpListener;

use super::{Settings, quiet_telemetry};
use crate::platform::Platform;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let mut config = args.settings.read()?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    let telemetry = quiet_telemetry(&config)?;
    let listener = TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("{} cannot be bound", config.server.listen))?;
    let address = listener.local_addr()?;
    if config.public_url.is_empty() {
        config.public_url = format!("http://{address}");
    }

    let clock = config.clock.open()?;
    let platform = Platform::open(config, clock).await?;
    platform.start();
    kit::binary::stop_on_signal(platform.shutdown())?;
    eprintln!("Comptoir serves on http://{address} (data in {})", platform.config().data.display());
    eprintln!(
        "The operator's key is in {}/secrets.toml; `comptoir tenant create NAME` makes a tenant and its key.",
        platform.config().data.display()
    );
    let served = platform.serve(listener).await;
    let failure = platform.shutdown().failure().map(str::to_owned);
    platform.stop().await;
    telemetry.shutdown().await;
    served?;
    match failure {
        Some(failure) => anyhow::bail!("{failure}"),
        None => Ok(()),
    }
}
