//! A lock that lets one gate at a time measure on this machine: two would disturb each other.

use std::{thread, time::Duration};

use super::disturbed::load_is_allowed;
use crate::{machine::Exclusive, output::print_note};
use paceline_core::interrupt::interrupted;

/// The lock, until it is dropped or the process ends.
pub(super) struct MeasuringLock {
    _held: Option<Exclusive>,
}

impl MeasuringLock {
    /// Waits until no other gate measures, of any user.
    ///
    /// # Errors
    ///
    /// Returns a sentence if the system does not tell whether one does.
    pub(super) fn wait() -> Result<Self, String> {
        // Tests run in parallel and do not measure speed.
        if load_is_allowed() {
            return Ok(MeasuringLock { _held: None });
        }
        let mut told = false;
        loop {
            let held = Exclusive::take("gate").map_err(|error| {
                format!(
                    "whether another gate measures on this machine cannot be found out: {error}"
                )
            })?;
            if held.is_some() || interrupted() {
                return Ok(MeasuringLock { _held: held });
            }
            if !told {
                print_note("another gate measures on this machine: waiting for it");
            }
            told = true;
            thread::sleep(Duration::from_millis(200));
        }
    }
}
