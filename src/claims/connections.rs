//! The cost of a connection in threads and memory, with few and with many connections.

use super::{
    Kind,
    experiment::{Evidence, Experiment, Judged, NoFigures, Sample, all},
    runner::ClaimRunner,
};
use crate::{output::count, record::ClaimVerdict};

/// The number of connections, how long each is held so that all are open at once, and the names of the figures.
const SCALES: [(usize, &str, [&str; 3]); 3] = [
    (10, "20ms", ["open at once of 10", "threads for 10", "memory each of 10"]),
    (1_000, "200ms", ["open at once of 1 000", "threads for 1 000", "memory each of 1 000"]),
    (10_000, "800ms", ["open at once of 10 000", "threads for 10 000", "memory each of 10 000"]),
];
/// More threads than any runtime has of its own, and far fewer than connections.
const FEW: f64 = 100.0;

pub(super) const CONNECTIONS: Experiment = Experiment {
    name: "connections",
    sentence: "Thousands of connections need no thread each.",
    method: "10, 1 000 and 10 000 jobs that connect to an echo server, exchange 8 bytes, hold the connection while \
             the others come, and exchange 8 more, in a fresh process each: jobs under way at once, threads, and \
             resident memory added for each; the verdict rests on 1 000, for 10 000 are opened only if claims or \
             models were named, and in the first repetition.",
    slow: true,
    workers: &[Some(2)],
    measure: |runner| {
        let mut samples = Vec::new();
        for (index, (scale, ..)) in SCALES.iter().enumerate() {
            if *scale > 1_000 && !runner.thorough {
                break;
            }
            match connections(runner, index) {
                Ok(more) => samples.extend(more),
                // If the greatest scale is refused or skipped, the results of the others remain.
                Err(NoFigures::As(
                    verdict @ (ClaimVerdict::Refused | ClaimVerdict::Skipped),
                    why,
                )) if index + 1 == SCALES.len() => {
                    runner.note(format!(
                        "{} connections are {}: {why}",
                        count(*scale),
                        verdict.word()
                    ));
                    break;
                }
                Err(ended) => return Err(ended),
            }
            // If few are not open at once, many would only take turns.
            if samples[0].value < SCALES[0].0 as f64 {
                break;
            }
        }
        Ok(samples)
    },
    judge,
};

fn connections(runner: &mut ClaimRunner<'_>, index: usize) -> Result<Vec<Sample>, NoFigures> {
    let (scale, hold, [open, threads, memory]) = SCALES[index];
    runner.fresh();
    let text = format!(
        "name = \"connections\"\njob = [{{ connect = \"echo\" }}, {{ exchange = {{ bytes = 8, times = 1 }} }}, \
         {{ sleep = \"{hold}\" }}, {{ exchange = {{ bytes = 8, times = 1 }} }}]"
    );
    let seen = runner.attest(&text, scale)?;
    runner.fresh();
    let all_threads = u64::from(seen.job_threads).max(seen.process_threads.unwrap_or(0));
    let mut samples = vec![
        Sample::new(open, "jobs", f64::from(seen.peak_in_flight)).ideally(scale as f64),
        Sample::new(threads, "threads", all_threads as f64),
    ];
    if let Some(added) = seen.rss_bytes_added() {
        samples.push(Sample::new(memory, "bytes", added as f64 / scale as f64));
    }
    Ok(samples)
}

fn judge(figures: &Evidence<'_>) -> Judged {
    let [(few, _, [open, ..]), (_, _, [open_of_many, many, _]), _] = SCALES;
    if figures.at_most(open, few as f64 - 1.0) == Some(true) {
        let why = format!("it does not have them open at once: {}", figures.kind.clause());
        return (ClaimVerdict::DoesNotApply, Some(why));
    }
    let why = match figures.kind {
        Kind::Threads => "each connection has a thread of its own",
        kind => kind.clause(),
    };
    // Connections that come one after another need few threads anyhow.
    let at_once = figures.at_least(open_of_many, 2.0 * FEW).filter(|open| *open);
    all(&[figures.at_most(many, FEW), at_once], why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::experiment::made;

    #[test]
    fn a_thread_for_each_contradicts_and_turns_do_not_apply() {
        let [(_, _, [open, ..]), (_, _, [open_of_many, many, _]), (_, _, [_, most, _])] = SCALES;
        let judge = |[few, at_once]: [f64; 2], threads: f64, of_most: f64| {
            let figures = [
                (open, [few; 3]),
                (open_of_many, [at_once; 3]),
                (many, [threads; 3]),
                (most, [of_most; 3]),
            ];
            made(Kind::Loop, 2, &figures).by(&CONNECTIONS)
        };
        assert_eq!(judge([10.0, 1000.0], 4.0, 4.0), ClaimVerdict::Holds);
        assert_eq!(judge([10.0, 1000.0], 1001.0, 10_001.0), ClaimVerdict::Contradicted);
        // One process at 10 000 connections decides nothing.
        assert_eq!(judge([10.0, 1000.0], 4.0, 10_001.0), ClaimVerdict::Holds);
        assert_eq!(judge([2.0, 2.0], 4.0, 4.0), ClaimVerdict::DoesNotApply);
        // Of 1 000 that were never open at once, few threads say nothing; many threads contradict.
        assert_eq!(judge([10.0, 150.0], 4.0, 4.0), ClaimVerdict::Inconclusive);
        assert_eq!(judge([10.0, 150.0], 151.0, 151.0), ClaimVerdict::Contradicted);
    }
}
