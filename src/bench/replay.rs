//! criterion's part. It runs in processes of its own, is given the samples that were measured, and analyses, compares and
//! plots them as its users know it; what it prints goes to a file.

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

/// The variable that makes this program criterion's process; it says whether there are plots.
const PLOTS: &str = "PACELINE_CRITERION_PLOTS";

/// A benchmark as criterion names it, and what was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Benchmark {
    pub(super) group: String,
    pub(super) function: String,
    pub(super) scale: usize,
    /// Nanoseconds of a batch.
    pub(super) samples_ns: Vec<u64>,
}

/// What criterion is given, and how.
pub(super) struct Replay<'a> {
    pub(super) program: &'a Path,
    pub(super) plots: bool,
    /// Whether its results are shown too.
    pub(super) verbose: bool,
    /// Where its lines are kept.
    pub(super) log: PathBuf,
}

impl Replay<'_> {
    /// Lets criterion analyse `benchmarks`, with this process's arguments, and returns its report.
    ///
    /// # Errors
    ///
    /// Returns the sentence to show where it fails.
    pub(super) fn run(&self, benchmarks: &[Benchmark]) -> Result<PathBuf, String> {
        let failed = |why: String| {
            format!("criterion has no report: {why}; what it said is in {}", self.log.display())
        };
        // Each core has workloads of its own to analyse, and then one process makes the index of all.
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
            // It reads all before it writes anything. Where it has ended already, its status says more.
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

/// Is criterion's process, where this one was started to be that.
pub(crate) fn child() -> Option<ExitCode> {
    let plots = env::var(PLOTS).ok()? == "1";
    let done = serde_json::from_reader(io::stdin().lock())
        .map_err(|error| error.to_string())
        .and_then(|benchmarks: Vec<Benchmark>| {
            let program = env::current_exe().map_err(|error| error.to_string())?;
            // criterion pools what processes of two runs found, and calls more changes than there are: it is told to
            // leave all but gross ones alone. `paceline gate` is for changes.
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
    // Nothing is measured here: criterion asks for samples and has them at once.
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
            // The first call is criterion's warm-up; then comes one for each sample, in their order.
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

/// The samples, of which not all are the same and none is nothing: criterion cannot plot those.
fn apart(samples_ns: &[u64]) -> Vec<u64> {
    let mut samples: Vec<u64> = samples_ns.iter().map(|ns| (*ns).max(1)).collect();
    if samples.windows(2).all(|pair| pair[0] == pair[1])
        && let Some(last) = samples.last_mut()
    {
        *last += 1;
    }
    samples
}

/// Where criterion keeps its files: `CRITERION_HOME`, or `criterion` in the target folder that the program at
/// `program` was built into.
fn criterion_home(program: &Path) -> PathBuf {
    if let Some(home) = env::var_os("CRITERION_HOME") {
        return home.into();
    }
    // target/release/deps/suite-0123456789abcdef
    let deps = program.ancestors().find(|folder| folder.ends_with("deps"));
    let target = deps.and_then(Path::parent).and_then(Path::parent);
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
