//! The demand of a job on a machine, computed from its definition. Predictions, limits and bounds are based on it.

use std::time::Duration;

use super::{Group, Messages, Pool, Server, Step};

/// Defines [`Demand`] by its fields. For each field, the first function combines steps that run in sequence, the second
/// steps that run concurrently.
macro_rules! demand {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $then:ident, $beside:ident;)*) => {
        /// The demand of one job. All sums saturate.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Demand {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Demand {
            /// Returns the maximum of each field.
            #[must_use]
            pub fn max(self, other: Demand) -> Demand {
                Demand { $($field: self.$field.max(other.$field),)* }
            }

            fn then(self, other: Demand) -> Demand {
                Demand { $($field: self.$field.$then(other.$field),)* }
            }

            fn beside(self, other: Demand) -> Demand {
                Demand { $($field: self.$field.$beside(other.$field),)* }
            }
        }
    };
}

demand! {
    /// The shortest time that the job can take on any model: its waits, with children running concurrently.
    floor: Duration = saturating_add, max;
    /// All waits one after another, children included: the time without any overlap.
    serial: Duration = saturating_add, saturating_add;
    /// The part of `serial` that holds an OS thread on every model.
    blocked: Duration = saturating_add, saturating_add;
    /// Rounds of `compute`.
    compute: u64 = saturating_add, saturating_add;
    /// Units on the receipt.
    units: u64 = saturating_add, saturating_add;
    /// Round trips to the echo server.
    round_trips: u64 = saturating_add, saturating_add;
    /// Bytes sent in all round trips.
    bytes: u64 = saturating_add, saturating_add;
    /// The most bytes of messages held at once: a job has one buffer for the message that it exchanges.
    held: u64 = max, saturating_add;
    /// Hops.
    hops: u64 = saturating_add, saturating_add;
    /// Connections opened in total.
    connects: u64 = saturating_add, saturating_add;
    /// The most connections open at once.
    sockets: u64 = max, saturating_add;
    /// The most tasks alive at once, including the job itself.
    tasks: u64 = max, saturating_add;
    /// Children started in total, at all depths.
    children: u64 = saturating_add, saturating_add;
    /// Sleeps in total.
    sleeps: u64 = saturating_add, saturating_add;
    /// The nesting depth of steps; 1 if no step contains others.
    depth: usize = max, max;
}

impl Demand {
    /// Returns the demand of a job of `steps`.
    pub fn of(steps: &[Step]) -> Demand {
        Self::of_steps(steps, false)
    }

    /// Returns the demand if no group ends before its last child, which is the figure that bounds are checked against.
    pub fn most_of(steps: &[Step]) -> Demand {
        Self::of_steps(steps, true)
    }

    fn of_steps(steps: &[Step], all: bool) -> Demand {
        let mut sum = Demand { depth: 1, ..Demand::default() };
        let (mut widest, mut most_sockets, mut own_socket) = (0, 0, 0);
        let mut answers_after = Duration::ZERO;
        for step in steps {
            let mut one = Demand::of_step(step, all);
            match step {
                Step::Connect(server) | Step::Pool(Pool { server, .. }) => {
                    answers_after = match server {
                        Server::Slow(after) => *after,
                        Server::Echo | Server::Room => Duration::ZERO,
                    };
                }
                Step::Exchange { times, .. } => {
                    one.floor = long(answers_after, *times);
                    one.serial = one.floor;
                    if !answers_after.is_zero() {
                        one.held = one.held.saturating_mul(2); // The server buffers it too.
                    }
                }
                _ => {}
            }
            widest = widest.max(one.tasks);
            most_sockets = most_sockets.max(one.sockets);
            own_socket = own_socket.max(u64::from(matches!(step, Step::Connect(_))));
            sum = sum.then(one);
        }
        // Children of a later step start only after those of the earlier steps have ended.
        Demand {
            tasks: widest.saturating_add(1),
            sockets: most_sockets.saturating_add(own_socket),
            ..sum
        }
    }

    fn of_step(step: &Step, all: bool) -> Demand {
        let none = Demand::default();
        match step {
            Step::Sleep(wait) => {
                Demand { floor: *wait, serial: *wait, units: 1, sleeps: 1, ..none }
            }
            Step::Block(wait) => {
                Demand { floor: *wait, serial: *wait, blocked: *wait, units: 1, ..none }
            }
            Step::Compute(rounds) => Demand { compute: *rounds, units: 1, ..none },
            // Pooled connections belong to no single job.
            Step::Connect(_) | Step::Pool(_) => Demand { connects: 1, units: 1, ..none },
            Step::Say(Messages { bytes, times }) | Step::Hear(Messages { bytes, times }) => {
                Demand {
                    round_trips: *times,
                    bytes: times.saturating_mul(*bytes as u64),
                    // The server may have to buffer it for each member.
                    held: (*bytes as u64).saturating_mul(2),
                    units: *times,
                    ..none
                }
            }
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
                let inner = Demand::of_steps(of, all);
                Demand { depth: inner.depth + 1, tasks: 0, ..inner }
            }
            Step::Gather(gather) => {
                let kinds = gather.kinds().map(|(n, of)| Demand::of_steps(of, all).times(n as u64));
                kinds.fold(Demand::default(), Demand::beside)
            }
            Step::Group(group) => Demand::of_group(group, all),
            Step::Park => Demand { units: 1, ..none },
            Step::Fail => none,
        }
    }

    fn of_group(group: &Group, all: bool) -> Demand {
        let kinds = group.kinds().into_iter().filter(|(count, _)| *count > 0);
        let kinds: Vec<_> = kinds
            .map(|(count, steps)| (count, steps.fail(), Demand::of_steps(steps, all)))
            .collect();
        let each = kinds.iter().map(|(count, _, one)| one.times(*count as u64));
        let mut whole = each.fold(Demand::default(), Demand::beside);
        if all {
            return whole;
        }
        if group.fails() {
            whole.units = 1;
        }
        // A group that cancels ends at the first failure; the progress of the other children is unknown then.
        let failing = kinds.iter().filter(|(_, fails, _)| group.cancels && *fails);
        if let Some((_, _, first)) = failing.min_by_key(|(_, _, one)| one.floor) {
            let Demand { floor, serial, blocked, compute, .. } = *first;
            whole = Demand { floor, serial, blocked, compute, ..whole };
        }
        whole
    }

    /// Returns the demand of `width` such children running concurrently, as seen from their parent.
    fn times(self, width: u64) -> Demand {
        let mut doubled =
            Demand { children: self.children.saturating_add(1), depth: self.depth + 1, ..self };
        let mut all = Demand::default();
        for bit in 0..u64::BITS - width.leading_zeros() {
            if width >> bit & 1 == 1 {
                all = all.beside(doubled);
            }
            doubled = doubled.beside(doubled);
        }
        all
    }
}

fn long(wait: Duration, times: u64) -> Duration {
    wait.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Gather, Join};

    fn gather(width: usize, of: Vec<Step>) -> Step {
        Step::Gather(Box::new(Gather { width, of: vec![of.into()], join: Join::Tasks }))
    }

    fn group(cancels: bool) -> Step {
        let ms = Duration::from_millis;
        let of = vec![Step::Sleep(ms(50)), Step::Compute(3)].into();
        let fails = vec![Step::Sleep(ms(2)), Step::Fail].into();
        Step::Group(Box::new(Group { width: 5, of, every: Some((3, fails)), cancels }))
    }

    #[test]
    fn a_group_that_cancels_needs_no_longer_than_its_first_failure_and_one_that_waits_its_longest()
    {
        let ms = Duration::from_millis;
        let cancels = Demand::of(&[group(true)]);
        assert_eq!((cancels.floor, cancels.serial, cancels.compute), (ms(2), ms(2), 0));
        assert_eq!((cancels.units, cancels.children, cancels.sleeps, cancels.tasks), (1, 5, 5, 6));
        let waits = Demand::of(&[group(false)]);
        assert_eq!((waits.floor, waits.serial, waits.compute), (ms(50), ms(2 * 2 + 3 * 50), 9));
        assert_eq!((waits.units, waits.children, waits.tasks), (1, 5, 6));
    }

    #[test]
    fn bounds_are_held_against_what_a_group_does_if_nothing_is_cancelled() {
        let most = Demand::most_of(&[group(true)]);
        assert_eq!((most.compute, most.serial), (9, Duration::from_millis(2 * 2 + 3 * 50)));
        assert_eq!(most.units, 8);
    }

    #[test]
    fn answers_of_a_slow_server_are_waited_for_and_those_of_a_quick_one_not() {
        let exchange = Step::Exchange { bytes: 8, times: 3 };
        let after = Duration::from_millis(20);
        let slow = Step::Connect(Server::Slow(after));
        let steps =
            [slow, exchange.clone(), exchange.clone(), Step::Connect(Server::Echo), exchange];
        assert_eq!(Demand::of(&steps).floor, after * 6);
        assert_eq!(Demand::of(&steps).serial, after * 6);
    }

    #[test]
    fn children_wait_side_by_side_and_need_their_tasks_and_sockets_at_once() {
        let wait = Duration::from_millis(2);
        let child = vec![Step::Connect(Server::Echo), Step::Sleep(wait), Step::Compute(5)];
        let steps = [Step::Sleep(wait), Step::Connect(Server::Echo), gather(3, child)];
        let demand = Demand::of(&steps);
        assert_eq!(demand.floor, wait * 2);
        assert_eq!(demand.serial, wait * 4);
        assert_eq!((demand.compute, demand.tasks), (15, 4));
        assert_eq!((demand.sockets, demand.connects), (4, 4));
        assert_eq!((demand.units, demand.depth), (11, 2));
        assert_eq!((demand.children, demand.sleeps), (3, 4));
    }

    #[test]
    fn children_of_several_sorts_add_up_to_what_each_asks_and_the_longest_is_waited_for() {
        let ms = Duration::from_millis;
        let of = vec![
            vec![Step::Sleep(ms(5))].into(),
            vec![Step::Connect(Server::Echo), Step::Exchange { bytes: 9, times: 2 }].into(),
            vec![Step::Sleep(ms(2)), gather(2, vec![Step::Compute(3)])].into(),
        ];
        let each = Step::Gather(Box::new(Gather { width: 3, of, join: Join::Tasks }));
        let demand = Demand::of(&[each]);
        assert_eq!((demand.floor, demand.serial), (ms(5), ms(7)));
        assert_eq!((demand.units, demand.compute, demand.sockets), (1 + 3 + 3, 6, 1));
        assert_eq!((demand.tasks, demand.children, demand.depth), (1 + 1 + 1 + 3, 5, 3));
    }

    #[test]
    fn messages_of_children_are_held_at_once_and_those_of_steps_one_after_another() {
        let message = |bytes| Step::Exchange { bytes, times: 9 };
        let connect = Step::Connect(Server::Echo);
        let child = vec![connect.clone(), message(100), message(40)];
        let steps = [connect, message(250), gather(3, child)];
        assert_eq!(Demand::of(&steps).held, 300);
        assert_eq!(Demand::of(&steps[..2]).held, 250);
    }

    #[test]
    fn absurd_products_saturate() {
        let connect = || Step::Connect(Server::Echo);
        let heard = Step::Hear(Messages { bytes: usize::MAX, times: u64::MAX });
        let mut steps = vec![Step::Compute(u64::MAX), connect(), heard];
        for _ in 0..6 {
            steps = vec![connect(), gather(usize::MAX, steps)];
        }
        assert_eq!(Demand::of(&steps).compute, u64::MAX);
        assert_eq!((Demand::of(&steps).tasks, Demand::of(&steps).sockets), (u64::MAX, u64::MAX));
    }
}
