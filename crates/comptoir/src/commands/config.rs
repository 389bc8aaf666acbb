use clap::{Args as ClapArgs, Subcommand};

use super::Settings;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the settings in force, secrets masked
    Print(Settings),
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let Action::Print(settings) = &args.action;
    print!("{}", kit::config::print(&settings.read()?));
    Ok(())
}
