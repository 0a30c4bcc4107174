//! Measures the chosen cells: refuses, skips, warms up, and lets criterion time what is left.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    time::{Duration, Instant},
};

use criterion::{
    AxisScale, BenchmarkGroup, BenchmarkId, Criterion, PlotConfiguration, SamplingMode, Throughput,
    measurement::WallTime,
};

use super::{Options, Profile};
use crate::{
    job::Workload,
    measure::{Host, HostError, Program, now},
    models::Entry,
    plan::{Choice, Planned, cells},
    record::{Cell, State, Writer, criterion_home, read_criterion},
    report::{long, rounds_of},
    session::{Session, ended_by},
    start::{Settings, begin},
};

/// What came of it.
pub(super) struct Outcome {
    pub(super) cells: Vec<Cell>,
    pub(super) folder: PathBuf,
    pub(super) report: PathBuf,
}

/// criterion takes at least so many samples.
const SAMPLES: u32 = 10;
/// How long criterion warms up: a little, for the attested round came before it.
const WARM_UP: Duration = Duration::from_millis(20);
/// A cell may take so many times its equal share of the time left: most cells take less than theirs.
const OVERDRAFT: u32 = 4;

/// What a cell costs besides its rounds, and how long its samples last at least.
#[derive(Clone, Copy)]
struct Pace {
    overhead: Duration,
    least: Duration,
}

impl Pace {
    fn of(options: &Options) -> Self {
        let millis = Duration::from_millis;
        match options.profile {
            // Without plots.
            Profile::Quick => Pace { overhead: millis(50), least: millis(50) },
            Profile::Default => Pace { overhead: millis(180), least: millis(120) },
            Profile::Full => Pace { overhead: millis(180), least: millis(500) },
        }
    }

    /// What every cell is meant to have.
    fn base(self) -> Duration {
        self.overhead + self.least + WARM_UP * 2
    }

    /// What the next of `ahead` cells may take: more than its equal share, but not what the others need at least.
    fn share(self, left: Duration, ahead: usize) -> Duration {
        let ahead = u32::try_from(ahead.max(1)).unwrap_or(u32::MAX);
        let equal = left / ahead;
        let spare = left.saturating_sub(self.base() * (ahead - 1));
        (equal * OVERDRAFT).min(spare).max(equal).min(left)
    }

    /// Why rounds of this length do not fit into `share`, if so.
    fn over(self, round: Duration, share: Duration) -> Option<String> {
        // The attested round, one of criterion's own warm-up, and one for each sample.
        let rounds = SAMPLES + 2;
        let needs = round.saturating_mul(rounds).saturating_add(self.overhead);
        let (needed, has) = (long(needs), long(share));
        (needs > share).then(|| {
            format!(
                "{} take {needed}, and its share of the budget is {has}",
                rounds_of(rounds, round)
            )
        })
    }
}

/// The cells that the filter and the profile choose.
pub(super) fn chosen<'a>(
    workloads: &'a [Workload],
    models: &[&'static Entry],
    options: &Options,
) -> Vec<Planned<'a>> {
    let mut all = cells(workloads, models, &Choice::default());
    all.retain(|cell| options.profile.scales(&cell.workload.scales).contains(&cell.scale));
    all.retain(|cell| options.matches(&cell.name()));
    all
}

/// Measures `chosen`, and keeps the record.
pub(super) fn measure(
    workloads: &[Workload],
    models: &[&'static Entry],
    chosen: &[Planned<'_>],
    options: &Options,
    program: Program,
) -> Result<Outcome, String> {
    let start = now();
    let settings = Settings {
        instrument: "criterion",
        budget: options.budget,
        seed: None,
        more: vec![
            ("profile", options.profile.name().into()),
            ("filter", options.filter_text.clone().into()),
            ("samples", SAMPLES.into()),
        ],
    };
    let run = begin(&settings, models, workloads);
    let mut suite = Suite {
        writer: Writer::create(&options.results, &run)?,
        session: Session::start(program, &run.models)?,
        deadline: start + options.budget,
        home: criterion_home(&env::current_exe().map_err(|error| error.to_string())?),
        pace: Pace::of(options),
        test: options.test,
        cells: Vec::new(),
    };
    // criterion's verdict on changes compares single processes, between which most of the noise lies: it is told to
    // leave all but gross ones alone. `paceline gate` is for that.
    let mut criterion = Criterion::default()
        .sample_size(SAMPLES as usize)
        .nresamples(10_000)
        .noise_threshold(0.5)
        .warm_up_time(WARM_UP)
        .output_directory(&suite.home)
        .configure_from_args();
    if options.profile == Profile::Quick {
        criterion = criterion.without_plots();
    }
    for of_workload in chosen.chunk_by(|a, b| a.workload.name == b.workload.name) {
        let mut group = criterion.benchmark_group(&of_workload[0].workload.name);
        group
            .sampling_mode(SamplingMode::Flat)
            .plot_config(PlotConfiguration::default().summary_scale(AxisScale::Logarithmic));
        for series in of_workload.chunk_by(|a, b| a.series() == b.series()) {
            let ahead = chosen.len() - suite.cells.len();
            suite.series(&mut group, series, ahead)?;
        }
        group.finish();
    }
    criterion.final_summary();
    let report = suite.home.join("report").join("index.html");
    Ok(Outcome { folder: suite.writer.folder().to_owned(), cells: suite.cells, report })
}

struct Suite {
    session: Session,
    writer: Writer,
    deadline: Instant,
    home: PathBuf,
    pace: Pace,
    test: bool,
    cells: Vec<Cell>,
}

/// What one model at ascending scales carries from cell to cell.
#[derive(Default)]
struct Series {
    /// Its process, as long as it lives.
    host: Option<Host>,
    /// The last scale, and what a round of it took.
    smaller: Option<(usize, Duration)>,
}

impl Suite {
    /// Measures one model at ascending scales, in one process as long as it lives.
    fn series(
        &mut self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        cells: &[Planned<'_>],
        ahead: usize,
    ) -> Result<(), String> {
        let mut series = Series::default();
        for (index, planned) in cells.iter().enumerate() {
            let left = self.deadline.saturating_duration_since(now());
            let share = self.pace.share(left, ahead - index);
            let cell = self.cell(group, planned, &mut series, share);
            self.writer.write(&cell)?;
            self.cells.push(cell);
        }
        Ok(())
    }

    fn cell(
        &mut self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        planned: &Planned<'_>,
        series: &mut Series,
        share: Duration,
    ) -> Cell {
        if let Some(why) = self.session.refusal(planned) {
            return planned.ended(State::Refused, why);
        }
        let predicted = planned.predict(self.session.compute_ns, series.smaller);
        if let Some(why) = self.pace.over(predicted, share) {
            return planned.ended(State::Skipped, format!("predicted: {why}"));
        }
        let outcome = self.timed(group, planned, series, share);
        outcome.unwrap_or_else(|error| {
            series.host = None;
            ended_by(planned, &error)
        })
    }

    fn timed(
        &mut self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        planned: &Planned<'_>,
        series: &mut Series,
        share: Duration,
    ) -> Result<Cell, HostError> {
        let patience = share.saturating_mul(3) + Duration::from_secs(10);
        let host = match &mut series.host {
            Some(host) => host,
            none => none.insert(self.session.host(planned)?),
        };
        let attest = self.session.warm_up(host, planned, patience)?;
        let mut round = Duration::from_nanos(attest.elapsed_ns);
        if self.pace.over(round, share).is_some() && round * 2 < share {
            // The first round is cold: a second one is the better witness.
            let (times, _) = host.rounds(1, patience)?;
            round = times.into_iter().sum::<Duration>().min(round);
        }
        series.smaller = Some((planned.scale, round));
        if let Some(why) = self.pace.over(round, share) {
            return Ok(planned.ended(State::Skipped, format!("warmed up: {why}")));
        }
        let before = self.session.mark(planned.workload.demand().connects > 0)?;
        group
            .throughput(Throughput::Elements(planned.scale as u64))
            .measurement_time((round * SAMPLES).max(self.pace.least));
        let (mut rounds, mut total, mut cpu_ns) = (0_u64, Duration::ZERO, 0_u64);
        let id = BenchmarkId::new(planned.series(), planned.scale);
        // criterion has no way for a benchmark to fail: a fault unwinds through it, without a panic's message.
        catch_unwind(AssertUnwindSafe(|| {
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|count| match host.rounds(count, patience) {
                    Ok((times, used)) => {
                        rounds += count;
                        cpu_ns += used.cpu_ns();
                        let elapsed = times.iter().sum();
                        total += elapsed;
                        elapsed
                    }
                    Err(error) => resume_unwind(Box::new(error)),
                });
            });
        }))
        .map_err(|fault| match fault.downcast::<HostError>() {
            Ok(error) => *error,
            Err(other) => resume_unwind(other),
        })?;
        let (server, _) = self.session.since(&before)?;
        let jobs = rounds as f64 * planned.scale as f64;
        series.smaller =
            Some((planned.scale, total / u32::try_from(rounds.max(1)).unwrap_or(u32::MAX)));
        let bound = planned.bound(self.session.compute_ns).as_secs_f64();
        let found = if self.test {
            None
        } else {
            let scale = planned.scale.to_string();
            let read =
                read_criterion(&self.home, &planned.workload.name, &planned.series(), &scale);
            Some(read.map_err(|why| HostError::Died(format!("criterion left no result: {why}")))?)
        };
        let interval = "95 % bootstrap interval of criterion's mean, within one process".into();
        let round_ns = found.as_ref().map(|found| found.mean_ns);
        Ok(Cell {
            attest: Some(attest),
            bound_jobs_per_second: (bound > 0.0).then(|| planned.scale as f64 / bound),
            rounds_ns: vec![],
            criterion: found,
            cpu_ns_per_job: Some(cpu_ns as f64 / jobs),
            server_cpu_ns_per_job: Some(server.as_nanos() as f64 / jobs),
            ..planned.measured(State::Ok, round_ns, interval)
        })
    }
}
