//! The receipt of a job: a count and a checksum that prove its steps were run. Both can be computed in advance from the
//! definition.

use std::{fmt, num::NonZeroU64, time::Duration};

use super::{Messages, Step};

/// The number of units done, and a checksum that only running the steps in order produces.
///
/// Two words, with a niche for an error's pointer, so that a job's result costs as much as in hand-written code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The units plus one, so that it is never 0.
    units_and_one: NonZeroU64,
    checksum: u64,
}

impl Receipt {
    /// Creates the receipt of a job that has done nothing yet.
    #[inline]
    pub fn new(seed: u64) -> Self {
        Receipt { units_and_one: NonZeroU64::MIN, checksum: seed }
    }

    /// Returns the number of elementary operations done: sleeps, round trips, computations, yields.
    pub fn units(self) -> u64 {
        self.units_and_one.get() - 1
    }

    /// Returns the checksum that the operations computed from the seed.
    #[inline]
    pub fn checksum(self) -> u64 {
        self.checksum
    }

    /// Adds operations that do not change the checksum.
    #[inline]
    pub fn waited(&mut self, units: u64) {
        self.units_and_one = self.units_and_one.saturating_add(units);
    }

    /// Adds one operation, which changed the checksum to `checksum`.
    #[inline]
    pub fn did(&mut self, checksum: u64) {
        self.waited(1);
        self.checksum = checksum;
    }

    /// Adds a message received in a room. The receipt covers the message, not its sender.
    #[inline]
    pub fn heard(&mut self, message: u64) {
        self.did(mix(self.checksum ^ message));
    }

    /// Adds a group of `width` children that failed, regardless of how far the others got.
    pub fn contained(&mut self, width: usize) {
        self.did(mix(self.checksum ^ width as u64));
    }

    /// Adds the receipts of children, in order.
    #[must_use]
    pub fn join(mut self, children: impl IntoIterator<Item = Receipt>) -> Self {
        for child in children {
            self.waited(child.units());
            self.checksum = mix(self.checksum ^ child.checksum);
        }
        self
    }

    /// Adds the receipt of steps that went on from this checksum elsewhere: those of an offload.
    #[inline]
    pub fn went_on(&mut self, elsewhere: Receipt) {
        self.waited(elsewhere.units());
        self.checksum = elsewhere.checksum;
    }

    /// Returns the seed of child `index` of a job with this receipt.
    #[inline]
    pub fn child_seed(self, index: usize) -> u64 {
        child_seed(self.checksum, index)
    }

    /// Returns the response body for a request whose job returned this receipt: one line.
    pub fn body(self) -> String {
        format!("{self}\n")
    }

    /// Returns the receipt that a job of `steps` starting from `seed` must produce.
    pub fn expected(steps: &[Step], seed: u64) -> Receipt {
        let mut so_far = Receipt::new(seed);
        for step in steps {
            match step {
                Step::Connect(_) | Step::Pool(_) | Step::Sleep(_) | Step::Block(_) | Step::Park => {
                    so_far.waited(1);
                }
                Step::Say(Messages { times, .. }) | Step::Hear(Messages { times, .. }) => {
                    room_messages(*times).for_each(|message| so_far.heard(message));
                }
                Step::Yield(times) => so_far.waited(*times),
                Step::Compute(rounds) => so_far.did(compute(so_far.checksum, *rounds)),
                Step::Exchange { times, .. } | Step::Hop(times) => {
                    (0..*times).for_each(|_| so_far.did(mix(so_far.checksum)));
                }
                Step::Offload(of) => {
                    so_far.went_on(Receipt::expected(of, so_far.checksum));
                }
                Step::Gather(gather) => {
                    let parent = so_far;
                    let child =
                        |index| Receipt::expected(gather.steps(index), parent.child_seed(index));
                    so_far = so_far.join((0..gather.width).map(child));
                }
                Step::Group(group) if group.fails() => so_far.contained(group.width),
                Step::Group(group) => {
                    let parent = so_far;
                    let child =
                        |index| Receipt::expected(group.steps(index), parent.child_seed(index));
                    so_far = so_far.join((0..group.width).map(child));
                }
                // A child that fails has no receipt.
                Step::Fail => {}
            }
        }
        so_far
    }
}

/// Returns the sequence of messages sent in a room. It is the same in all rooms, because receivers must know it in
/// advance.
pub(crate) fn room_messages(times: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(mix(0)), |message| Some(mix(*message))).take(times as usize)
}

/// The form in which a server sends it: the units, and the checksum in hexadecimal.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:016x}", self.units(), self.checksum)
    }
}

/// Returns the seed of child `index` of a parent with the checksum `parent`.
#[inline]
pub(super) fn child_seed(parent: u64, index: usize) -> u64 {
    mix(parent.wrapping_add(index as u64))
}

/// Runs `rounds` rounds of [`mix`]. Each depends on the one before, so none can be skipped or overlapped.
#[inline]
pub fn compute(mut value: u64, rounds: u64) -> u64 {
    for _ in 0..rounds {
        value = mix(value);
    }
    value
}

/// Returns how many rounds of [`compute`] take `time` if one takes `compute_ns` nanoseconds. The result has two
/// significant digits, so that the next calibration on the same machine gives the same number.
pub fn rounds_of(time: Duration, compute_ns: f64) -> u64 {
    let rounds = time.as_nanos() as f64 / compute_ns;
    let unit = 10_f64.powf((rounds.log10().floor() - 1.0).max(0.0));
    (((rounds / unit).round() * unit) as u64).max(1)
}

/// One step of `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[inline]
pub fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mix_is_splitmix64_with_its_published_first_outputs() {
        // Outputs of the reference implementation for seed 1234567.
        let mut state = 1_234_567_u64;
        let mut next = || {
            let output = mix(state);
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            output
        };
        assert_eq!(next(), 6_457_827_717_110_365_317);
        assert_eq!(next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_result_is_two_words() {
        assert_eq!(size_of::<std::io::Result<Receipt>>(), 16);
    }

    #[test]
    fn every_operation_left_out_or_out_of_order_shows() {
        let offload = Step::Offload(Box::new(vec![Step::Compute(5)].into()));
        let sleep = Step::Sleep(Duration::from_millis(1));
        let full = [Step::Compute(3), offload, Step::Hop(2), sleep];
        let receipt = Receipt::expected(&full, 7);
        assert_eq!(receipt.units(), 5);
        assert_ne!(receipt, Receipt::expected(&full, 8));
        for left_out in 0..full.len() {
            let mut steps = full.to_vec();
            steps.remove(left_out);
            assert_ne!(receipt, Receipt::expected(&steps, 7), "without {left_out}");
        }
        let children = [Receipt::new(1), Receipt::new(2)];
        let swapped = [children[1], children[0]];
        assert_ne!(Receipt::new(0).join(children), Receipt::new(0).join(swapped));
    }
}
