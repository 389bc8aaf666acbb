use ::store::{Cache, Db, OpenOptions};
use clap::Args as ClapArgs;

use super::Settings;
use crate::web::Web;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Address of a running gateway to look at too
    #[arg(long)]
    gateway: Option<String>,
}

/// Looks at each part, says what it found, and fails when anything is wrong.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let config = args.settings.read()?;
    let mut faults = 0;
    let mut say = |what: &str, outcome: Result<String, String>| match outcome {
        Ok(found) => println!("ok    {what}: {found}"),
        Err(fault) => {
            faults += 1;
            println!("FAULT {what}: {fault}");
        }
    };

    say("settings", Ok("understood".into()));
    let folder = match std::fs::metadata(&config.data) {
        Ok(found) if found.is_dir() && !found.permissions().readonly() => Ok(config.data.display().to_string()),
        Ok(_) => Err(format!("{} is not a folder that can be written", config.data.display())),
        Err(error) => Err(format!("{}: {error}; `comptoir up` makes it", config.data.display())),
    };
    let has_folder = folder.is_ok();
    say("data folder", folder);

    for (service, url, migrations) in config.store_list() {
        let what = format!("store of {service}");
        let is_file = url.starts_with("sqlite:");
        if is_file && !(has_folder && std::path::Path::new(url.trim_start_matches("sqlite:")).exists()) {
            say(&what, Err("not there yet; `comptoir up` or `comptoir migrate` makes it".into()));
            continue;
        }
        say(&what, look_at_store(&url, migrations).await);
    }

    let cache = match Cache::open(config.cache_url.expose()).await {
        Ok(cache) => match cache.incr_by("doctor", 1, std::time::Duration::from_secs(1)).await {
            Ok(_) => Ok("answers".into()),
            Err(error) => Err(kit::status::chain(&error)),
        },
        Err(error) => Err(kit::status::chain(&error)),
    };
    say("cache", cache);

    let smtp = format!("{}:{}", config.smtp.host, config.smtp.port);
    let connected =
        tokio::time::timeout(std::time::Duration::from_secs(3), tokio::net::TcpStream::connect(&smtp)).await;
    say(
        "mail server",
        match connected {
            Ok(Ok(_)) => Ok(format!("{smtp} listens")),
            Ok(Err(error)) => Err(format!("{smtp}: {error}")),
            Err(_) => Err(format!("{smtp} does not answer")),
        },
    );

    if let Some(gateway) = &args.gateway {
        say("gateway", look_at_gateway(gateway).await);
    }
    anyhow::ensure!(faults == 0, "{faults} faults");
    Ok(())
}

async fn look_at_store(url: &str, migrations: &'static ::store::Migrations) -> Result<String, String> {
    let look = async {
        let db = Db::open(url, OpenOptions::default()).await?;
        db.ping().await?;
        let current = db.is_current(migrations).await?;
        let engine = db.engine();
        db.close().await;
        Ok::<_, ::store::Error>((engine, current))
    };
    match look.await {
        Ok((engine, true)) => Ok(format!("{engine}, up to date")),
        Ok((engine, false)) => Err(format!("{engine}, migrations pending: run `comptoir migrate`")),
        Err(error) => Err(kit::status::chain(&error)),
    }
}

async fn look_at_gateway(url: &str) -> Result<String, String> {
    let mut web = Web::remote(url).map_err(|error| error.message)?;
    let answer = web.get("/readyz", "comptoir doctor").await.map_err(|error| kit::status::chain(&error))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status.is_success() { Ok(text) } else { Err(text) }
}
