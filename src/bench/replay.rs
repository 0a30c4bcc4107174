//! Replays the measured samples in criterion, in separate processes, which analyse, compare and plot them as usual; its
//! output goes to a file.

use std::{
    env,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use criterion::{AxisScale, BenchmarkId, Criterion, PlotConfiguration, SamplingMode, Throughput};
use serde::{Deserialize, Serialize};

use crate::{machine::cores, output::print_error};

/// The variable that makes this program criterion's process; its value says whether to plot.
const PLOTS: &str = "PACELINE_CRITERION_PLOTS";

/// A benchmark under criterion's name, with its samples.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Benchmark {
    pub(super) group: String,
    pub(super) function: String,
    pub(super) scale: usize,
    /// The samples in nanoseconds per batch.
    pub(super) samples_ns: Vec<u64>,
}

/// The input of criterion, and its settings.
pub(super) struct Replay<'a> {
    pub(super) program: &'a Path,
    pub(super) plots: bool,
    /// Whether its results are shown too.
    pub(super) verbose: bool,
    /// The file for its output.
    pub(super) log: PathBuf,
}

impl Replay<'_> {
    /// Lets criterion analyse `benchmarks`, with this process's arguments, and returns its report.
    pub(super) fn run(&self, benchmarks: &[Benchmark]) -> Result<PathBuf, String> {
        let failed = |why: String| {
            format!("criterion has no report: {why}; its output is in {}", self.log.display())
        };
        // Each core analyses its own workloads, then one process creates the index of all.
        let mut parts: Vec<Vec<&Benchmark>> = vec![vec![]; cores()];
        for (at, of_group) in benchmarks.chunk_by(|a, b| a.group == b.group).enumerate() {
            parts[at % cores()].extend(of_group);
        }
        parts.retain(|part| !part.is_empty());
        File::create(&self.log)
            .and_then(|log| {
                self.exchange(&log, &parts).and_then(|()| self.exchange(&log, &[vec![]]))
            })
            .map_err(|error| failed(error.to_string()))?;
        Ok(criterion_home(self.program).join("report/index.html"))
    }

    /// Starts a process for each part, and waits for all of them.
    fn exchange(&self, log: &File, parts: &[Vec<&Benchmark>]) -> io::Result<()> {
        let start = |part: &Vec<&Benchmark>| {
            let output = if self.verbose { Stdio::inherit() } else { log.try_clone()?.into() };
            let mut child = Command::new(self.program)
                .args(env::args_os().skip(1))
                .env(PLOTS, if self.plots { "1" } else { "0" })
                .stdin(Stdio::piped())
                .stdout(output)
                .stderr(log.try_clone()?)
                .spawn()?;
            // It reads all input before it writes. If it has ended already, its status says more.
            let _ = child.stdin.take().map(|input| serde_json::to_writer(input, part));
            Ok(child)
        };
        let children: Vec<io::Result<Child>> = parts.iter().map(start).collect();
        let ended = children.into_iter().map(|child| child.and_then(|mut child| child.wait()));
        // All are waited for before the first failure counts.
        for status in ended.collect::<Vec<_>>() {
            let status = status?;
            if !status.success() {
                return Err(io::Error::other(format!("it ended with {status}")));
            }
        }
        Ok(())
    }
}

/// Runs criterion if this process was started for it.
pub(crate) fn child() -> Option<ExitCode> {
    let plots = env::var(PLOTS).ok()? == "1";
    let done = serde_json::from_reader(io::stdin().lock())
        .map_err(|error| error.to_string())
        .and_then(|benchmarks: Vec<Benchmark>| {
            let program = env::current_exe().map_err(|error| error.to_string())?;
            // criterion pools the processes of two runs, and reports more changes than there are. Its thresholds are
            // set to ignore all but gross ones: use `paceline gate` for changes.
            let criterion = Criterion::default()
                .nresamples(10_000)
                .noise_threshold(0.5)
                .output_directory(&criterion_home(&program))
                .configure_from_args();
            analyse(&benchmarks, if plots { criterion } else { criterion.without_plots() });
            Ok(())
        });
    Some(done.map_or_else(
        |why| {
            print_error(&why);
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    ))
}

fn analyse(benchmarks: &[Benchmark], mut criterion: Criterion) {
    // Nothing is measured here: criterion gets its samples immediately.
    const AT_ONCE: Duration = Duration::from_nanos(1);
    for of_group in benchmarks.chunk_by(|a, b| a.group == b.group) {
        let mut group = criterion.benchmark_group(&of_group[0].group);
        group
            .sampling_mode(SamplingMode::Flat)
            .plot_config(PlotConfiguration::default().summary_scale(AxisScale::Logarithmic))
            .warm_up_time(AT_ONCE)
            .measurement_time(AT_ONCE);
        for benchmark in of_group {
            let samples = apart(&benchmark.samples_ns);
            // The first call is criterion's warm-up; one call for each sample follows, in order.
            let mut next = samples.iter().cycle().skip(samples.len() - 1);
            group
                .throughput(Throughput::Elements(benchmark.scale as u64))
                .sample_size(samples.len());
            let id = BenchmarkId::new(&benchmark.function, benchmark.scale);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|count| {
                    let sample = next.next().copied().unwrap_or(1);
                    Duration::from_nanos(sample.saturating_mul(count))
                });
            });
        }
        group.finish();
    }
    if benchmarks.is_empty() {
        criterion.final_summary();
    }
}

/// Returns the samples, changed so that not all are equal and none is 0: criterion cannot plot those.
fn apart(samples_ns: &[u64]) -> Vec<u64> {
    let mut samples: Vec<u64> = samples_ns.iter().map(|ns| (*ns).max(1)).collect();
    if samples.windows(2).all(|pair| pair[0] == pair[1])
        && let Some(last) = samples.last_mut()
    {
        *last += 1;
    }
    samples
}

/// Returns criterion's folder: `CRITERION_HOME`, or `criterion` in the target folder that contains `program`.
fn criterion_home(program: &Path) -> PathBuf {
    if let Some(home) = env::var_os("CRITERION_HOME") {
        return home.into();
    }
    // target/release/paceline
    let target = program.parent().and_then(Path::parent);
    target.unwrap_or(Path::new("target")).join("criterion")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criterion_keeps_exactly_the_samples_that_it_was_given_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let benchmark = |scale: usize, samples_ns: &[u64]| Benchmark {
            group: "sleep".into(),
            function: "tokio".into(),
            scale,
            samples_ns: samples_ns.to_vec(),
        };
        let given: Vec<u64> = (100..110).collect();
        let twelve: Vec<u64> = (1..=12).map(|ms| ms * 1_000_000).collect();
        let benchmarks = [benchmark(1, &given), benchmark(10, &twelve), benchmark(100, &[7; 10])];
        analyse(&benchmarks, Criterion::default().output_directory(folder.path()).without_plots());
        let kept = |scale: usize| {
            let path = folder.path().join(format!("sleep/tokio/{scale}/new/sample.json"));
            let sample: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            let numbers = |key: &str| {
                sample[key].as_array().unwrap().iter().map(|n| n.as_f64().unwrap() as u64).collect()
            };
            let (iterations, times): (Vec<u64>, Vec<u64>) = (numbers("iters"), numbers("times"));
            assert!(iterations.iter().all(|count| *count == 1), "{iterations:?}");
            times
        };
        assert_eq!((kept(1), kept(10)), (given, twelve));
        assert_eq!(kept(100), [7, 7, 7, 7, 7, 7, 7, 7, 7, 8]);
    }
}
