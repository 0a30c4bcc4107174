//! The start that all generators of a load share.
//!
//! Each reports once its connections are open. The parent then names a start a little ahead, and each confirms it
//! before it comes. If one does not confirm, the parent ends all.

use std::io::{self, BufRead};

use mio::Events;
use serde::{Deserialize, Serialize};

use super::{
    OPENING,
    drive::{Driver, system},
    loaded::Reply,
    say,
};
use crate::{
    clock::{nanoseconds, timer_ns},
    prepared::Fault,
};

/// When the load starts. A leader on another machine converts it to the clock of each generator.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Start {
    /// Nanoseconds on the generator's own monotonic clock.
    pub(super) at_ns: u64,
}

impl Driver<'_> {
    /// Reports, waits for the start that the parent names, confirms it, and sets it as zero of the clock.
    ///
    /// # Errors
    ///
    /// Returns a fault if a start that others share has already passed. One generator alone then starts at once.
    pub(super) fn await_start(&mut self, events: &mut Events) -> Result<(), Fault> {
        tell(&Reply::Ready)?;
        let start = loop {
            if let Some(start) = self.start {
                break start;
            }
            self.wait(events, self.now_ns + nanoseconds(OPENING))?;
        };
        self.read_clock();
        let now = timer_ns();
        if now > start.at_ns && self.order.options.share.of > 1 {
            let late = (now - start.at_ns) as f64 / 1e6;
            return Err(Fault::Failed(format!(
                "{} heard of the common start {late:.1} ms after it: nothing is measured",
                self.order.options.share.name()
            )));
        }
        tell(&Reply::Agreed)?;
        let start_ns = self.now_ns + start.at_ns.saturating_sub(now);
        while self.now_ns < start_ns {
            self.wait(events, start_ns)?;
        }
        self.shift_clock(start_ns);
        Ok(())
    }

    /// Reads what the parent says: when to start. If it says nothing any more, this process ends too.
    pub(super) fn hear(&mut self) -> Result<(), Fault> {
        let mut line = String::new();
        if matches!(io::stdin().lock().read_line(&mut line), Ok(0)) {
            std::process::exit(0);
        }
        let start = serde_json::from_str(&line);
        self.start = Some(start.map_err(|error| Fault::Failed(format!("not a start: {error}")))?);
        Ok(())
    }
}

fn tell(reply: &Reply) -> Result<(), Fault> {
    say(reply).map_err(|error| system(&error))
}
