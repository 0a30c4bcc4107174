//! Raises the soft limits of this process and its children to the hard limits, which needs no privileges.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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

/// Describes why a process could not start, with the remedy if it met a limit.
pub(crate) fn with_remedy(error: &io::Error) -> String {
    let remedy = match error.raw_os_error() {
        Some(24) => {
            "; raise the hard limit of open files as root, such as with: sudo prlimit --pid $$ --nofile=1024"
        }
        // fork(2) fails so at the limit of processes.
        _ if error.kind() == io::ErrorKind::WouldBlock => {
            "; end other programs, or raise the hard limit of processes as root, such as with: sudo prlimit --pid $$ \
             --nproc=4096"
        }
        _ => "",
    };
    format!("{error}{remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_limit_names_the_command_that_raises_it() {
        let said = |errno: rustix::io::Errno| with_remedy(&errno.into());
        assert!(said(rustix::io::Errno::MFILE).ends_with("--nofile=1024"));
        assert!(said(rustix::io::Errno::AGAIN).ends_with("--nproc=4096"));
        assert!(said(rustix::io::Errno::NOENT).ends_with("(os error 2)"));
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
