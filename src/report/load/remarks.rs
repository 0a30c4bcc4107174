//! The remarks below the table of a load: its generators, a ramp, latency at shares of the knee, and a comparison.

use std::fmt::Write;

use crate::{
    output::{counted, fine_percent, long_ns, long_ns_f64, rate},
    record::{
        Against, AtShare, Cell, Estimate, LoadFigures, MOSTLY_LATE, Metric, State, late_mark,
    },
    report::{
        gate::figure,
        table::{both_modes, in_order, word},
    },
};
use paceline_core::generator::{Interval, LEAST_MISSED, LEAST_REACHED};

/// Adds a line for each result without a column in the table, and for why a server has fewer trials.
pub(super) fn remarks(text: &mut String, cell: &Cell) {
    let Some(load) = &cell.load else { return };
    let name = cell.server_name();
    if let Some(why) = few_trials(cell) {
        let _ = writeln!(text, "  {name}: {why}");
    }
    if cell.state == State::Ok && load.generators.len() > 1 {
        let _ = writeln!(text, "  {name}: {}", worst(load));
    }
    if let Some(late) = late_remark(cell) {
        let _ = writeln!(text, "  {name}: {late}");
    }
    let _ = load.ramp.and_then(|_| writeln!(text, "  {name}: {}", climbed(load)?).ok());
    let is_late = cell.latencies_of_the_generator().contains(&"p50");
    if let Some(modes) = cell.modes.as_ref().filter(|_| !is_late) {
        let modes = both_modes(modes);
        let _ = writeln!(text, "  {name}: bimodal, median latencies are about {modes}");
    }
    for at in &load.at_shares {
        let _ = writeln!(text, "  {name}: {}", at_share(at));
    }
    if let Some(against) = &load.against {
        let _ = writeln!(text, "  {}", compared(&name, against));
    }
}

/// Returns why a cell with figures has fewer trials than were asked for, if so.
pub(in crate::report) fn few_trials(cell: &Cell) -> Option<&str> {
    cell.reason.as_deref().filter(|_| cell.state == State::Ok)
}

/// Returns which latencies of a cell are marked, and why; `None` if none is.
pub(in crate::report) fn late_remark(cell: &Cell) -> Option<String> {
    let late = cell.latencies_of_the_generator();
    (cell.state == State::Ok && !late.is_empty()).then(|| {
        format!(
            "over half of {} (marked ?) is the generator's own lateness, so it is not ranked and says little of the server; \
             on a quieter machine there is less of it",
            late.join(", ")
        )
    })
}

/// Adds what the process of a server was seen to be, such as "tokio: jobs ran on 2 threads; 8.10 MiB of memory at most".
pub(super) fn process(text: &mut String, cell: &Cell) {
    let Some(server) = cell.load.as_ref().and_then(|load| load.server) else { return };
    let threads = server
        .job_threads
        .map(|count| format!("jobs ran on {}", counted(count as usize, "thread")));
    let memory = |most: u64| figure(Metric::Memory, Some(most as f64));
    let most = server.rss_bytes_max.map(|most| format!("{} of memory at most", memory(most)));
    let said: Vec<String> = threads.into_iter().chain(most).collect();
    if !said.is_empty() {
        let _ = writeln!(text, "  {}: {}", cell.server_name(), said.join("; "));
    }
}

/// Returns "of its 4 generators the busiest used 61.0 % of a CPU, and the latest was 35.0 µs late at the 99th percentile".
fn worst(load: &LoadFigures) -> String {
    let busiest = fine_percent(load.generator_cpu_share_max.unwrap_or(0.0));
    let late = load.latest_generator_ns().map_or_else(String::new, |ns| {
        let late = long_ns(ns);
        format!(", and the latest was {late} late at the 99th percentile")
    });
    format!("of its {} generators the busiest used {busiest} of a CPU{late}", load.generators())
}

/// Adds a line for each choice of nodes that a load was on, with the servers there if there are several choices.
pub(super) fn nodes(text: &mut String, cells: &[&Cell]) {
    let on = |cell: &&Cell| Some(cell.load.as_ref()?.hosts.as_ref()?.sentence());
    let all = in_order(cells.iter().filter_map(on));
    for sentence in &all {
        let there = cells.iter().filter(|cell| on(cell).as_ref() == Some(sentence));
        let names: Vec<String> = there.map(|cell| cell.server_name()).collect();
        let names = if all.len() > 1 { names.join(", ") + ": " } else { String::new() };
        let _ = writeln!(text, "  {names}{sentence}");
    }
}

/// Returns the first interval of a ramp in which a server fell behind: at its end, more requests were open, or had been
/// errors in it, than its rate and the latency that the server has at its best explain. At a constant latency, answers lag
/// behind a rate that rises.
fn fell_behind(trial: &[Interval]) -> Option<&Interval> {
    let medians = trial.iter().filter_map(|one| Some(one.latency.as_ref()?.ns_p50));
    let best_seconds = medians.min().unwrap_or(0) as f64 / 1e9;
    let mut open = 0.0;
    trial.iter().find(|one| {
        open += one.offered as f64 - one.answered as f64 - one.errors as f64;
        let left = open + one.errors as f64 - one.offered_per_second() * best_seconds;
        left > (1.0 - LEAST_REACHED) * one.offered as f64 && left >= LEAST_MISSED
    })
}

/// Returns the rate up to which a server kept pace on a ramp, over the trials.
fn climbed(load: &LoadFigures) -> Option<String> {
    let first = load.intervals.iter().filter_map(|trial| fell_behind(trial));
    let first = first.min_by_key(|one| one.start_ns);
    let mut mixed = String::from("the figures above are of all its rates together");
    let ended = load.completed + load.failed();
    if let Some(left) = load.offered.checked_sub(ended).filter(|left| *left > 0) {
        let left = counted(usize::try_from(left).unwrap_or(usize::MAX), "request");
        let _ = write!(
            mixed,
            "; {left} had no answer when it ended, so the longest latencies are missing"
        );
    }
    Some(match (load.intervals.iter().flatten().next()?, first) {
        (_, None) => format!("kept pace in each interval of the ramp; {mixed}"),
        (_, Some(one)) => format!(
            "first fell behind {:.1} s into the ramp, where {} requests per second were offered and {} answered; {mixed}",
            one.start_ns as f64 / 1e9,
            rate(one.offered_per_second()),
            rate(one.answered_per_second()),
        ),
    })
}

/// Returns "at 50 % of that, 6.2k requests per second: p50 1.2 ms, p99 3.4 ms (3.1 ms to 3.7 ms), max 9.0 ms", with
/// marks and what they mean.
fn at_share(at: &AtShare) -> String {
    let ns = long_ns_f64;
    let time = |name: &str, of: Option<Estimate>| {
        let of = of?;
        let between =
            of.interval().map(|(lower, upper)| format!(" ({} to {})", ns(lower), ns(upper)));
        let mark = late_mark(&at.mostly_late, name);
        Some(format!("{name} {mark}{}{}", ns(of.value), between.unwrap_or_default()))
    };
    let times = [
        time("p50", at.latency_ns_p50),
        time("p99", at.latency_ns_p99),
        time("max", at.latency_ns_max.map(|most| Estimate::exactly(most as f64))),
    ];
    let times: Vec<String> = times.into_iter().flatten().collect();
    let mark = if at.mostly_late.is_empty() { String::new() } else { format!("; {MOSTLY_LATE}") };
    let errors = at.errors().map_or_else(String::new, |errors| format!("; {errors}"));
    let found = match &at.reason {
        Some(why) => format!("{}: {why}", word(at.state)),
        None => times.join(", ") + &mark + &errors,
    };
    format!("at {} of that, {} requests per second: {found}", at.percent(), rate(at.rate))
}

/// Returns "smol against tokio, 5 pairs of trials: p50 0.81× (0.78× to 0.84×), faster; …".
fn compared(name: &str, against: &Against) -> String {
    let measured: Vec<String> = against
        .ratios()
        .iter()
        .map(|one| format!("{} {}, {}", one.name, one.range(), one.word))
        .collect();
    let Against { base, pairs, level, .. } = against;
    if measured.is_empty() {
        return format!(
            "{name} against {base}: not compared, over half of each latency is the generator's own lateness"
        );
    }
    format!(
        "{name} against {base}, {pairs} pairs of trials, intervals of {:.1} %: {}",
        level * 100.0,
        measured.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use paceline_core::histogram::Histogram;

    use super::*;

    /// A ramp from 100 to 1 060 a second in 6 s, of which `answered` gives the answers and errors of each interval.
    fn ramp(median_ns: u64, answered: [[u64; 2]; 6]) -> Vec<Interval> {
        let mut times = Histogram::default();
        times.record(median_ns);
        let latency = times.distribution();
        let interval = |(second, [answered, errors]): (u64, [u64; 2])| Interval {
            start_ns: second * 1_000_000_000,
            lasts_ns: 1_000_000_000,
            offered: 180 + second * 160,
            answered,
            errors,
            late_starts: 0,
            latency: latency.clone(),
            schedule_error: None,
        };
        (0..).zip(answered).map(interval).collect()
    }

    #[test]
    fn answers_that_lag_by_a_constant_latency_do_not_fall_behind() {
        // At 100 ms, 26 requests are open at the end of the first second, and 16 more at the end of each other.
        let right = [154, 324, 484, 644, 804, 964].map(|answered| [answered, 0]);
        assert_eq!(fell_behind(&ramp(100_000_000, right)), None);
        let behind = |answered| {
            fell_behind(&ramp(100_000_000, answered)).map(|one| one.start_ns / 1_000_000_000)
        };
        let mut slower = right;
        (slower[3], slower[4]) = ([560, 0], [560, 0]);
        assert_eq!(behind(slower), Some(3));
        let mut refuses = right;
        refuses[2] = [400, 84];
        assert_eq!(behind(refuses), Some(2), "errors are no answers");
        let without_latency = fell_behind(&ramp(1_000_000, right)).map(|one| one.start_ns);
        assert_eq!(without_latency, Some(0), "26 of 180 that a latency of 1 ms does not explain");
    }
}
