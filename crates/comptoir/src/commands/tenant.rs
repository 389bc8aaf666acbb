use anyhow::Context;
use clap::{Args as ClapArgs, Subcommand};

use super::Settings;
use crate::{api::Api, platform::Secrets};

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a tenant and a key that may do everything in it
    Create(Create),
}

#[derive(Debug, ClapArgs)]
struct Create {
    /// Identifier: 1 to 64 characters of [a-z0-9_-]
    tenant: String,
    /// Address of the gateway
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    gateway: String,
    /// The operator's key; read from the data folder when it is not given
    #[arg(long, env = "COMPTOIR_OPERATOR_KEY", hide_env_values = true)]
    operator_key: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let Action::Create(create) = args.action;
    let operator_key = match create.operator_key {
        Some(key) => key,
        None => {
            let data = create.settings.read()?.data;
            anyhow::ensure!(
                data.join("secrets.toml").exists(),
                "{} has no secrets.toml: give --data or --operator-key",
                data.display()
            );
            Secrets::open(&data)?.operator_key.expose().clone()
        }
    };
    let key = Api::remote(&create.gateway, &operator_key)?
        .create_tenant(&create.tenant)
        .await
        .with_context(|| format!("tenant {} was not created", create.tenant))?;
    eprintln!("Tenant {} exists. This is its key; it is not shown again:", create.tenant);
    println!("{key}");
    Ok(())
}
