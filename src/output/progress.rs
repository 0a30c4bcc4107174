//! Shows progress on standard error during a measurement, only on a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::figures::long;
use paceline_core::clock::now;

/// A progress line of a build.
pub struct Building(ProgressBar);

impl Building {
    /// Starts the line.
    pub fn start() -> Self {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{elapsed} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Building(bar)
    }

    /// Shows the current step.
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

/// A progress line of a measurement, with the time that it may still take.
pub struct Progress {
    line: ProgressBar,
    start: Instant,
}

impl Progress {
    /// Starts the line with `trials` to go.
    pub fn start(trials: u64) -> Self {
        // Without a terminal on standard error, indicatif draws nothing.
        let bar = ProgressBar::new(trials);
        let style = ProgressStyle::with_template("[{pos}/{len}] {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress { line: bar, start: now() }
    }

    /// Shows the current measurement, and the rest of the budget.
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
        self.say(format!("{what}; {word} {} left", long(left)));
    }

    /// Shows this text.
    pub fn say(&self, text: String) {
        self.line.set_message(text);
        self.line.tick();
    }

    /// Sets the number of trials to go: those of a cell that ended early are counted as done.
    pub fn left(&mut self, trials: u64) {
        self.line.set_position(self.line.length().unwrap_or(0).saturating_sub(trials));
    }

    /// Counts one more trial as done.
    pub fn done(&self) {
        self.line.inc(1);
    }

    /// Runs a function that prints, with the line hidden.
    pub fn beside<T>(&self, say: impl FnOnce() -> T) -> T {
        self.line.suspend(say)
    }

    /// Clears the line.
    pub fn end(self) {
        self.line.finish_and_clear();
    }
}
