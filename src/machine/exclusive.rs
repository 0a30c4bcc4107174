//! A lock on a name of this machine, whatever the user and the folder of temporary files.

#[cfg(not(target_os = "linux"))]
use std::fs::File as Held;
use std::io;
#[cfg(target_os = "linux")]
use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixDatagram as Held},
};

/// A name that no other process of this machine has, until this is dropped or the process ends.
#[derive(Debug)]
pub struct Exclusive {
    _held: Held,
}

impl Exclusive {
    /// Takes `name`, of at most 90 bytes. Returns `None` if another process has it, of any user. A network namespace has
    /// names of its own.
    ///
    /// # Errors
    ///
    /// Returns an error if the system does not tell.
    pub fn take(name: &str) -> io::Result<Option<Self>> {
        match held(name) {
            Ok(held) => Ok(Some(Exclusive { _held: held })),
            Err(error) => match error.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::WouldBlock => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Returns whether any process has `name`.
    ///
    /// # Errors
    ///
    /// Returns an error if the system does not tell.
    pub fn is_taken(name: &str) -> io::Result<bool> {
        match is_there(name) {
            Ok(()) => Ok(true),
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Ok(false),
                _ => Err(error),
            },
        }
    }
}

/// It is no file: so it has neither a folder that users set, nor an owner, nor links that lead elsewhere.
#[cfg(target_os = "linux")]
fn socket(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("paceline-{name}"))
}

#[cfg(target_os = "linux")]
fn held(name: &str) -> io::Result<Held> {
    Held::bind_addr(&socket(name)?)
}

#[cfg(target_os = "linux")]
fn is_there(name: &str) -> io::Result<()> {
    Held::unbound()?.connect_addr(&socket(name)?)
}

/// Returns a place that is the same for all users. The file is created or only read, so a link can do no harm.
#[cfg(not(target_os = "linux"))]
fn path(name: &str) -> String {
    format!("/tmp/paceline-{name}.lock")
}

#[cfg(not(target_os = "linux"))]
fn held(name: &str) -> io::Result<Held> {
    let path = path(name);
    let file = Held::open(&path).or_else(|_| Held::create_new(&path))?;
    file.try_lock()?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn is_there(name: &str) -> io::Result<()> {
    match Held::open(path(name))?.try_lock_shared() {
        Err(std::fs::TryLockError::WouldBlock) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_no_other_can_take_until_it_is_given_back() {
        let name = format!("test-{}", std::process::id());
        let held = Exclusive::take(&name).unwrap();
        assert!(held.is_some() && Exclusive::take(&name).unwrap().is_none());
        assert!(Exclusive::is_taken(&name).unwrap());
        let other = format!("{name}-other");
        assert!(!Exclusive::is_taken(&other).unwrap());
        assert!(Exclusive::take(&other).unwrap().is_some());
        drop(held);
        // A test beside this one may be starting a process, which has a copy until it has become its program.
        let taken = || Exclusive::take(&name).unwrap().is_some();
        assert!((0..1000).any(|_| taken() || {
            std::thread::sleep(std::time::Duration::from_millis(10));
            false
        }));
    }
}
