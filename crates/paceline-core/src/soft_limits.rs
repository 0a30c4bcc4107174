//! Raises the soft limits of this process and its children to the hard limits, which needs no privileges, and says how to
//! raise the hard ones.

use std::io;

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// The limits that jobs hit: a descriptor per socket, a process number per thread, locked memory for rings.
const RAISED: [Resource; 3] = [Resource::Nofile, Resource::Nproc, Resource::Memlock];

/// Raises the soft limits on open files, processes and locked memory to the hard limits, for this process and its
/// children. A limit that cannot be raised stays as it is; the preflight checks read the result.
pub fn raise_limits() {
    for resource in RAISED {
        let limit = getrlimit(resource);
        if limit.current != limit.maximum {
            let _ = setrlimit(resource, Rlimit { current: limit.maximum, ..limit });
        }
    }
}

/// Returns how to raise a hard limit to `need`, which only root can. `option` is that of `prlimit`, such as `--nofile`.
pub fn hard_limit(option: &str, need: u64) -> String {
    let name = option.trim_start_matches('-');
    format!(
        "raise the hard limit as root: sudo prlimit --pid $$ {option}={need}, or {name} in /etc/security/limits.conf"
    )
}

/// A hard limit that is enough for most runs, for errors that do not say what was needed.
const ENOUGH: u64 = 65_536;

/// Describes an error, with the remedy if it met a limit on sockets.
pub(crate) fn with_remedy(error: &io::Error) -> String {
    let remedy = match Errno::from_io_error(error) {
        Some(Errno::MFILE) => hard_limit("--nofile", ENOUGH),
        Some(Errno::NFILE) => {
            "lift the limit of all processes as root with: sysctl -w fs.file-max=1000000".into()
        }
        Some(Errno::ADDRNOTAVAIL) => {
            "no local port is free; wait a minute, or widen net.ipv4.ip_local_port_range".into()
        }
        _ => return error.to_string(),
    };
    format!("{error}; {remedy}")
}

/// Describes why a process could not start, with the remedy if it met a limit.
pub(crate) fn why_not_started(error: &io::Error) -> String {
    // fork(2) fails so at the limit of processes; elsewhere it is how a wait on a socket times out.
    if error.kind() == io::ErrorKind::WouldBlock {
        return format!("{error}; end other programs, or {}", hard_limit("--nproc", ENOUGH));
    }
    with_remedy(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_limit_names_the_command_that_raises_it() {
        let said = |errno: Errno| with_remedy(&errno.into());
        assert!(said(Errno::MFILE).contains("(os error 24); raise the hard limit as root: sudo"));
        assert!(said(Errno::MFILE).contains("--nofile=65536"));
        assert!(said(Errno::NFILE).contains("fs.file-max"), "all processes share this limit");
        assert!(said(Errno::ADDRNOTAVAIL).contains("net.ipv4.ip_local_port_range"));
        for other in [Errno::NOENT, Errno::AGAIN] {
            assert_eq!(said(other), io::Error::from(other).to_string());
        }
        let processes = why_not_started(&Errno::AGAIN.into());
        assert!(processes.contains("--nproc=65536"), "{processes}");
        assert!(why_not_started(&Errno::MFILE.into()).contains("--nofile=65536"));
    }

    #[test]
    fn soft_limits_are_the_hard_ones_afterwards() {
        raise_limits();
        // macOS reports no hard limit on files that it would also grant.
        for resource in RAISED.into_iter().filter(|_| cfg!(target_os = "linux")) {
            let limit = getrlimit(resource);
            assert_eq!(limit.current, limit.maximum);
        }
    }
}
