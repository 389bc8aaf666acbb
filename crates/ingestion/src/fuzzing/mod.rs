//! What is fuzzed: each function hands any bytes to a reader of input as the service does, and panics when something does
//! not hold of what comes out. Not an interface: the targets in `fuzz/` call it, and the test that replays their seeds.
//!
//! Always compiled, because a feature would build the crate twice; what no program calls is left out of the program.

mod edge;
mod intake;
mod signals;

pub use edge::edge;
pub use intake::{http_body, protobuf_intake};
pub use signals::{consent_signals, gpp, tcf};

/// Splits off the first line of an input, without its end.
fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}
