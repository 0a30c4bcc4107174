//! Distributions of times: `HdrHistogram` with 3 significant digits, stored whole, so that histograms of many processes
//! merge exactly.

use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The highest time that is recorded exactly: an hour, in nanoseconds.
const MOST: u64 = 3_600_000_000_000;
/// Significant digits.
const DIGITS: u8 = 3;

/// Times in nanoseconds, from 0 to an hour, with 3 significant digits. All memory is allocated at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram(hdrhistogram::Histogram<u64>);

impl Default for Histogram {
    fn default() -> Self {
        let made = hdrhistogram::Histogram::new_with_bounds(1, MOST, DIGITS);
        Histogram(made.expect("the bounds are right"))
    }
}

impl Histogram {
    /// Records a time. Times above an hour count as an hour.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    /// Returns the number of recorded times.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns the quantile `share`: the lowest time that this share of all times does not exceed; 0 if the histogram
    /// is empty.
    pub fn quantile(&self, share: f64) -> u64 {
        // The upper end of a bucket may be above the highest value in it.
        self.0.value_at_quantile(share).min(self.0.max())
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Histogram) {
        // Not with `add`: that visits all 33 792 counts, and this ends with the highest time. In `paceline cluster
        // collect`, merging was most of the time.
        for bucket in other.0.iter_recorded() {
            let added = self.0.record_n(bucket.value_iterated_to(), bucket.count_at_value());
            added.expect("both have the same bounds");
        }
    }

    /// Returns the histogram and its usual figures in the form that files store; `None` if it is empty.
    pub fn distribution(&self) -> Option<Distribution> {
        (self.count() > 0).then(|| self.stored())
    }

    fn stored(&self) -> Distribution {
        let at = |share| self.quantile(share);
        Distribution {
            count: self.count(),
            ns_mean: self.0.mean(),
            ns_p50: at(0.5),
            ns_p90: at(0.9),
            ns_p99: at(0.99),
            ns_p999: at(0.999),
            ns_max: self.0.max(),
            hdr_v2: {
                let mut bytes = Vec::new();
                let written = V2DeflateSerializer::new().serialize(&self.0, &mut bytes);
                written.expect("memory takes all");
                STANDARD.encode(bytes)
            },
        }
    }
}

/// The distribution of a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// The number of recorded times.
    pub count: u64,
    /// The mean, in nanoseconds.
    pub ns_mean: f64,
    /// The median, in nanoseconds.
    pub ns_p50: u64,
    /// The 90th percentile, in nanoseconds.
    pub ns_p90: u64,
    /// The 99th percentile, in nanoseconds.
    pub ns_p99: u64,
    /// The 99.9th percentile, in nanoseconds.
    pub ns_p999: u64,
    /// The maximum, in nanoseconds.
    pub ns_max: u64,
    /// The whole histogram: `HdrHistogram` V2, compressed, in base64, as in its interval logs.
    pub hdr_v2: String,
}

impl Distribution {
    /// Returns the distribution of no times.
    pub(crate) fn empty() -> Self {
        Histogram::default().stored()
    }

    /// Returns the 90th percentile if enough values lie beyond it.
    pub fn p90(&self) -> Option<u64> {
        self.tells(10).then_some(self.ns_p90)
    }

    /// Returns the 99th percentile if enough values lie beyond it.
    pub fn p99(&self) -> Option<u64> {
        self.tells(100).then_some(self.ns_p99)
    }

    /// Returns the 99.9th percentile if enough values lie beyond it.
    pub fn p999(&self) -> Option<u64> {
        self.tells(1_000).then_some(self.ns_p999)
    }

    /// Returns whether at least 10 times lie beyond the percentile that one in `one_in` exceeds. With fewer, a single
    /// time would decide it.
    fn tells(&self, one_in: u64) -> bool {
        self.count >= 10 * one_in
    }

    /// Merges distributions, each given with the number of its batch; `None` if there is none. The count of the result
    /// is the sum of the counts.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the first distribution that cannot be read, as `what` of its batch.
    pub fn merged<'d>(
        what: &str,
        all: impl Iterator<Item = (u32, &'d Distribution)>,
    ) -> Result<Option<Distribution>, String> {
        Self::merged_of(what, "batch", all)
    }

    /// Merges distributions as [`Self::merged`] does, of other things than batches.
    pub(crate) fn merged_of<'d>(
        what: &str,
        each: &str,
        all: impl Iterator<Item = (u32, &'d Distribution)>,
    ) -> Result<Option<Distribution>, String> {
        let (mut sum, mut count) = (None::<Histogram>, 0_u64);
        for (number, one) in all {
            let read =
                one.histogram().map_err(|why| format!("{what} of {each} {number} is {why}"))?;
            count = count.saturating_add(one.count);
            match &mut sum {
                Some(sum) => sum.merge(&read),
                None => sum = Some(read),
            }
        }
        let Some(sum) = sum else { return Ok(None) };
        if sum.count() != count {
            let merged = sum.count();
            return Err(format!("{what} has {count} times in all, and {merged} once merged"));
        }
        Ok(sum.distribution())
    }

    /// Decodes the stored histogram, and checks that it holds `count` times.
    ///
    /// # Errors
    ///
    /// Returns a sentence if the text is not a histogram, or holds more or fewer times.
    pub fn histogram(&self) -> Result<Histogram, String> {
        let fault = |why: String| format!("not a histogram: {why}");
        let bytes = STANDARD.decode(&self.hdr_v2).map_err(|error| fault(error.to_string()))?;
        let read = Deserializer::new().deserialize(&mut &*bytes);
        let read: hdrhistogram::Histogram<u64> = read.map_err(|error| fault(error.to_string()))?;
        let whole = if (read.low(), read.high(), read.sigfig()) == (1, MOST, DIGITS) {
            Histogram(read)
        } else {
            let mut whole = Histogram::default();
            whole.0.add(&read).map_err(|error| fault(error.to_string()))?;
            whole
        };
        // The checksum of the compressed text is not checked if the histogram ends before it.
        if whole.count() != self.count {
            return Err(format!("a histogram of {} times that says {}", whole.count(), self.count));
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_takes_ten_values_beyond_it() {
        let of = |count: u64| {
            let mut times = Histogram::default();
            (0..count).for_each(|ns| times.record(ns));
            let made = times.distribution().unwrap();
            [made.p90(), made.p99(), made.p999()].map(|of| of.is_some())
        };
        assert_eq!([of(99), of(100)], [[false; 3], [true, false, false]]);
        assert_eq!([of(999), of(1_000)], [[true, false, false], [true, true, false]]);
        assert_eq!([of(9_999), of(10_000)], [[true, true, false], [true; 3]]);
    }

    #[test]
    fn figures_are_within_a_thousandth_and_the_whole_survives_the_file() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.distribution(), None);
        (1..=100_000).for_each(|n| histogram.record(n * 1_000));
        let found = histogram.distribution().unwrap();
        for (value, wanted) in [(found.ns_p50, 5e7), (found.ns_p99, 9.9e7), (found.ns_p999, 9.99e7)]
        {
            assert!((value as f64 / wanted - 1.0).abs() < 1e-3, "{value} is not {wanted}");
        }
        assert_eq!(found.histogram().unwrap(), histogram);
    }

    #[test]
    fn every_figure_is_that_of_the_times_that_were_counted() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|ns| histogram.record(ns));
        let found = histogram.distribution().unwrap();
        let figures = [found.ns_p50, found.ns_p90, found.ns_p99, found.ns_p999, found.ns_max];
        assert_eq!((found.count, figures), (1_000, [500, 900, 990, 999, 1_000]));
        assert!((found.ns_mean - 500.5).abs() < 1e-9, "{}", found.ns_mean);
        // The upper end of its bucket is 2 000 895 ns.
        histogram.record(2_000_001);
        let most = histogram.distribution().unwrap().ns_max;
        assert_eq!((histogram.quantile(1.0), histogram.quantile(0.5)), (most, 501));
        histogram.record(u64::MAX);
        let hour = histogram.quantile(1.0) as f64 / 3.6e12;
        assert!((hour - 1.0).abs() < 1e-3, "{hour} of an hour");
    }

    #[test]
    fn those_of_two_processes_merge_to_that_of_all() {
        let (mut one, mut other, mut all) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for n in 0..10_000_u64 {
            (if n % 3 == 0 { &mut one } else { &mut other }).record(n * n);
            all.record(n * n);
        }
        one.merge(&other);
        assert_eq!(one, all);
    }

    #[test]
    fn what_is_no_histogram_is_said_to_be_none() {
        let mut histogram = Histogram::default();
        histogram.record(7);
        let whole = histogram.distribution().unwrap();
        for text in ["", "%%%", "AAAA", &whole.hdr_v2[..8]] {
            let torn = Distribution { hdr_v2: text.into(), ..whole.clone() };
            assert!(torn.histogram().is_err(), "{text:?}");
        }
        let more = Distribution { count: 2, ..whole };
        assert_eq!(more.histogram().unwrap_err(), "a histogram of 1 times that says 2");
    }

    #[test]
    fn a_merge_has_the_times_of_all_or_says_which_it_cannot_read() {
        let of = |times: std::ops::Range<u64>| {
            let mut histogram = Histogram::default();
            times.for_each(|n| histogram.record(n * 1_000));
            histogram.distribution().unwrap()
        };
        let all = [of(1..101), of(1..51), of(60..68)];
        let merged = |all: &[Distribution]| Distribution::merged("the latency", (0..).zip(all));
        assert_eq!(merged(&all).unwrap().unwrap().count, 158);
        assert_eq!(merged(&[]), Ok(None));

        let mut torn = all.clone();
        torn[1].hdr_v2.truncate(20);
        let why = merged(&torn).unwrap_err();
        assert!(why.starts_with("the latency of batch 1 is not a histogram: "), "{why}");
        let mut off = all;
        off[2].count = 9;
        let why = "the latency of batch 2 is a histogram of 8 times that says 9";
        assert_eq!(merged(&off), Err(why.into()));
    }

    #[test]
    fn a_histogram_with_other_bounds_is_read_as_one_of_ours() {
        let mut other = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 1_000_000, 2).unwrap();
        (1..=100).for_each(|ns| other.record(ns).unwrap());
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&other, &mut bytes).unwrap();
        let stored =
            Distribution { count: 100, hdr_v2: STANDARD.encode(bytes), ..Distribution::empty() };
        let mut read = stored.histogram().unwrap();
        read.record(5_000_000);
        assert_eq!((read.count(), read.quantile(0.5)), (101, 51));
        assert!((read.quantile(1.0) as f64 / 5e6 - 1.0).abs() < 1e-3);
    }
}
