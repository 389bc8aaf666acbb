//! The scoring service in a process of its own.

fn main() -> std::process::ExitCode {
    kit::binary::serve::<comptoir_scoring::Scoring>()
}
