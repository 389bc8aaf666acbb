//! Rules of segments: expressions in the Common Expression Language (CEL).
//!
//! A rule is compiled once, checked against the variables there are, and asked what it reads and when time alone may
//! change its answer. Whatever the expression, neither compiling nor judging panics, overflows the stack or runs long:
//! length, depth and work are bounded, and the interpreter runs behind `catch_unwind`.

mod analysis;
mod compile;
mod time;
mod vocabulary;

pub(crate) use compile::Rule;
pub(crate) use vocabulary::View;

/// Longest expression, in characters.
pub(crate) const MAX_CHARS: usize = 4_096;
