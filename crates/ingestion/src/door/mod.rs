//! The doors: each turns what came in into items for the intake.

mod answer;
pub(crate) mod http;
pub(crate) mod mend;
pub(crate) mod replay;
mod segment;
pub(crate) mod typed;
mod write_key;

/// Events read between two moments at which other tasks may run.
const EVENTS_BETWEEN_YIELDS: usize = 64;

/// Returns an id for a message that came without one.
fn drawn_message_id() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

/// Lets other tasks run now and then while a long batch is read.
async fn breathe(index: usize) {
    if index % EVENTS_BETWEEN_YIELDS == EVENTS_BETWEEN_YIELDS - 1 {
        tokio::task::yield_now().await;
    }
}
