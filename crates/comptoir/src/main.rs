//! `comptoir`: run, feed, check and measure the platform.

fn main() -> std::process::ExitCode {
    comptoir::commands::main()
}
