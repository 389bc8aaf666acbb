//! The ingestion service as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    kit::binary::serve::<comptoir_ingestion::Ingestion>()
}
