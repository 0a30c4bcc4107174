//! criterion's files, which are officially private: read here and nowhere else, for the pinned version 0.8.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Estimate;

/// What criterion found for a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Criterion {
    /// Its identifier, `workload/model/scale`.
    pub id: String,
    /// The mean batch, in nanoseconds, with its 95 % bootstrap interval.
    pub mean_ns: Estimate,
    /// The median.
    pub median_ns: Estimate,
    /// The regression's slope; `None` in flat sampling.
    pub slope_ns: Option<Estimate>,
    /// The standard deviation of a batch.
    pub std_dev_ns: f64,
    /// `Flat` or `Linear`.
    pub sampling_mode: String,
    /// Trials in each sample.
    pub iterations: Vec<f64>,
    /// Nanoseconds of each sample.
    pub times_ns: Vec<f64>,
}

#[derive(Deserialize)]
struct Estimates {
    mean: Statistic,
    median: Statistic,
    slope: Option<Statistic>,
    std_dev: Statistic,
}

#[derive(Deserialize)]
struct Statistic {
    confidence_interval: Interval,
    point_estimate: f64,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

#[derive(Deserialize)]
struct Sample {
    sampling_mode: String,
    iters: Vec<f64>,
    times: Vec<f64>,
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
    directory_name: String,
}

impl From<Statistic> for Estimate {
    fn from(statistic: Statistic) -> Self {
        Estimate {
            value: statistic.point_estimate,
            lower: statistic.confidence_interval.lower_bound,
            upper: statistic.confidence_interval.upper_bound,
        }
    }
}

/// Where criterion keeps its files: `CRITERION_HOME`, or `criterion` in the target folder that the program at
/// `program` was built into.
#[must_use]
pub fn criterion_home(program: &Path) -> PathBuf {
    if let Some(home) = env::var_os("CRITERION_HOME") {
        return home.into();
    }
    // target/release/deps/suite-0123456789abcdef
    let deps = program.ancestors().find(|folder| folder.ends_with("deps"));
    let target = deps.and_then(Path::parent).and_then(Path::parent);
    target.unwrap_or(Path::new("target")).join("criterion")
}

/// What criterion wrote of `workload/model/scale` under `home`.
///
/// # Errors
///
/// Returns a sentence where its files are not there or not of the known shape.
pub fn read_criterion(
    home: &Path,
    group: &str,
    function: &str,
    value: &str,
) -> Result<Criterion, String> {
    let folder =
        [group, function, value].iter().fold(home.to_owned(), |f, part| f.join(part)).join("new");
    let benchmark: Benchmark = read(&folder.join("benchmark.json"))?;
    let estimates: Estimates = read(&folder.join("estimates.json"))?;
    let sample: Sample = read(&folder.join("sample.json"))?;
    if benchmark.full_id != format!("{group}/{function}/{value}") {
        return Err(format!("{} is of {}", benchmark.directory_name, benchmark.full_id));
    }
    Ok(Criterion {
        id: benchmark.full_id,
        mean_ns: estimates.mean.into(),
        median_ns: estimates.median.into(),
        slope_ns: estimates.slope.map(Estimate::from),
        std_dev_ns: estimates.std_dev.point_estimate,
        sampling_mode: sample.sampling_mode,
        iterations: sample.iters,
        times_ns: sample.times,
    })
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}
