//! The identity service as a process of its own.

fn main() -> std::process::ExitCode {
    kit::binary::serve::<comptoir_identity::Identity>()
}
