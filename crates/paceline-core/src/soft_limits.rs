//! Lifting the limits of this process and its children as far as they may go without asking anybody.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What jobs run into: a descriptor for each socket, a process number for each thread, locked memory for rings.
const RAISED: [Resource; 3] = [Resource::Nofile, Resource::Nproc, Resource::Memlock];

/// Lifts the soft limits of open files, of processes and of locked memory to the hard ones, for this process and its
/// children. One that cannot be lifted stays as it is: the preflight reads what is left.
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
        // macOS shows no hard limit of files that it would also grant.
        for resource in RAISED.into_iter().filter(|_| cfg!(target_os = "linux")) {
            let limit = getrlimit(resource);
            assert_eq!(limit.current, limit.maximum);
        }
    }
}
