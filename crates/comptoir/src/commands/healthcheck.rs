//! `comptoir healthcheck`: for containers, which have neither curl nor wget.

use super::Settings;

pub(super) async fn run(settings: &Settings) -> anyhow::Result<()> {
    Ok(kit::binary::healthcheck(settings.read()?.server.listen).await?)
}
