//! Progress for people: a bar in a terminal, plain lines without one.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Pause between two plain lines about one stage.
const LINE_PAUSE: Duration = Duration::from_secs(5);

/// The progress of one stage.
pub struct Progress {
    name: String,
    total: u64,
    begun: Instant,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    Lines { last: Instant },
    Nothing,
}

impl Progress {
    /// Begins a stage of `total` steps; 0 when the number is not known.
    pub fn begin(name: &str, total: u64) -> Self {
        let shown = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{prefix:24} [{bar:32}] {human_pos}/{human_len} {per_sec} {eta}")
                .expect("the template is fixed")
                .progress_chars("=> ");
            Shown::Bar(ProgressBar::new(total).with_style(style).with_prefix(name.to_owned()))
        } else {
            say(&format!("{name} …"));
            Shown::Lines { last: Instant::now() }
        };
        Self { name: name.to_owned(), total, begun: Instant::now(), shown }
    }

    /// Begins a stage that says nothing, for when only the result is wanted.
    pub fn silent(name: &str) -> Self {
        Self { name: name.to_owned(), total: 0, begun: Instant::now(), shown: Shown::Nothing }
    }

    /// Says how far the stage is.
    pub fn at(&mut self, done: u64) {
        match &mut self.shown {
            Shown::Bar(bar) => bar.set_position(done),
            Shown::Lines { last } if last.elapsed() >= LINE_PAUSE => {
                *last = Instant::now();
                say(&format!("{} … {done} of {}", self.name, self.total));
            }
            Shown::Lines { .. } | Shown::Nothing => {}
        }
    }

    /// Says what the total turned out to be.
    pub fn set_total(&mut self, total: u64) {
        self.total = total;
        if let Shown::Bar(bar) = &self.shown {
            bar.set_length(total);
        }
    }

    /// Ends the stage and returns how long it took.
    pub fn end(self, summary: &str) -> Duration {
        let took = self.begun.elapsed();
        match self.shown {
            Shown::Bar(bar) => {
                bar.finish_and_clear();
                say(&format!("{:<24} {summary} ({:.1} s)", self.name, took.as_secs_f64()));
            }
            Shown::Lines { .. } => say(&format!("{}: {summary} ({:.1} s)", self.name, took.as_secs_f64())),
            Shown::Nothing => {}
        }
        took
    }
}

fn say(line: &str) {
    // A closed stderr is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
}
