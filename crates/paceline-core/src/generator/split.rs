//! One load for several generators: each has its share of the connections and of one schedule.
//!
//! All generators know the whole schedule, and each starts the arrivals that it owns. So the union of their arrivals is
//! the schedule of a single one, bit for bit, and nothing has to be agreed on while the load goes on.

use serde::{Deserialize, Serialize};

use super::{Arrivals, BURST, Drive, Order};
use crate::{job::mix, quantity::counted};

/// The most generators that share a load.
pub const MOST_GENERATORS: usize = 64;

/// Sets the hash of who owns an arrival apart from the other uses of the seed.
const OWNER: u64 = 0x6F77_6E65_7273_6869;

/// The share of a load that one of several generators has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which generator it is, from 0.
    pub index: u32,
    /// The number of generators.
    pub of: u32,
}

impl Default for Share {
    /// Returns the whole.
    fn default() -> Self {
        Share { index: 0, of: 1 }
    }
}

impl Share {
    /// Returns its part of `total` things. The parts of all shares add up to `total` and differ by at most 1.
    #[must_use]
    pub fn part(self, total: usize) -> usize {
        let (index, of) = (self.index as usize, self.of as usize);
        total / of + usize::from(index < total % of)
    }

    /// Returns "the load generator", or "generator 2 of 4".
    #[must_use]
    pub fn name(self) -> String {
        match self.of {
            1 => "the load generator".into(),
            of => format!("generator {} of {of}", self.index + 1),
        }
    }
}

impl Order {
    /// Returns the orders of `generators` generators that share this load.
    ///
    /// # Errors
    ///
    /// Returns a sentence if they are none, too many, or more than there are connections.
    pub fn split(&self, generators: usize) -> Result<Vec<Order>, String> {
        let connections = self.connections;
        if !(1..=MOST_GENERATORS).contains(&generators) {
            return Err(format!("a load has 1 to {MOST_GENERATORS} generators, not {generators}"));
        }
        if generators > connections {
            return Err(too_few_connections(connections, generators));
        }
        let of = generators as u32;
        let one = |index| {
            let share = Share { index, of };
            let mut order = Order { connections: share.part(connections), ..self.clone() };
            order.options.share = share;
            order
        };
        Ok((0..of).map(one).collect())
    }
}

/// Returns the sentence for a load with fewer connections than generators.
#[must_use]
pub fn too_few_connections(connections: usize, generators: usize) -> String {
    let shared = counted(connections, "connection");
    format!(
        "{generators} generators cannot share {shared}: give --generators {connections} or fewer, or more --connections"
    )
}

/// Determines which arrivals, by their numbers in the whole schedule, a generator owns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    share: Share,
    /// The seed of the hash, and how many arrivals in a row stay together; `None` if the generators take turns.
    hash: Option<(u64, u64)>,
}

impl Split {
    #[cfg(test)]
    pub(super) const WHOLE: Split = Split { share: Share { index: 0, of: 1 }, hash: None };

    /// Returns the split of an order: by a hash where arrivals are random, so that each generator has a process of the
    /// same kind, and in turns where they are not.
    pub(super) fn of(order: &Order) -> Self {
        let together = match order.drive {
            Drive::Open { arrivals, .. } | Drive::Ramp { arrivals, .. } => match arrivals {
                Arrivals::Uniform => None,
                Arrivals::Poisson => Some(1),
                Arrivals::Burst => Some(u64::from(BURST)),
            },
            Drive::Closed => None,
        };
        let hash = together.map(|together| (mix(order.seed ^ OWNER), together));
        Split { share: order.options.share, hash }
    }

    /// Returns whether the generator owns arrival `number`.
    #[inline]
    pub(super) fn owns(self, number: u64) -> bool {
        let Share { index, of } = self.share;
        of == 1 || {
            let place =
                self.hash.map_or(number, |(seed, together)| mix(seed ^ (number / together)));
            place % u64::from(of) == u64::from(index)
        }
    }

    /// Returns the first arrival that the generator owns, from `number` on.
    #[inline]
    pub(super) fn from(self, mut number: u64) -> u64 {
        while !self.owns(number) {
            number += 1;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Request,
            request::Turns,
            schedule::{Course, Schedule},
            shortest,
        },
        *,
    };

    const ALL: [Arrivals; 3] = [Arrivals::Uniform, Arrivals::Poisson, Arrivals::Burst];
    const WINDOW: (u64, u64) = (1_000_000_000, 5_000_000_000);

    fn order(drive: Drive, seed: u64, connections: usize) -> Order {
        Order {
            every: Some((5, vec![Request::get("/", None); 2])),
            connections,
            warm_up_ns: WINDOW.0,
            duration_ns: WINDOW.1 - WINDOW.0,
            seed,
            ..shortest(vec![Request::get("/", None); 3], drive)
        }
    }

    fn course(drive: Drive) -> (Course, Arrivals) {
        match drive {
            Drive::Open { rate, arrivals } => (Course::steady(rate), arrivals),
            Drive::Ramp { from, to, arrivals } => (Course::ramp(from, to, WINDOW), arrivals),
            Drive::Closed => unreachable!("it has no schedule"),
        }
    }

    /// Returns the arrivals of a generator: when each is due, and the number of its request.
    fn arrivals(order: &Order) -> Vec<(u64, usize)> {
        let (course, arrivals) = course(order.drive);
        let (split, turns) = (Split::of(order), Turns::of(order));
        let mut schedule = Schedule::new(course, arrivals, order.seed, split);
        let mut number = split.from(0);
        let mut all = Vec::new();
        loop {
            let at = schedule.next();
            if at >= WINDOW.1 {
                return all;
            }
            all.push((at, turns.at(number)));
            number = split.from(number + 1);
        }
    }

    fn drives() -> Vec<Drive> {
        let of = |arrivals| {
            let open = [0.7, 1234.5].map(|rate| Drive::Open { rate, arrivals });
            let ramps = [(100.0, 2000.0), (2000.0, 1.0), (0.5, 900.0)];
            let ramps = ramps.map(|(from, to)| Drive::Ramp { from, to, arrivals });
            [&open[..], &ramps[..]].concat()
        };
        ALL.into_iter().flat_map(of).collect()
    }

    #[test]
    fn the_union_of_all_shares_is_the_schedule_of_one_machine_bit_for_bit() {
        for drive in drives() {
            for seed in [0, 1, 7, u64::MAX] {
                let whole = order(drive, seed, 8);
                let wanted = arrivals(&whole);
                assert_eq!(arrivals(&whole.split(1).unwrap()[0]), wanted, "{drive:?}");
                for generators in 2..=8 {
                    let shares: Vec<Vec<(u64, usize)>> =
                        whole.split(generators).unwrap().iter().map(arrivals).collect();
                    let mut union = shares.concat();
                    // Arrivals of the same moment have no order among generators.
                    union.sort_unstable();
                    let mut wanted = wanted.clone();
                    wanted.sort_unstable();
                    assert_eq!(union, wanted, "{drive:?}, seed {seed}, {generators} generators");
                }
            }
        }
    }

    #[test]
    fn bursts_stay_whole_uniform_arrivals_take_turns_and_random_ones_have_even_shares() {
        let count = |arrivals, of: u32, many: u64| -> Vec<Vec<u64>> {
            let drive = Drive::Open { rate: 1.0, arrivals };
            let whole = order(drive, 3, of as usize);
            let shares = whole.split(of as usize).unwrap();
            let owned = |one: &Order| {
                let split = Split::of(one);
                (0..many).filter(|number| split.owns(*number)).collect()
            };
            shares.iter().map(owned).collect()
        };
        for of in 2..=8 {
            for (index, owned) in (0..).zip(count(Arrivals::Uniform, of, 1000)) {
                assert!(owned.iter().all(|number| number % u64::from(of) == index));
            }
            for owned in count(Arrivals::Burst, of, 10_000) {
                assert!(owned.len() > 10 && owned.len().is_multiple_of(BURST as usize));
                for burst in owned.chunks(BURST as usize) {
                    assert_eq!(burst[0] / u64::from(BURST), burst[9] / u64::from(BURST));
                }
            }
            // Within 5 standard deviations of a binomial share.
            let (many, share) = (100_000.0_f64, 1.0 / f64::from(of));
            for owned in count(Arrivals::Poisson, of, 100_000) {
                let off = (owned.len() as f64 - many * share).abs();
                assert!(off < 5.0 * (many * share * (1.0 - share)).sqrt(), "{of}: {off}");
            }
        }
    }

    #[test]
    fn the_share_of_random_arrivals_is_random_itself() {
        // The gaps of a Poisson process of half the rate vary as much as their mean, which turns would not give.
        let drive = Drive::Open { rate: 20_000.0, arrivals: Arrivals::Poisson };
        for one in order(drive, 5, 2).split(2).unwrap() {
            let moments: Vec<f64> = arrivals(&one).iter().map(|(at, _)| *at as f64).collect();
            let gaps: Vec<f64> = moments.windows(2).map(|two| two[1] - two[0]).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
            let variation = (variance / gaps.len() as f64).sqrt() / mean;
            assert!((mean / 1e5 - 1.0).abs() < 0.03 && (variation - 1.0).abs() < 0.03);
        }
    }

    #[test]
    fn integer_shares_add_up_exactly_and_differ_by_one_at_most() {
        for of in 1..=MOST_GENERATORS as u32 {
            for total in (0..200).chain([1_000_003]) {
                let parts: Vec<usize> =
                    (0..of).map(|index| Share { index, of }.part(total)).collect();
                assert_eq!(parts.iter().sum::<usize>(), total);
                assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1);
            }
        }
        let orders = order(Drive::Closed, 1, 11).split(4).unwrap();
        let connections: Vec<usize> = orders.iter().map(|order| order.connections).collect();
        assert_eq!(connections, [3, 3, 3, 2]);
        assert!(orders.iter().all(|order| order.check().is_ok()));
    }

    #[test]
    fn shares_that_cannot_be_are_refused() {
        let order = order(Drive::Closed, 1, 3);
        assert!(order.split(0).unwrap_err().contains("1 to 64 generators, not 0"));
        assert!(order.split(65).unwrap_err().contains("not 65"));
        let why = order.split(4).unwrap_err();
        assert!(why.contains("4 generators cannot share 3 connections: give --generators 3"));
        let mut wrong = order;
        wrong.options.share = Share { index: 2, of: 2 };
        assert!(wrong.check().unwrap_err().contains("share"));
        wrong.options.share = Share { index: 0, of: 0 };
        assert!(wrong.check().is_err());
    }

    #[test]
    fn every_bit_of_the_seed_decides_who_owns_what() {
        let drive = Drive::Open { rate: 1000.0, arrivals: Arrivals::Poisson };
        let owned = |seed: u64| {
            let mut order = order(drive, seed, 4);
            order.options.share = Share { index: 1, of: 2 };
            (0..256).map(|number| Split::of(&order).owns(number)).collect::<Vec<bool>>()
        };
        assert_eq!(owned(7), owned(7));
        for bit in 0..64 {
            assert_ne!(owned(7), owned(7 ^ (1 << bit)), "bit {bit}");
        }
    }

    #[test]
    fn a_generator_is_named_by_its_number_if_there_are_several() {
        assert_eq!(Share::default().name(), "the load generator");
        assert_eq!(Share { index: 1, of: 4 }.name(), "generator 2 of 4");
    }
}
