//! Detects trials that the machine disturbed, by rules that cannot see which side is faster.

use std::{fs, time::Duration};

use crate::{machine::CpuTicks, output::long};
use paceline_core::{
    clock::{Clocks, nanoseconds},
    usage::Usage,
};

/// The state of the machine at a moment.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    clocks: Clocks,
    cpus: CpuTicks,
    /// CPU time that paceline has used: this process, its ended children, the echo server.
    ours_ns: u64,
}

/// The kernel counts CPU time in ticks of 10 ms, on every relevant Linux.
const TICK_NS: f64 = 10e6;
/// Fewer ticks are chance: each CPU's counter is off by one at both ends of a trial.
const CHANCE: f64 = 6.0;
/// The greatest share of all CPUs' time that may be stolen by the hypervisor.
const STOLEN: f64 = 0.1;
/// The greatest share of one CPU's time that other programs may use.
const OTHERS: f64 = 0.4;
/// The greatest share of a CPU that a head may use more than the base while others run.
const NOT_WAITING: f64 = 0.2;
/// The greatest difference between clocks over a trial.
const APART: Duration = Duration::from_millis(50);

impl Moment {
    /// Returns the state now; `others` is CPU time of paceline's processes that are neither children nor waited for.
    pub(super) fn now(others: Duration) -> Self {
        Moment {
            clocks: Clocks::now(),
            cpus: CpuTicks::now().unwrap_or_default(),
            ours_ns: Usage::now().cpu_ns() + nanoseconds(others),
        }
    }

    /// Returns why the measurement between `before` and this moment does not count, if it does not.
    pub(super) fn disturbed_since(&self, before: &Moment) -> Option<String> {
        let steady = self.clocks.steady.saturating_sub(before.clocks.steady);
        let boot = self.clocks.boot.saturating_sub(before.clocks.boot);
        let suspended = boot.saturating_sub(steady);
        if suspended > APART {
            return Some(format!("the machine was suspended for {}", long(suspended)));
        }
        // Sums on both sides, because the wall clock may have been set back.
        let (wall, expected) = (self.clocks.wall, before.clocks.wall + boot);
        let set = wall.abs_diff(expected);
        if set > APART {
            let way = if wall > expected { "forward" } else { "back" };
            return Some(format!("the wall clock was set {way} by {}", long(set)));
        }
        if load_is_allowed() {
            return None;
        }
        let cpus = self.cpus.since(before.cpus);
        let all = (cpus.busy + cpus.stolen + cpus.idle) as f64;
        let stolen = cpus.stolen as f64;
        if stolen > CHANCE.max(STOLEN * all) {
            let percent = 100.0 * stolen / all;
            return Some(format!("{percent:.0} % of CPU time was stolen by the hypervisor"));
        }
        let ours = self.ours_ns.saturating_sub(before.ours_ns) as f64 / TICK_NS;
        let others = cpus.busy as f64 - ours;
        let wall = all / cpus.cpus.max(1) as f64;
        if others > CHANCE.max(OTHERS * wall) {
            let percent = 100.0 * others / wall;
            return Some(format!("other programs used {percent:.0} % of a CPU"));
        }
        None
    }
}

/// The CPU time that a side and its children used while others had their turns, and how long these took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Idle {
    pub(super) cpu: Duration,
    pub(super) wall: Duration,
}

impl Idle {
    /// Adds another trial's.
    pub(super) fn add(&mut self, more: Idle) {
        self.cpu += more.cpu;
        self.wall += more.wall;
    }
}

/// Returns why a head is not measured fairly, if it is not: it goes on while it should wait, and slows the base and its copy
/// as much as itself. A base that does so as well is slowed like its head.
pub(super) fn head_does_not_wait([base, head, copy]: [Idle; 3]) -> Option<String> {
    let usual = base.cpu.max(copy.cpu);
    let chance = Duration::from_nanos((CHANCE * TICK_NS) as u64);
    let more = head.cpu.saturating_sub(usual);
    (more > head.wall.mul_f64(NOT_WAITING) + chance).then(|| {
        let percent = |of: Duration| 100.0 * of.div_duration_f64(head.wall);
        format!(
            "head: it used {:.0} % of a CPU while the others ran, and the base {:.0} %: it goes on in the background, and slows them down",
            percent(head.cpu),
            percent(usual)
        )
    })
}

/// Returns a process's fields of `/proc/ID/stat` that follow its name.
fn stat(id: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program's name is in parentheses and may contain anything.
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String]) -> u64 {
    fields.iter().filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Returns the CPU time of a process and its ended children so far; `None` if the system does not tell.
pub(super) fn cpu_of(id: u32) -> Option<Duration> {
    let used = ticks(stat(id)?.get(11..15)?);
    Some(Duration::from_nanos(used * TICK_NS as u64))
}

/// Returns the processes of these process groups but their leaders, each after its leader.
pub(super) fn children_of(leaders: &[u32]) -> Vec<(u32, u32)> {
    let of_leader = |id: u32| {
        let group: u32 = stat(id)?.get(2)?.parse().ok()?;
        (leaders.contains(&group) && id != group).then_some((group, id))
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| of_leader(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Returns the CPU time of all processes of these process groups but their leaders, ended children included.
pub(super) fn cpu_of_children(leaders: &[u32]) -> Duration {
    children_of(leaders).into_iter().filter_map(|(_, id)| cpu_of(id)).sum()
}

/// Returns whether tests allow load: they run in parallel and do not measure speed.
pub(super) fn load_is_allowed() -> bool {
    std::env::var_os("PACELINE_ALLOW_LOAD").is_some_and(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calm() -> Moment {
        let at = Duration::from_secs(1000);
        Moment {
            clocks: Clocks { steady: at, boot: at, wall: at * 1000 },
            cpus: CpuTicks { busy: 500, stolen: 5, idle: 900, cpus: 2 },
            ours_ns: 0,
        }
    }

    /// Returns a moment one second later, in which paceline used a CPU.
    fn later() -> Moment {
        let second = Duration::from_secs(1);
        let mut after = calm();
        after.clocks.steady += second;
        after.clocks.boot += second;
        after.clocks.wall += second;
        after.cpus.busy += 105;
        after.cpus.idle += 95;
        after.ours_ns += 1_000_000_000;
        after
    }

    #[test]
    fn the_children_of_a_process_group_count_and_its_leader_does_not() {
        use std::os::unix::process::CommandExt;
        // A leader that computes as long as its child.
        let script = "busy() { i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; }; busy & busy; wait; sleep 60 & wait";
        let mut sh = std::process::Command::new("sh");
        let mut leader = sh.args(["-c", script]).process_group(0).spawn().unwrap();
        let busy = |child: bool| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", leader.id())).unwrap();
            let fields: Vec<u64> = stat
                .rsplit_once(')')
                .unwrap()
                .1
                .split_whitespace()
                .filter_map(|f| f.parse().ok())
                .collect();
            if child {
                cpu_of_children(&[leader.id()])
            } else {
                Duration::from_millis(10 * fields[10])
            }
        };
        let mut seen = Duration::ZERO;
        for _ in 0..500 {
            seen = seen.max(busy(true));
            if busy(false) > Duration::from_millis(100) && seen > Duration::from_millis(50) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let group = rustix::process::Pid::from_child(&leader);
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        leader.wait().unwrap();
        assert!(seen > Duration::from_millis(50), "{seen:?}");
        assert_eq!(cpu_of_children(&[leader.id()]), Duration::ZERO);
    }

    #[test]
    fn a_head_that_computes_while_others_run_is_told_apart_from_one_that_waits() {
        let of = |cpu: u64| Idle { cpu: Duration::from_millis(cpu), wall: Duration::from_secs(1) };
        let fair = |base, head, copy| head_does_not_wait([of(base), of(head), of(copy)]);
        assert_eq!(fair(0, 0, 0), None);
        assert_eq!((fair(0, 260, 0), fair(900, 1100, 950)), (None, None));
        let why = fair(30, 970, 20).unwrap();
        assert!(why.contains("97 % of a CPU while the others ran, and the base 3 %"), "{why}");
        assert!(fair(0, 261, 0).is_some());
        // A few ticks are chance.
        let short = |cpu| Idle { wall: Duration::from_millis(10), ..of(cpu) };
        assert_eq!(head_does_not_wait([short(0), short(60), short(0)]), None);
        let mut sum = of(3);
        sum.add(of(4));
        assert_eq!((sum.cpu, sum.wall), (Duration::from_millis(7), Duration::from_secs(2)));
        assert!(cpu_of(std::process::id()).is_some() && cpu_of(u32::MAX).is_none());
    }

    #[test]
    fn a_calm_machine_disturbs_nothing_and_chance_does_not_either() {
        assert_eq!(later().disturbed_since(&calm()), None);
        let mut short = calm();
        short.cpus.busy += 5;
        short.cpus.stolen += 5;
        assert_eq!(short.disturbed_since(&calm()), None);
    }

    #[test]
    fn a_machine_that_was_suspended_or_whose_clock_was_set_disturbs_a_trial() {
        let mut after = later();
        after.clocks.boot += Duration::from_hours(1);
        after.clocks.wall += Duration::from_hours(1);
        let why = after.disturbed_since(&calm()).unwrap();
        assert!(why.contains("suspended for 60.0 min"), "{why}");
        let mut after = later();
        after.clocks.wall -= Duration::from_secs(7);
        let why = after.disturbed_since(&calm()).unwrap();
        assert!(why.contains("set back by 7.00 s"), "{why}");
    }

    #[test]
    fn stolen_time_and_other_programs_disturb_a_trial() {
        let mut after = later();
        after.cpus.stolen += 40;
        let why = after.disturbed_since(&calm()).unwrap();
        assert!(why.contains("17 % of CPU time was stolen"), "{why}");
        let mut after = later();
        after.cpus.busy += 90;
        after.cpus.idle -= 90;
        let why = after.disturbed_since(&calm()).unwrap();
        assert!(why.contains("other programs used 95 % of a CPU"), "{why}");
    }

    /// Returns what disturbs a second like [`later`], and a moment without a tick, after a change.
    fn changed(change: impl Fn(&mut Moment)) -> [Option<String>; 2] {
        [later(), calm()].map(|mut after| {
            change(&mut after);
            after.disturbed_since(&calm())
        })
    }

    #[test]
    fn clocks_may_be_50_milliseconds_apart_and_no_more() {
        let suspended = |by: u64| {
            changed(|after| {
                after.clocks.boot += Duration::from_millis(by);
                after.clocks.wall += Duration::from_millis(by);
            })
        };
        assert_eq!(suspended(50), [None, None]);
        assert!(suspended(51).iter().all(|why| why.as_ref().unwrap().contains("suspended for 51")));
        let forward = |by| changed(|after| after.clocks.wall += Duration::from_millis(by));
        let back = |by| changed(|after| after.clocks.wall -= Duration::from_millis(by));
        assert_eq!([forward(50), back(50)], [[None, None], [None, None]]);
        assert!(forward(51).iter().all(|why| why.as_ref().unwrap().contains("set forward by 51")));
        assert!(back(51).iter().all(|why| why.as_ref().unwrap().contains("set back by 51")));
    }

    #[test]
    fn a_tenth_of_all_cpus_may_be_stolen_and_six_ticks_are_chance() {
        let stolen = |ticks| changed(|after| after.cpus.stolen += ticks);
        let said =
            |percent: u32| Some(format!("{percent} % of CPU time was stolen by the hypervisor"));
        // 200 ticks and those that were stolen: 22 of 222, and 23 of 223.
        assert_eq!((stolen(22)[0].clone(), stolen(23)[0].clone()), (None, said(10)));
        assert_eq!((stolen(6)[1].clone(), stolen(7)[1].clone()), (None, said(100)));
    }

    #[test]
    fn others_may_use_two_fifths_of_a_cpu_and_six_ticks_are_chance() {
        let others = |ticks| {
            let mut after = later();
            after.cpus.busy += ticks;
            after.cpus.idle -= ticks;
            after.disturbed_since(&calm())
        };
        let said = |percent: u32| Some(format!("other programs used {percent} % of a CPU"));
        // Five of the 105 busy ticks are not paceline's.
        assert_eq!((others(35), others(36)), (None, said(41)));
        let mut short = calm();
        short.cpus.busy += 6;
        assert_eq!(short.disturbed_since(&calm()), None);
        short.cpus.busy += 1;
        assert_eq!(short.disturbed_since(&calm()), said(200));
    }
}
