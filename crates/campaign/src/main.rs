//! Campaign as a process of its own.

fn main() -> std::process::ExitCode {
    kit::binary::serve::<comptoir_campaign::Campaign>()
}
