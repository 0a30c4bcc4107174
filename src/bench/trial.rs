//! The figures of a trial, and the cell of the record that trials form.

use super::pace::FEWEST;
use crate::{
    output::counted,
    plan::Planned,
    record::{Cell, State, Trial},
    run::whole,
    stats::median_and_range,
};

/// Returns the figure of a trial.
pub(super) fn median_ns(trial: &Trial) -> f64 {
    median(&trial.times_ns)
}

/// Returns CPU time per job of a trial, in the model's processes and in the echo server.
pub(super) fn cpu_ns(trial: &Trial) -> (f64, f64) {
    let jobs = trial.times_ns.len() as f64 * trial.scale as f64;
    (trial.used.cpu_ns() as f64 / jobs, trial.server_cpu_ns as f64 / jobs)
}

fn median(times_ns: &[u64]) -> f64 {
    median_and_range(&times_ns.iter().map(|ns| *ns as f64).collect::<Vec<_>>()).0
}

/// Returns the cell of the record. `why` says why it has fewer trials than it should; with too few for an interval it
/// is skipped, and keeps their figures. `compute_ns` is the time of a round of `compute`, if it is known.
pub(super) fn cell(
    planned: &Planned<'_>,
    trials: &[Trial],
    compute_ns: Option<f64>,
    why: &str,
) -> Cell {
    let (count, few) = (trials.len(), trials.len() < FEWEST as usize);
    let bound =
        |fastest: Option<f64>| planned.bound_per_second(compute_ns?, fastest.filter(|_| !few));
    let cell = whole(planned, trials, bound)
        .unwrap_or_else(|why| planned.cell_with_reason(State::Failed, why));
    if !few || cell.state != State::Ok {
        return cell;
    }
    let ended = counted(count, "process");
    let reason = format!("{ended} of it ended, {FEWEST} are needed: {why}");
    Cell {
        state: State::Skipped,
        reason: Some(reason),
        batch_ns: None,
        jobs_per_second: None,
        interval: None,
        ..cell
    }
}

/// Returns criterion's samples of a cell, in nanoseconds per batch: the figure of each trial or, if there are fewer
/// than `least`, the medians of equal parts of each trial's batches. `None` if there are too few batches.
pub(super) fn samples(trials: &[Trial], least: u32) -> Option<Vec<u64>> {
    let each = (least as usize).div_ceil(trials.len().max(1));
    let fewest = trials.iter().map(|trial| trial.times_ns.len()).min()?;
    (fewest >= each).then(|| {
        let of = |trial: &Trial| {
            let times = &trial.times_ns;
            let part =
                |index: usize| &times[index * times.len() / each..(index + 1) * times.len() / each];
            (0..each).map(|index| median(part(index)) as u64).collect::<Vec<_>>()
        };
        trials.iter().flat_map(of).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Choice, cells};
    use paceline_core::{models, prepared::Attestation, usage::Usage, workloads};

    fn trial(times_ns: &[u64]) -> Trial {
        let attest = Attestation {
            process_threads: Some(3),
            rss_bytes: Some(100),
            rss_bytes_max: Some(150),
            ..Attestation::default()
        };
        Trial {
            workload: "sleep".into(),
            model: "tokio".into(),
            scale: 10,
            attest,
            times_ns: times_ns.to_vec(),
            used: Usage { user_cpu_ns: 1000, ..Usage::default() },
            server_cpu_ns: 500,
            server_busy_share: Some(times_ns[0] as f64 / 100.0),
            ..Trial::default()
        }
    }

    fn of_ten_jobs(trials: &[Trial], why: &str) -> Cell {
        let workloads = [workloads::find("sleep").unwrap()];
        let choice = Choice { scales: vec![10], ..Choice::default() };
        let planned = cells(&workloads, &[models::find("tokio").unwrap()], &choice);
        cell(&planned[0], trials, Some(1.0), why)
    }

    #[test]
    fn the_most_jobs_in_flight_are_those_of_all_trials() {
        let trials = [3, 9, 5].map(|peak_in_flight| {
            let of = trial(&[10]);
            Trial { attest: Attestation { peak_in_flight, ..of.attest }, ..of }
        });
        assert_eq!(of_ten_jobs(&trials, "").attest.unwrap().peak_in_flight, 9);
    }

    #[test]
    fn a_cell_keeps_the_median_of_each_trial_and_its_interval_is_of_the_processes() {
        let trials = [trial(&[10, 20, 90]), trial(&[40, 40]), trial(&[80])];
        let cell = of_ten_jobs(&trials, "");
        assert_eq!((cell.state, &cell.trials_ns[..]), (State::Ok, &[20, 40, 80][..]));
        assert!((cell.batch_ns.unwrap().value - 40.0).abs() < 1e-9, "{:?}", cell.batch_ns);
        assert!(cell.interval.as_ref().unwrap().contains("of 3 trials"));
        // 3 000 ns of CPU time, 1 500 of the server's, in 6 batches of 10 jobs.
        assert_eq!(cell.server_cpu_ns_per_job, Some(25.0));
        // Each process counts once: 1 000 ns in 30, 20 and 10 jobs.
        let mean = (1e3_f64 / 30.0 * 50.0 * 100.0).cbrt();
        assert!((cell.cpu_ns_per_job.unwrap() / mean - 1.0).abs() < 1e-9, "{mean}");
        assert_eq!(cell.resources.unwrap().rss_bytes_added, Some(50));
        assert_eq!(cell.server_busy_share_max, Some(0.8));
        // A system that does not count it.
        let used = Usage::default();
        let cell = of_ten_jobs(&trials.map(|trial| Trial { used, ..trial }), "");
        assert_eq!((cell.cpu_ns_per_job, cell.per_trial.cpu_ns_per_job), (None, vec![]));
    }

    #[test]
    fn a_bound_that_a_single_trial_exceeds_is_not_shown() {
        // Ten jobs that sleep for 10 ms take that time at least; the mean of the trials does not show it.
        let bound = |fastest_ms: u64| {
            let trials = [30, fastest_ms, 30].map(|ms| trial(&[ms * 1_000_000]));
            of_ten_jobs(&trials, "").bound_jobs_per_second
        };
        assert_eq!([10, 9].map(bound), [Some(1000.0), None]);
    }

    #[test]
    fn two_trials_have_no_interval_and_are_kept_without_a_figure() {
        let cell = of_ten_jobs(&[trial(&[10]), trial(&[20])], "the budget was used up");
        assert_eq!((cell.state, &cell.trials_ns[..]), (State::Skipped, &[10, 20][..]));
        assert_eq!((cell.batch_ns, cell.jobs_per_second), (None, None));
        assert!(cell.reason.unwrap().ends_with("3 are needed: the budget was used up"));
    }

    #[test]
    fn criterion_has_a_sample_of_each_process_or_two_of_each_where_they_are_five() {
        let ten: Vec<Trial> = (1..=10).map(|ns| trial(&[ns, ns])).collect();
        assert_eq!(samples(&ten, 10).unwrap(), (1..=10).collect::<Vec<_>>());
        let five: Vec<Trial> = (1..=5).map(|ns| trial(&[ns, ns, 10 * ns, 10 * ns])).collect();
        assert_eq!(samples(&five, 10).unwrap(), [1, 10, 2, 20, 3, 30, 4, 40, 5, 50]);
        assert_eq!(samples(&five[..3], 10).unwrap().len(), 12);
        assert_eq!(
            samples(&ten[..4], 10),
            None,
            "they have two batches each, and three are needed"
        );
        assert_eq!(samples(&[], 10), None);
    }
}
