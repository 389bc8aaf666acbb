use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What a human may type.
#[derive(Debug, Parser)]
#[command(version, about = "One service of Comptoir. Settings: a TOML file, then COMPTOIR__SECTION__KEY variables.")]
pub(super) struct Args {
    /// TOML file with settings
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(super) enum Command {
    /// Run the service (the default)
    Serve,
    /// Apply pending migrations and end
    Migrate,
    /// Look at the settings
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Ask the running service whether it is ready
    Healthcheck,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(super) enum ConfigAction {
    /// Print the settings in force, secrets masked
    Print,
}

impl Args {
    pub(super) fn command(&self) -> Command {
        self.command.clone().unwrap_or(Command::Serve)
    }

    /// Tells whether the command uses the settings for more than looking at them.
    pub(super) fn needs_valid_config(&self) -> bool {
        self.command() == Command::Serve
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_serves_by_default() {
        <Args as CommandFactory>::command().debug_assert();

        let bare = Args::parse_from(["identity"]);
        let printing = Args::parse_from(["identity", "config", "print", "--config", "a.toml"]);

        assert_eq!(bare.command(), Command::Serve);
        assert_eq!(printing.command(), Command::Config { action: ConfigAction::Print });
        assert_eq!(printing.config, Some(PathBuf::from("a.toml")));
    }
}
