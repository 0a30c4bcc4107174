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

#[cfg(test)]
mod tests {
    use super::*;

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
