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

use super::{
    Options, Profile,
    known::{Known, predicted},
    order::{Place, Waiting, fits, next, places},
};
use crate::{
    plan::{Choice, Planned, cells},
    record::{Cell, State, Writer, criterion_home, read_criterion},
    report::{batches_of, long},
    session::{Session, ended_by},
    start::{Settings, begin},
};
use paceline_core::{
    clock::now,
    job::Workload,
    models::Entry,
    process::{HostError, Program},
};

/// What came of it.
pub(super) struct Outcome {
    /// In the order of the plan.
    pub(super) cells: Vec<Cell>,
    pub(super) folder: PathBuf,
    pub(super) report: PathBuf,
}

/// criterion takes at least so many samples.
const SAMPLES: u32 = 10;
/// How long criterion warms up: a little, for the attested batch came before it.
const WARM_UP: Duration = Duration::from_millis(20);
/// How long a host may take beyond three times what was predicted before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a cell costs besides its batches, and how long its samples last at least.
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

    /// The time that a cell takes whose batches are of this length: the attested batch, one of criterion's own warm-up,
    /// and one for each sample, or as many as `least` has room for.
    fn need(self, batch: Duration) -> Duration {
        let sampled = batch.saturating_mul(SAMPLES).max(self.least);
        let warm = batch.saturating_mul(2).max(WARM_UP);
        self.overhead.saturating_add(warm).saturating_add(sampled)
    }

    /// The measurement time to tell criterion, which batches up to whole batches in each sample. Half of what slow batches
    /// take makes that one batch each, also where the next ones are up to twice as quick as the first.
    fn measurement(self, batch: Duration) -> Duration {
        (batch.saturating_mul(SAMPLES) / 2).max(self.least)
    }

    /// Why batches of this length, seen or predicted, do not fit where `left` is left.
    fn over(self, seen: bool, batch: Duration, left: Duration) -> String {
        let (needed, left) = (long(self.need(batch)), long(left));
        let batches = batches_of(SAMPLES + 2, batch);
        let by = if seen { "warmed up" } else { "predicted" };
        format!(
            "{by}: {batches} take {needed}, and with all quicker cells that is more than the {left} left"
        )
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
    };
    // Cells of all workloads take turns, and a criterion has one group at a time: so there is one for each workload.
    let of_workloads: Vec<&[Planned<'_>]> =
        chosen.chunk_by(|a, b| a.workload.name == b.workload.name).collect();
    let mut criterions: Vec<Criterion> =
        of_workloads.iter().map(|_| suite.criterion(options)).collect();
    let group = |(criterion, cells): (_, &&[Planned<'_>])| {
        let mut group = Criterion::benchmark_group(criterion, &cells[0].workload.name);
        group
            .sampling_mode(SamplingMode::Flat)
            .plot_config(PlotConfiguration::default().summary_scale(AxisScale::Logarithmic));
        group
    };
    let mut groups: Vec<_> = criterions.iter_mut().zip(&of_workloads).map(group).collect();
    let cells = suite.all(chosen, &mut groups)?;
    groups.into_iter().for_each(BenchmarkGroup::finish);
    // It makes the index of all that lies in the folder.
    if let Some(criterion) = criterions.first() {
        criterion.final_summary();
    }
    Ok(Outcome {
        folder: suite.writer.folder().to_owned(),
        report: suite.home.join("report/index.html"),
        cells,
    })
}

struct Suite {
    writer: Writer,
    session: Session,
    deadline: Instant,
    home: PathBuf,
    pace: Pace,
    test: bool,
}

/// What is known of one workload on one model with one number of workers.
#[derive(Default)]
struct Series {
    known: Vec<Known>,
    /// The greatest scale that has been measured.
    greatest: Option<usize>,
}

/// What a visit of a cell came to.
enum Visit {
    Ended(Box<Cell>),
    /// Its warm-up took so long that it does not fit for now.
    Slow(Duration),
}

impl Suite {
    fn criterion(&self, options: &Options) -> Criterion {
        // criterion's verdict on changes compares single processes, between which most of the noise lies: it is told to
        // leave all but gross ones alone. `paceline gate` is for that.
        let criterion = Criterion::default()
            .sample_size(SAMPLES as usize)
            .nresamples(10_000)
            .noise_threshold(0.5)
            .warm_up_time(WARM_UP)
            .output_directory(&self.home)
            .configure_from_args();
        if options.profile == Profile::Quick { criterion.without_plots() } else { criterion }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(now())
    }

    /// Measures all cells, coarse to fine. `groups` has one for each workload. Returns the cells in the order of the
    /// plan; they are recorded in the order in which they end.
    fn all(
        &mut self,
        chosen: &[Planned<'_>],
        groups: &mut [BenchmarkGroup<'_, WallTime>],
    ) -> Result<Vec<Cell>, String> {
        let places = places(chosen);
        let mut series: Vec<Series> = vec![];
        series.resize_with(places.last().map_or(0, |place| place.series + 1), Series::default);
        let mut slow = vec![false; chosen.len()];
        let mut ended: Vec<Option<Cell>> = vec![None; chosen.len()];
        for (planned, ended) in chosen.iter().zip(&mut ended) {
            if let Some(why) = self.session.refusal(planned) {
                *ended = Some(self.ends(planned.ended(State::Refused, why))?);
            }
        }
        loop {
            let open = places.iter().filter(|place| ended[place.index].is_none());
            let waiting: Vec<Waiting> =
                open.map(|place| self.waiting(&chosen[place.index], place, &series)).collect();
            let greatest: Vec<_> = series.iter().map(|series| series.greatest).collect();
            let Some(cell) = next(&waiting, &greatest, self.left()) else {
                for cell in waiting {
                    let (planned, series) = (&chosen[cell.index], &series[cell.series]);
                    let batch = predicted(planned, self.session.compute_ns, &series.known);
                    let why = self.pace.over(slow[cell.index], batch, self.left());
                    ended[cell.index] = Some(self.ends(planned.ended(State::Skipped, why))?);
                }
                return Ok(ended.into_iter().flatten().collect());
            };
            let (planned, place) = (&chosen[cell.index], &places[cell.index]);
            let of = &mut series[place.series];
            match self.visit(&mut groups[place.workload], planned, of, cell, &waiting) {
                Visit::Slow(batch) if slow[cell.index] => {
                    let why = self.pace.over(true, batch, self.left());
                    ended[cell.index] = Some(self.ends(planned.ended(State::Skipped, why))?);
                }
                Visit::Slow(_) => slow[cell.index] = true,
                Visit::Ended(of_record) => {
                    of.greatest = of.greatest.max(Some(cell.scale));
                    ended[cell.index] = Some(self.ends(*of_record)?);
                }
            }
        }
    }

    /// The cell at `place`, with what it needs as far as its series shows.
    fn waiting(&self, planned: &Planned<'_>, place: &Place, series: &[Series]) -> Waiting {
        let known = &series[place.series].known;
        let need = self.pace.need(predicted(planned, self.session.compute_ns, known));
        Waiting { index: place.index, series: place.series, scale: planned.scale, need }
    }

    fn ends(&mut self, cell: Cell) -> Result<Cell, String> {
        self.writer.write(&cell)?;
        Ok(cell)
    }

    /// Measures `planned` in a process of its own, if its warm-up shows that it fits.
    fn visit(
        &mut self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        planned: &Planned<'_>,
        series: &mut Series,
        cell: Waiting,
        waiting: &[Waiting],
    ) -> Visit {
        let patience = cell.need.saturating_mul(3) + PATIENCE;
        let fits = |suite: &Self, batch| {
            fits(waiting, cell, suite.pace.need(batch).saturating_sub(batch), suite.left())
        };
        self.timed(group, planned, series, patience, fits)
            .unwrap_or_else(|error| Visit::Ended(Box::new(ended_by(planned, &error))))
    }

    fn timed(
        &mut self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        planned: &Planned<'_>,
        series: &mut Series,
        patience: Duration,
        fits: impl Fn(&Self, Duration) -> bool,
    ) -> Result<Visit, HostError> {
        let mut host = self.session.host(planned)?;
        let attest = self.session.warm_up(&mut host, planned, patience)?;
        let mut batch = Duration::from_nanos(attest.elapsed_ns);
        if !fits(self, batch) && batch * 2 < self.left() {
            // The first batch is cold: a second one is the better witness.
            let (times, _) = host.batches(1, patience)?;
            batch = times.into_iter().sum::<Duration>().min(batch);
        }
        if !fits(self, batch) {
            series.learn(Known { scale: planned.scale, batch, cpu_ns: (0.0, 0.0) });
            return Ok(Visit::Slow(batch));
        }
        let before = self.session.mark(planned.workload.demand().connects > 0)?;
        group
            .throughput(Throughput::Elements(planned.scale as u64))
            .measurement_time(self.pace.measurement(batch));
        let (mut batches, mut total, mut cpu_ns) = (0_u64, Duration::ZERO, 0_u64);
        let id = BenchmarkId::new(planned.series(), planned.scale);
        // criterion has no way for a benchmark to fail: a fault unwinds through it, without a panic's message.
        catch_unwind(AssertUnwindSafe(|| {
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|count| match host.batches(count, patience) {
                    Ok((times, used)) => {
                        batches += count;
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
        let jobs = batches as f64 * planned.scale as f64;
        let cpu_ns = (cpu_ns as f64 / jobs, server.as_nanos() as f64 / jobs);
        let batch = total / u32::try_from(batches.max(1)).unwrap_or(u32::MAX);
        series.learn(Known { scale: planned.scale, batch, cpu_ns });
        let found = if self.test {
            None
        } else {
            let scale = planned.scale.to_string();
            let read =
                read_criterion(&self.home, &planned.workload.name, &planned.series(), &scale);
            Some(read.map_err(|why| HostError::Died(format!("criterion left no result: {why}")))?)
        };
        let interval = "95 % bootstrap interval of criterion's mean, within one process".into();
        let batch_ns = found.as_ref().map(|found| found.mean_ns);
        Ok(Visit::Ended(Box::new(Cell {
            attest: Some(attest),
            bound_jobs_per_second: planned.bound_per_second(self.session.compute_ns, batch_ns),
            trials_ns: vec![],
            criterion: found,
            cpu_ns_per_job: Some(cpu_ns.0),
            server_cpu_ns_per_job: Some(cpu_ns.1),
            ..planned.measured(State::Ok, batch_ns, interval)
        })))
    }
}

impl Series {
    fn learn(&mut self, known: Known) {
        self.known.retain(|other| other.scale != known.scale);
        self.known.push(known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_batches_are_sampled_once_each_and_quick_ones_for_the_least_time() {
        let pace = Pace { overhead: Duration::from_millis(100), least: Duration::from_millis(120) };
        let ms = Duration::from_millis;
        assert_eq!(pace.measurement(ms(1)), ms(120));
        // criterion: batches in a sample = ceil(measurement / 10 / batch).
        for (first, next) in [(300, 300), (300, 160), (300, 900), (2000, 1900)] {
            let a_sample = pace.measurement(ms(first)).as_secs_f64() / 10.0;
            assert!((a_sample / ms(next).as_secs_f64()).ceil() <= 1.0, "{first} {next}");
        }
        assert_eq!(pace.need(ms(1000)), ms(100 + 12 * 1000));
        assert_eq!(pace.need(ms(1)), ms(100 + 20 + 120));
    }
}
