//! A lock that lets one gate at a time measure on this machine: two would disturb each other.

#[cfg(not(target_os = "linux"))]
use std::fs::File as Held;
#[cfg(target_os = "linux")]
use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixDatagram as Held},
};
use std::{io, thread, time::Duration};

use super::disturbed::load_is_allowed;
use crate::output::print_note;
use paceline_core::interrupt::interrupted;

/// The lock, until it is dropped or the process ends.
pub(super) struct MeasuringLock {
    _held: Option<Held>,
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
            match take() {
                Ok(held) => return Ok(MeasuringLock { _held: Some(held) }),
                Err(error) if is_taken(&error) && interrupted() => {
                    return Ok(MeasuringLock { _held: None });
                }
                Err(error) if is_taken(&error) => {}
                Err(error) => {
                    return Err(format!(
                        "whether another gate measures on this machine cannot be found out: {error}"
                    ));
                }
            }
            if !told {
                print_note("another gate measures on this machine: waiting for it");
            }
            told = true;
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Takes a name that no other process of the machine can have at the same time. It is no file: so it has neither a folder
/// that users set, nor an owner, nor links that lead elsewhere. A network namespace of its own has names of its own.
#[cfg(target_os = "linux")]
fn take() -> io::Result<Held> {
    Held::bind_addr(&SocketAddr::from_abstract_name("paceline-gate")?)
}

/// Locks a file in a place that is the same for all users. It is created or only read, so a link can do no harm.
#[cfg(not(target_os = "linux"))]
fn take() -> io::Result<Held> {
    let path = "/tmp/paceline-gate.lock";
    let file = Held::open(path).or_else(|_| Held::create_new(path))?;
    file.try_lock()?;
    Ok(file)
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_no_other_can_take() {
        // A gate may measure while this test runs.
        let held = take();
        assert!(held.as_ref().is_ok() || is_taken(held.as_ref().unwrap_err()));
        assert!(take().is_err_and(|error| is_taken(&error)));
    }
}
