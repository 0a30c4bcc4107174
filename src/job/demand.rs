//! What a job asks of a machine, computed from its definition: predictions, limits and bounds stand on it.

use std::{iter::Sum, time::Duration};

use super::Step;

/// The demand of one job. All sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// The least time that the job can take on any model: its waits, children side by side.
    pub floor: Duration,
    /// Its waits one after another, children too: what it takes where nothing overlaps.
    pub serial: Duration,
    /// The part of `serial` that holds an OS thread on every model.
    pub blocked: Duration,
    /// Rounds of `compute`.
    pub compute: u64,
    /// Units on its receipt.
    pub units: u64,
    /// Round trips to the echo server.
    pub round_trips: u64,
    /// Bytes sent, all round trips together.
    pub bytes: u64,
    /// Bytes of messages held at once, at most: a job has one buffer for the message that it exchanges.
    pub held: u64,
    /// Hops.
    pub hops: u64,
    /// Connections opened, all together.
    pub connects: u64,
    /// Connections open at once, at most.
    pub sockets: u64,
    /// Tasks alive at once, itself included, at most.
    pub tasks: u64,
    /// Children started, all together, theirs too.
    pub children: u64,
    /// Sleeps, all together.
    pub sleeps: u64,
    /// How deep steps are nested; 1 where no step holds others.
    pub depth: usize,
}

impl Demand {
    /// The demand of a job of `steps`.
    #[must_use]
    pub fn of(steps: &[Step]) -> Demand {
        let mut sum = Demand { depth: 1, ..Demand::default() };
        let (mut widest, mut most_sockets, mut own_socket) = (0, 0, 0);
        for step in steps {
            let one = Demand::of_step(step);
            widest = widest.max(one.tasks);
            most_sockets = most_sockets.max(one.sockets);
            own_socket = own_socket.max(u64::from(matches!(step, Step::Connect)));
            sum = Demand { depth: sum.depth.max(one.depth), ..[sum, one].into_iter().sum() };
        }
        // Children of later steps start only when those of earlier ones have ended.
        Demand { tasks: widest.saturating_add(1), sockets: most_sockets + own_socket, ..sum }
    }

    fn of_step(step: &Step) -> Demand {
        let none = Demand::default();
        match step {
            Step::Sleep(wait) => {
                Demand { floor: *wait, serial: *wait, units: 1, sleeps: 1, ..none }
            }
            Step::Block(wait) => {
                Demand { floor: *wait, serial: *wait, blocked: *wait, units: 1, ..none }
            }
            Step::Compute(rounds) => Demand { compute: *rounds, units: 1, ..none },
            Step::Connect => Demand { connects: 1, units: 1, ..none },
            Step::Exchange { bytes, times } => Demand {
                round_trips: *times,
                bytes: times.saturating_mul(*bytes as u64),
                held: *bytes as u64,
                units: *times,
                ..none
            },
            Step::Hop(times) => Demand { hops: *times, units: *times, tasks: 1, ..none },
            Step::Yield(times) => Demand { units: *times, ..none },
            Step::Offload(of) => {
                let inner = Demand::of(of);
                Demand { depth: inner.depth + 1, tasks: 0, ..inner }
            }
            Step::Gather { width, of } => Demand::of(of).times(*width as u64),
        }
    }

    /// The demand of `width` such children at once, seen from their parent.
    fn times(self, width: u64) -> Demand {
        let all = |n: u64| n.saturating_mul(width);
        let long = |wait: Duration| wait.saturating_mul(u32::try_from(width).unwrap_or(u32::MAX));
        Demand {
            floor: self.floor,
            serial: long(self.serial),
            blocked: long(self.blocked),
            compute: all(self.compute),
            units: all(self.units),
            round_trips: all(self.round_trips),
            bytes: all(self.bytes),
            held: all(self.held),
            hops: all(self.hops),
            connects: all(self.connects),
            sockets: all(self.sockets),
            tasks: all(self.tasks),
            children: all(self.children.saturating_add(1)),
            sleeps: all(self.sleeps),
            depth: self.depth + 1,
        }
    }
}

/// One after another: what is at once in each is not added up.
impl Sum for Demand {
    fn sum<I: Iterator<Item = Demand>>(demands: I) -> Demand {
        demands.fold(Demand::default(), |a, b| Demand {
            floor: a.floor.saturating_add(b.floor),
            serial: a.serial.saturating_add(b.serial),
            blocked: a.blocked.saturating_add(b.blocked),
            compute: a.compute.saturating_add(b.compute),
            units: a.units.saturating_add(b.units),
            round_trips: a.round_trips.saturating_add(b.round_trips),
            bytes: a.bytes.saturating_add(b.bytes),
            held: a.held.max(b.held),
            hops: a.hops.saturating_add(b.hops),
            connects: a.connects.saturating_add(b.connects),
            sockets: a.sockets.max(b.sockets),
            tasks: a.tasks.max(b.tasks),
            children: a.children.saturating_add(b.children),
            sleeps: a.sleeps.saturating_add(b.sleeps),
            depth: a.depth.max(b.depth),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_wait_side_by_side_and_need_their_tasks_and_sockets_at_once() {
        let wait = Duration::from_millis(2);
        let child = vec![Step::Connect, Step::Sleep(wait), Step::Compute(5)];
        let steps = [
            Step::Sleep(wait),
            Step::Connect,
            Step::Gather { width: 3, of: Box::new(child.into()) },
        ];
        let demand = Demand::of(&steps);
        assert_eq!(demand.floor, wait * 2);
        assert_eq!(demand.serial, wait * 4);
        assert_eq!((demand.compute, demand.tasks), (15, 4));
        assert_eq!((demand.sockets, demand.connects), (4, 4));
        assert_eq!((demand.units, demand.depth), (11, 2));
        assert_eq!((demand.children, demand.sleeps), (3, 4));
    }

    #[test]
    fn messages_of_children_are_held_at_once_and_those_of_steps_one_after_another() {
        let message = |bytes| Step::Exchange { bytes, times: 9 };
        let child = vec![Step::Connect, message(100), message(40)];
        let steps =
            [Step::Connect, message(250), Step::Gather { width: 3, of: Box::new(child.into()) }];
        assert_eq!(Demand::of(&steps).held, 300);
        assert_eq!(Demand::of(&steps[..2]).held, 250);
    }

    #[test]
    fn absurd_products_saturate() {
        let mut steps = vec![Step::Compute(u64::MAX)];
        for _ in 0..6 {
            steps = vec![Step::Gather { width: usize::MAX, of: Box::new(steps.into()) }];
        }
        assert_eq!(Demand::of(&steps).compute, u64::MAX);
        assert_eq!(Demand::of(&steps).tasks, u64::MAX);
    }
}
