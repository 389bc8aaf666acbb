use super::Settings;
use crate::platform::Databases;

pub(super) async fn run(settings: &Settings) -> anyhow::Result<()> {
    let databases = Databases::open(&settings.read()?).await?;
    for (service, db) in databases.each() {
        println!("{service}: up to date ({})", db.engine());
        db.close().await;
    }
    Ok(())
}
