//! How far the clock of another node is ahead.

/// The offset of another node's clock from this node's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// Nanoseconds by which the other clock is ahead.
    pub(super) ahead_ns: i64,
    /// Half of the round trip, which bounds the error of `ahead_ns`.
    pub(super) uncertainty_ns: u64,
}

impl Clock {
    /// Computes the offset from the four timestamps of an exchange: request sent (here), request received (there),
    /// reply sent (there), reply received (here).
    pub(super) fn of([sent, received, answered, arrived]: [u64; 4]) -> Self {
        let [sent, received, answered, arrived] =
            [sent, received, answered, arrived].map(i128::from);
        let ahead = i128::midpoint(received - sent, answered - arrived);
        let trip = ((arrived - sent) - (answered - received)).max(0);
        Clock {
            ahead_ns: ahead.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
            uncertainty_ns: (trip + 1) as u64 / 2,
        }
    }
}

/// Returns whether two of several nodes have one clock, as far as that can be measured: they are one machine. Machines
/// that were started apart differ by the time in between. `others` are compared with the clock of this node.
pub(super) fn is_shared(others: impl Iterator<Item = Clock>) -> bool {
    let here = Clock { ahead_ns: 0, uncertainty_ns: 0 };
    let mut all: Vec<Clock> = std::iter::once(here).chain(others).collect();
    all.sort_by_key(|clock| clock.ahead_ns);
    all.windows(2).any(|two| {
        two[1].ahead_ns.abs_diff(two[0].ahead_ns) <= two[0].uncertainty_ns + two[1].uncertainty_ns
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_by_less_than_can_be_measured_are_one() {
        let shared = |all: &[(i64, u64)]| {
            let clock = |(ahead_ns, uncertainty_ns): &(i64, u64)| Clock {
                ahead_ns: *ahead_ns,
                uncertainty_ns: *uncertainty_ns,
            };
            is_shared(all.iter().map(clock))
        };
        assert!(shared(&[(-40, 50)]), "the server and a generator");
        assert!(!shared(&[(-60, 50)]) && !shared(&[]));
        assert!(shared(&[(9_000_000, 50), (-7, 5), (9_000_090, 50)]), "two generators");
        assert!(!shared(&[(9_000_000, 50), (-7, 5), (9_000_110, 50)]));
        assert!(!shared(&[(i64::MIN, 50), (i64::MAX, 50)]));
    }

    #[test]
    fn the_error_of_a_clock_offset_is_at_most_half_a_round_trip() {
        // 5 s ahead; 100 ns to the other node, 300 ns back.
        let clock = Clock::of([1_000, 5_000_001_100, 5_000_001_150, 1_450]);
        assert_eq!(clock.uncertainty_ns, 200);
        assert!((clock.ahead_ns - 5_000_000_000).unsigned_abs() <= clock.uncertainty_ns);
        let behind = Clock::of([9_000_000_000, 1_000_000_050, 1_000_000_050, 9_000_000_100]);
        assert_eq!((behind.ahead_ns, behind.uncertainty_ns), (-8_000_000_000, 50));
    }
}
