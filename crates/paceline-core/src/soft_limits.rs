//! Raises the soft limits of this process and its children to the hard limits, which needs no privileges.

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

#[cfg(test)]
mod tests {
    use super::*;

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
