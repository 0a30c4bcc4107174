//! Judges sources of noise: other load, steal, timers, clocks, frequencies.

use std::time::Duration;

use super::{Finding, Judgement};
use crate::{
    machine::CpuTicks,
    output::{counted, long},
};
use paceline_core::{histogram::Histogram, job::rounds_of};

/// Bounds of judgements: good up to the first, bad from the second.
pub type Bounds = (f64, f64);

/// The 99th percentile of sleep overshoot, in microseconds. The shortest wait by which models are ranked is 5 ms: these
/// are 5 % and 20 % of it.
pub const LATE_US: Bounds = (250.0, 1000.0);
/// Steal, in percent of the time that CPUs wanted to work. One tick in a second of one busy core is already 1 %; 5 % is
/// as large as the differences that users look for.
pub const STEAL: Bounds = (2.0, 5.0);
/// The range of the same work over processes, in percent of its median: the median of a few processes cannot
/// distinguish much less than this.
pub const RANGE: Bounds = (2.0, 10.0);
/// CPUs that other programs use during the measurement. A twentieth is an idle desktop; a quarter is a program at work.
pub const OTHERS: Bounds = (0.05, 0.25);
/// The cost of reading the clock, in nanoseconds: about 25 without a system call, several hundred with one, about a
/// thousand with hpet.
pub const LOOK_NS: Bounds = (100.0, 500.0);
/// The percentage of the last 10 seconds in which a thread waited for a CPU.
pub const PRESSURE: Bounds = (5.0, 40.0);
/// The load per CPU over the last minute that is reported. It is never bad: load of a minute ago may have ended, and
/// current load is measured.
pub const LOAD: f64 = 0.25;

fn by(bounds: Bounds, value: f64) -> Judgement {
    match value {
        v if v <= bounds.0 => Judgement::Good,
        v if v < bounds.1 => Judgement::Fair,
        _ => Judgement::Bad,
    }
}

/// Judges how this program was built.
pub fn build(debug: bool) -> Finding {
    let (found, judgement) =
        if debug { ("debug", Judgement::Bad) } else { ("optimised", Judgement::Good) };
    let advice = "figures of a debug build mean nothing: use cargo bench, or cargo run --release";
    Finding::new("build", found, judgement, advice)
}

/// Judges the load of the last minute on this number of CPUs.
pub fn load(load: Option<f64>, cpus: usize) -> Finding {
    let Some(load) = load else {
        return Finding::unknown("load before", "see that nothing else runs");
    };
    let judgement = if load <= LOAD * cpus as f64 { Judgement::Good } else { Judgement::Fair };
    let cpus = counted(cpus, "CPU");
    let found = format!("{load:.2} threads wanted to run over the last minute, on {cpus}");
    let advice = "if it was a build, wait a minute; otherwise end what runs";
    Finding::new("load before", found, judgement, advice).with(load, "threads")
}

/// Judges the percentage of the last 10 seconds in which a thread waited for a CPU.
pub fn pressure(percent: Option<f64>) -> Finding {
    const WHAT: &str = "CPU pressure before";
    let Some(percent) = percent else {
        return Finding::unknown(
            WHAT,
            "the kernel shows it from 4.20 on, where it was built with PSI",
        );
    };
    let found = format!("a thread waited for a CPU in {percent:.1} % of the last 10 s");
    let advice = "more wants to run than there are CPUs: end other programs, or wait";
    Finding::new(WHAT, found, by(PRESSURE, percent), advice).with(percent, "%")
}

/// Judges the CPU use of other programs in `ticks`, of which this program used `own` CPUs.
pub fn others(ticks: Option<CpuTicks>, own: f64) -> Finding {
    const WHAT: &str = "other programs";
    let Some(ticks) = ticks.filter(|ticks| ticks.busy + ticks.idle > 0) else {
        return Finding::unknown(WHAT, "see that nothing else runs");
    };
    let all = (ticks.busy + ticks.idle + ticks.stolen) as f64;
    let others = (ticks.busy as f64 / all * ticks.cpus as f64 - own).max(0.0);
    let cpus = counted(ticks.cpus, "CPU");
    let found = format!("used {others:.2} of {cpus} while we computed on one for 1 s");
    let advice = "end them, or wait until they are done: they take CPUs and caches from the jobs";
    Finding::new(WHAT, found, by(OTHERS, others), advice).with(others, "CPUs")
}

/// Judges the share of the time that CPUs wanted to work in which the hypervisor ran others.
pub fn steal(ticks: Option<CpuTicks>) -> Finding {
    let Some(ticks) = ticks.filter(|ticks| ticks.busy > 0) else {
        return Finding::unknown("steal", "watch how much repeated runs differ");
    };
    let share = 100.0 * ticks.stolen as f64 / (ticks.busy + ticks.stolen) as f64;
    let found = format!("{share:.1} % of the CPU time that was wanted while one core computed");
    let advice = "other guests of this host have the CPU: take a machine with dedicated CPUs, or measure longer and \
                  compare interleaved runs only";
    Finding::new("steal", found, by(STEAL, share), advice).with(share, "%")
}

/// Judges how much the same work differs between processes.
pub fn processes(times: Result<Vec<Duration>, String>) -> Finding {
    const WHAT: &str = "repeated work";
    let mut times = match times {
        Ok(times) if times.len() > 1 => times,
        Ok(_) => return Finding::unknown(WHAT, "no process was measured"),
        Err(why) => {
            let found = format!("could not be measured: {why}");
            return Finding::new(
                WHAT,
                found,
                Judgement::Bad,
                "every cell needs a process of its own",
            );
        }
    };
    times.sort_unstable();
    let seconds: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
    let (median, count) = (seconds[seconds.len() / 2], seconds.len() as f64);
    let mean = seconds.iter().sum::<f64>() / count;
    let squares = seconds.iter().map(|time| (time - mean).powi(2)).sum::<f64>();
    let variation = 100.0 * (squares / (count - 1.0)).sqrt() / mean;
    let range = 100.0 * (seconds[seconds.len() - 1] - seconds[0]) / median;
    let found = format!(
        "{} in {} fresh processes: range {range:.1} %, coefficient of variation {variation:.1} %",
        long(times[times.len() / 2]),
        times.len()
    );
    let advice = "differences below this range need many processes on both sides: raise --trials";
    Finding::new(WHAT, found, by(RANGE, range), advice).with(range, "%")
}

/// Judges the overshoot of sleeps of `wait`.
pub fn timer(late: &Histogram, wait: Duration, slack_ns: Option<u64>) -> Finding {
    let at = |share: f64| late.quantile(share);
    let shown = |ns: u64| long(Duration::from_nanos(ns));
    let slack = slack_ns.map_or_else(String::new, |ns| format!("; timer slack {}", shown(ns)));
    let found = format!(
        "sleeps of {} end late by p50 {}, p99 {}, max {} ({} sleeps{slack})",
        long(wait),
        shown(at(0.5)),
        shown(at(0.99)),
        shown(at(1.0)),
        late.count()
    );
    let advice = "no model can wake earlier than the host does: look at waits of 5 ms and more only, and at medians";
    let p99 = at(0.99) as f64 / 1e3;
    Finding::new("timer", found, by(LATE_US, p99), advice).with(p99, "µs")
}

/// Judges the clock source, and the cost of reading it.
pub fn clock(source: Option<&str>, look_ns: f64) -> Finding {
    let judgement = match source {
        Some("hpet" | "acpi_pm" | "jiffies" | "pit") => Judgement::Bad,
        _ => by(LOOK_NS, look_ns),
    };
    let found = format!("{}, {look_ns:.0} ns per reading", source.unwrap_or("source not shown"));
    let advice = "each look is a system call or worse: boot with clocksource=tsc tsc=reliable where the CPU allows, or \
                  take another machine";
    Finding::new("clock", found, judgement, advice).with(look_ns, "ns")
}

/// Reports the time of a round of a `compute` step. It is not judged, but people think of CPU work in time.
pub fn compute(compute_ns: f64) -> Finding {
    Finding::new("compute", cost_of_compute(compute_ns), Judgement::Good, "").with(compute_ns, "ns")
}

/// Returns `a round of compute takes 2.10 ns, and compute = "200us" is 95000 rounds`.
pub fn cost_of_compute(compute_ns: f64) -> String {
    let rounds = rounds_of(Duration::from_micros(200), compute_ns);
    format!(
        "a round of compute takes {compute_ns:.2} ns, and compute = \"200us\" is {rounds} rounds"
    )
}

/// Judges the frequency governors and their driver.
pub fn frequency(governors: &[String], driver: Option<&str>, hypervisor: Option<bool>) -> Finding {
    const WHAT: &str = "frequency governor";
    if governors.is_empty() {
        let advice = match hypervisor {
            Some(true) => "the host decides on clock rates: compare interleaved runs only",
            _ => "compare interleaved runs only, which see the same clock rates",
        };
        return Finding::unknown(WHAT, advice);
    }
    // These two drivers have a governor called powersave that reaches the full clock rate under load.
    let scales = driver.is_some_and(|driver| {
        driver.starts_with("intel_pstate") || driver.starts_with("amd-pstate-epp")
    });
    let judgement = if governors.iter().all(|governor| governor == "performance") {
        Judgement::Good
    } else if !scales && governors.iter().any(|governor| governor == "powersave") {
        Judgement::Bad
    } else {
        Judgement::Fair
    };
    let driver = driver.map_or_else(String::new, |driver| format!(" (driver {driver})"));
    let found = governors.join(", ") + &driver;
    let advice = "the clock rate follows the load, so jobs that wait compute slower: cpupower frequency-set -g performance";
    Finding::new(WHAT, found, judgement, advice)
}

/// Judges whether the clock rate may exceed its base.
pub fn boost(boost: Option<bool>) -> Finding {
    match boost {
        None => {
            Finding::unknown("turbo", "the first runs after a pause may be faster than the rest")
        }
        Some(false) => Finding::new("turbo", "off", Judgement::Good, ""),
        Some(true) => {
            let advice = "the clock rate depends on heat and on how many cores work: switch it off for small \
                          differences (intel_pstate/no_turbo, cpufreq/boost)";
            Finding::new("turbo", "on", Judgement::Fair, advice)
        }
    }
}

/// Judges whether this is a virtual machine.
pub fn hypervisor(present: Option<bool>) -> Finding {
    match present {
        None => Finding::unknown("hypervisor", "on a virtual machine, clock rates are unknown"),
        Some(false) => Finding::new("hypervisor", "none", Judgement::Good, ""),
        Some(true) => {
            let advice = "clock rates and neighbours are unknown: compare runs of this machine with each other only";
            Finding::new("hypervisor", "present", Judgement::Fair, advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Judgement::{Bad, Fair, Good, Unknown};

    fn ticks(busy: u64, stolen: u64, idle: u64) -> CpuTicks {
        CpuTicks { busy, stolen, idle, cpus: 2 }
    }

    #[test]
    fn steal_of_a_fifth_is_bad_and_of_a_tick_in_a_hundred_is_not() {
        let finding = steal(Some(ticks(80, 20, 100)));
        assert_eq!((finding.judgement, finding.value), (Bad, Some(20.0)));
        assert_eq!(steal(Some(ticks(99, 1, 100))).judgement, Good);
        assert_eq!(steal(Some(ticks(97, 3, 100))).judgement, Fair);
        assert_eq!(steal(None).judgement, Unknown);
    }

    #[test]
    fn others_are_what_is_busy_beyond_ourselves() {
        assert_eq!(others(Some(ticks(101, 0, 99)), 1.0).judgement, Good);
        let finding = others(Some(ticks(150, 0, 50)), 1.0);
        assert_eq!((finding.judgement, finding.value), (Bad, Some(0.5)));
        assert_eq!(others(Some(ticks(90, 0, 110)), 1.0).value, Some(0.0));
    }

    #[test]
    fn a_slow_clock_is_bad_by_name_and_by_cost() {
        assert_eq!(clock(Some("tsc"), 25.0).judgement, Good);
        assert_eq!(clock(Some("arch_sys_counter"), 40.0).judgement, Good);
        assert_eq!(clock(Some("hpet"), 25.0).judgement, Bad);
        assert_eq!(clock(Some("acpi_pm"), 25.0).judgement, Bad);
        assert_eq!(clock(Some("xen"), 300.0).judgement, Fair);
        assert_eq!(clock(None, 900.0).judgement, Bad);
    }

    #[test]
    fn powersave_is_bad_unless_its_driver_scales() {
        let of = |governor: &str, driver| frequency(&[governor.into()], Some(driver), None);
        assert_eq!(of("performance", "acpi-cpufreq").judgement, Good);
        assert_eq!(of("schedutil", "acpi-cpufreq").judgement, Fair);
        assert_eq!(of("powersave", "acpi-cpufreq").judgement, Bad);
        assert_eq!(of("powersave", "intel_pstate").judgement, Fair);
        let mixed = ["performance".into(), "powersave".into()];
        assert_eq!(frequency(&mixed, None, None).judgement, Bad);
        assert!(frequency(&[], None, Some(true)).advice.contains("the host decides"));
    }

    #[test]
    fn a_timer_is_judged_by_its_99th_percentile() {
        let late = |us: &[u64]| {
            let mut late = Histogram::default();
            for us in us {
                late.record(us * 1000);
            }
            timer(&late, Duration::from_millis(1), Some(50_000))
        };
        let usual = late(&[60; 300]);
        assert_eq!(usual.judgement, Good);
        assert!(usual.found.contains("p50 60.0 µs") && usual.found.contains("slack 50.0 µs"));
        assert_eq!(late(&[[60; 290].as_slice(), &[400; 10]].concat()).judgement, Fair);
        assert_eq!(late(&[4000; 300]).judgement, Bad);
        assert_eq!(late(&[[60; 299].as_slice(), &[9000]].concat()).judgement, Good);
    }

    #[test]
    fn processes_are_judged_by_their_range() {
        let of = |ms: &[f64]| {
            processes(Ok(ms.iter().map(|ms| Duration::from_secs_f64(ms / 1e3)).collect()))
        };
        assert_eq!(of(&[20.0, 20.1, 20.2, 20.1]).judgement, Good);
        let finding = of(&[20.0, 21.0, 20.0, 20.0]);
        assert_eq!(finding.judgement, Fair);
        assert!(
            finding.found.contains("range 5.0 %, coefficient of variation 2.5 %"),
            "{finding:?}"
        );
        assert_eq!(of(&[20.0, 30.0]).judgement, Bad);
        assert_eq!(processes(Err("no more processes".into())).judgement, Bad);
    }

    #[test]
    fn a_minute_of_load_is_never_bad_and_a_debug_build_always() {
        assert_eq!(load(Some(64.0), 2).judgement, Fair);
        assert_eq!(load(Some(0.1), 2).judgement, Good);
        assert_eq!((build(true).judgement, build(false).judgement), (Bad, Good));
        assert_eq!(pressure(Some(60.0)).judgement, Bad);
        assert_eq!((boost(Some(true)).judgement, hypervisor(Some(true)).judgement), (Fair, Fair));
    }
}
