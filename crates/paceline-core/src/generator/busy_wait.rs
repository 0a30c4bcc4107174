//! Staying awake before a start: how long before it the generator is woken, and when it had better sleep.
//!
//! A timer wakes a sleeping thread late: by microseconds on idle hardware, by up to a millisecond on a virtual machine
//! whose CPU was halted. So the timer is set ahead of a start, by as much as it is usually late, and the rest is spent
//! awake, looking for answers and offering the CPU to others in between. If another program takes it, the generator
//! sleeps until the start for a while, as threads that sleep are preferred by the scheduler.

use std::{thread, time::Duration};

use super::loaded::LATE_NS;

/// The longest time awake before a start, in nanoseconds.
const MOST_LEAD_NS: u64 = 250_000;
/// A look for answers that finds none takes under a microsecond. After this time the CPU was taken away, and no more
/// than this counts as time awake.
const TAKEN_NS: u64 = 20_000;
/// The shortest and the longest time without staying awake after the CPU was taken by another program.
const LEAST_REST_NS: u64 = 2_000_000;
const MOST_REST_NS: u64 = 2_048_000_000;
/// The time without staying awake after a loss so long that a start came late. A server that computes for milliseconds
/// takes the CPU again and again, and a few late starts make a load of few requests invalid.
const LONG_REST_NS: u64 = 10_000_000_000;

/// Decides when to stay awake.
pub(super) struct BusyWait {
    /// Whether there is a CPU to stay awake on.
    allowed: bool,
    /// How late the timer is, and how much that varies: means that forget, in nanoseconds.
    late_ns: f64,
    varies_ns: f64,
    /// Nobody stays awake before this moment.
    rests_until_ns: u64,
    rest_ns: u64,
    /// The end of the last look that found nothing, if nothing was done since.
    idle_since_ns: Option<u64>,
    /// The time for which this thread has waited for a CPU, when it was last read.
    waited: Option<Duration>,
}

impl BusyWait {
    /// Returns one that stays awake only if there is a CPU for each of the generators and one more for the server.
    pub(super) fn new(generators: u64) -> Self {
        let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        BusyWait {
            allowed: generators < cpus,
            late_ns: 0.0,
            varies_ns: 0.0,
            rests_until_ns: 0,
            rest_ns: LEAST_REST_NS,
            idle_since_ns: None,
            waited: None,
        }
    }

    /// Returns how long before a start to be awake.
    pub(super) fn lead_ns(&self, now_ns: u64) -> u64 {
        if !self.allowed || now_ns < self.rests_until_ns {
            return 0;
        }
        ((self.late_ns + 4.0 * self.varies_ns) as u64).min(MOST_LEAD_NS)
    }

    /// Learns how late the timer rang. The mean and its deviation are those of RFC 6298, which estimates round trips.
    pub(super) fn timer_rang(&mut self, late_ns: u64) {
        // A single time of milliseconds would keep the generator awake for seconds.
        let late = (late_ns.min(MOST_LEAD_NS)) as f64;
        self.varies_ns += (late - self.late_ns).abs().mul_add(0.25, -0.25 * self.varies_ns);
        self.late_ns += (late - self.late_ns) / 8.0;
    }

    /// Notes that there was something to do.
    pub(super) fn was_busy(&mut self) {
        self.idle_since_ns = None;
    }

    /// Handles a look that began at `looked_ns` and found nothing, until `now_ns`, after the CPU was offered to others.
    /// Returns the time that was spent awake for nothing. If the CPU was taken away meanwhile, `waited` reads how long
    /// this thread has waited for a CPU so far; `None` if the system does not tell.
    pub(super) fn polled_in_vain(
        &mut self,
        looked_ns: u64,
        now_ns: u64,
        waited: impl FnOnce() -> Option<Duration>,
    ) -> u64 {
        let since = self.idle_since_ns.replace(now_ns);
        // The CPU may be lost in the first look already.
        let took = now_ns.saturating_sub(since.unwrap_or(looked_ns));
        if took > TAKEN_NS {
            let (before, after) = (self.waited, waited());
            self.waited = after;
            // The first reading has nothing to be compared with: only a long time is believed then. The host's own programs
            // are none of ours.
            let gone = Duration::from_nanos(took / 2);
            let taken = match (before, after) {
                (Some(before), Some(after)) => after.saturating_sub(before) >= gone,
                (None, Some(_)) => took > LATE_NS,
                (_, None) => true,
            };
            if taken {
                self.rest(now_ns, took);
            }
        }
        since.map_or(0, |_| took.min(TAKEN_NS))
    }

    /// Sleeps for a while, and longer each time unless the last one is long over.
    fn rest(&mut self, now_ns: u64, took: u64) {
        let over = now_ns.saturating_sub(self.rests_until_ns) > MOST_REST_NS;
        self.rest_ns = if took > LATE_NS {
            LONG_REST_NS
        } else if over {
            LEAST_REST_NS
        } else {
            (self.rest_ns * 2).min(MOST_REST_NS)
        };
        self.rests_until_ns = now_ns + self.rest_ns;
        self.idle_since_ns = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u64 = 1_000;
    const MS: u64 = 1_000_000;

    fn busy_wait() -> BusyWait {
        BusyWait { allowed: true, ..BusyWait::new(1) }
    }

    #[test]
    fn a_timer_that_is_late_is_set_earlier_by_as_much_and_a_prompt_one_hardly() {
        let lead = |late: &dyn Fn(u64) -> u64| {
            let mut busy_wait = busy_wait();
            (0..200).for_each(|number| busy_wait.timer_rang(late(number)));
            busy_wait.lead_ns(0)
        };
        assert_eq!(busy_wait().lead_ns(0), 0, "nothing is known of the timer yet");
        let prompt = lead(&|_| 5 * US);
        assert!((4 * US..7 * US).contains(&prompt), "{prompt}");
        // By turns 40 and 100 us late: the mean and four times the deviation.
        let late = lead(&|number| if number % 2 == 0 { 40 * US } else { 100 * US });
        assert!((150 * US..230 * US).contains(&late), "{late}");
        // However late it is, the time awake is bounded.
        assert_eq!(lead(&|_| 700 * MS), MOST_LEAD_NS);
    }

    #[test]
    fn it_sleeps_where_each_generator_and_the_server_cannot_have_a_cpu() {
        let mut crowded = BusyWait { allowed: true, ..BusyWait::new(u64::MAX) };
        crowded.timer_rang(50 * US);
        assert!(crowded.lead_ns(0) > 0);
        let mut crowded = BusyWait::new(u64::MAX);
        crowded.timer_rang(50 * US);
        assert_eq!(crowded.lead_ns(0), 0);
    }

    #[test]
    fn only_looks_one_after_another_count_as_time_awake_and_no_more_than_they_can_take() {
        let mut busy_wait = busy_wait();
        let mut look = |at: u64| busy_wait.polled_in_vain(at - US, at, || None);
        assert_eq!([look(10 * US), look(11 * US), look(13 * US)], [0, US, 2 * US]);
        // A request was sent in between.
        busy_wait.was_busy();
        assert_eq!(busy_wait.polled_in_vain(29 * US, 30 * US, || None), 0);
        assert_eq!(busy_wait.polled_in_vain(30 * US, 9 * MS, || None), TAKEN_NS);
    }

    #[test]
    fn a_cpu_that_another_program_takes_is_left_to_it_for_longer_and_longer() {
        let mut busy_wait = busy_wait();
        (0..50).for_each(|_| busy_wait.timer_rang(50 * US));
        let mut taken = |at: u64, waited: Option<Duration>| {
            busy_wait.idle_since_ns = Some(at - MS);
            busy_wait.polled_in_vain(0, at, || waited);
            (busy_wait.lead_ns(at) == 0).then(|| busy_wait.rests_until_ns - at)
        };
        assert_eq!(
            taken(3_000 * MS, Some(Duration::from_millis(5))),
            None,
            "the first reading says nothing"
        );
        assert_eq!(
            taken(3_001 * MS, Some(Duration::from_millis(5))),
            None,
            "the host took the CPU, and no program here"
        );
        assert_eq!(taken(3_003 * MS, Some(Duration::from_millis(6))), Some(LEAST_REST_NS));
        assert_eq!(taken(3_010 * MS, Some(Duration::from_millis(7))), Some(2 * LEAST_REST_NS));
        assert_eq!(taken(3_020 * MS, None), Some(4 * LEAST_REST_NS), "the system does not tell");
        assert_eq!(taken(9_000 * MS, None), Some(LEAST_REST_NS), "the last time is long over");
        for step in 0..20 {
            taken(9_010 * MS + step * 300 * MS, None);
        }
        assert_eq!(taken(17_000 * MS, None), Some(MOST_REST_NS));
    }

    #[test]
    fn a_cpu_that_is_gone_for_longer_than_a_start_may_be_late_is_left_at_once_even_in_the_first_look()
     {
        let mut busy_wait = busy_wait();
        busy_wait.timer_rang(50 * US);
        assert!(busy_wait.lead_ns(0) > 0);
        assert_eq!(busy_wait.polled_in_vain(5 * MS, 6 * MS + US, || None), 0);
        assert_eq!(busy_wait.lead_ns(6 * MS + LONG_REST_NS), 0);
        assert!(busy_wait.lead_ns(6 * MS + US + LONG_REST_NS) > 0);
    }
}
