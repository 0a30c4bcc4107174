//! Progress on standard error while something is measured, and only on a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::figures::long;
use paceline_core::clock::now;

/// A line that says what is built.
pub struct Building(ProgressBar);

impl Building {
    /// Begins.
    #[must_use]
    pub fn start() -> Self {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{elapsed} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Building(bar)
    }

    /// Says what is done now.
    pub fn show(&self, what: &str) {
        self.0.set_message(what.trim().to_owned());
        self.0.tick();
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A line that says what is measured and how long it may still take.
pub struct Progress {
    line: ProgressBar,
    start: Instant,
}

impl Progress {
    /// Begins, with so many trials to go.
    #[must_use]
    pub fn start(trials: u64) -> Self {
        // Where standard error is no terminal, indicatif draws nothing.
        let bar = ProgressBar::new(trials);
        let style = ProgressStyle::with_template("[{pos}/{len}] {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress { line: bar, start: now() }
    }

    /// Says what is measured now, and how much of the budget is left.
    pub fn show(&self, what: &str, budget: Duration) {
        let done = self.line.position();
        let guess = (done > 0).then(|| {
            let left = self.line.length().unwrap_or(0).saturating_sub(done);
            (now() - self.start).mul_f64(left as f64 / done as f64)
        });
        let (word, left) = match guess {
            Some(guess) if guess < budget => ("about", guess),
            _ => ("at most", budget),
        };
        self.line.set_message(format!("{what}; {word} {} left", long(left)));
        self.line.tick();
    }

    /// Says that so many trials are to go: those of a cell that ended early are done with.
    pub fn left(&mut self, trials: u64) {
        self.line.set_position(self.line.length().unwrap_or(0).saturating_sub(trials));
    }

    /// Says that one trial more is done.
    pub fn done(&self) {
        self.line.inc(1);
    }

    /// Does what prints something, while the line is out of the way.
    pub fn beside<T>(&self, say: impl FnOnce() -> T) -> T {
        self.line.suspend(say)
    }

    /// Clears the line.
    pub fn end(self) {
        self.line.finish_and_clear();
    }
}
