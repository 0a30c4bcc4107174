//! Plans the cells: which there are, the least time of each, and which cannot run at all.

use std::time::Duration;

use crate::{
    machine::{Limits, cores, refusal},
    output::count,
    record::{Cell, Estimate, State, Trial, not_refuted},
};
use paceline_core::{
    clock::nanoseconds,
    job::{Addresses, Demand, Workload, bounds},
    models::{Entry, Width},
    perform::Placement,
    protocol::CellSpec,
};

/// A cell to be measured.
#[derive(Clone, Copy)]
pub struct Planned<'a> {
    /// The workload of its jobs.
    pub workload: &'a Workload,
    /// The model that runs them.
    pub entry: &'static Entry,
    /// The worker count.
    pub workers: Option<usize>,
    /// Where the jobs are offered from.
    pub placement: Placement,
    /// The number of jobs in a batch.
    pub scale: usize,
}

/// With fewer jobs, a batch's fixed costs outweigh those per job.
pub(crate) const FEW: usize = 100;

/// The selection of cells. An empty list means all, or the definition's own values.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Scales.
    pub scales: Vec<usize>,
    /// Worker counts.
    pub workers: Vec<usize>,
    /// A placement.
    pub placement: Option<Placement>,
    /// Whether models are ranked together: without a placement, each then gets its jobs from outside if it can.
    pub in_one_class: bool,
}

/// Returns every cell of `workloads` on `models` on this machine, ordered by workload, model, workers and scale.
pub fn cells<'a>(
    workloads: &'a [Workload],
    models: &[&'static Entry],
    choice: &Choice,
) -> Vec<Planned<'a>> {
    cells_on(cores(), workloads, models, choice)
}

/// Returns the same for a machine with this number of `cores`.
pub fn cells_on<'a>(
    cores: usize,
    workloads: &'a [Workload],
    models: &[&'static Entry],
    choice: &Choice,
) -> Vec<Planned<'a>> {
    let mut cells = Vec::new();
    for workload in workloads {
        let scales = if choice.scales.is_empty() { &workload.scales } else { &choice.scales };
        for entry in models {
            let wanted = match &choice.workers[..] {
                [] => entry.info.workers(&workload.workers.on(cores)),
                asked => asked.iter().copied().map(Some).collect(),
            };
            let can = entry.info.placements;
            let together = choice.in_one_class && can.contains(&Placement::Outside);
            let own = if together { Placement::Outside } else { can[0] };
            let placement = choice.placement.unwrap_or(own);
            for workers in wanted {
                let cell =
                    |scale: &usize| Planned { workload, entry, workers, placement, scale: *scale };
                cells.extend(scales.iter().map(cell));
            }
        }
    }
    cells
}

impl Planned<'_> {
    /// Returns the setting that the model cannot honour, if there is one.
    pub fn cannot_honour(&self) -> Option<String> {
        let about = &self.entry.info;
        let asked = self.workers.unwrap_or(0);
        match about.width {
            Width::One if asked != 1 => {
                return Some(format!("{} has one worker and cannot have {asked}", about.name));
            }
            Width::PerTask if asked != 0 => {
                return Some(format!(
                    "{} has a thread for each job and no workers to set",
                    about.name
                ));
            }
            _ => {}
        }
        if !about.placements.contains(&self.placement) {
            let can = about.placements.iter().map(Placement::to_string).collect::<Vec<_>>();
            let (name, cannot, can) = (about.name, self.placement, can.join(" or "));
            return Some(format!("{name} cannot be offered jobs {cannot}, only {can}"));
        }
        None
    }

    /// Returns the name, as in criterion: `cpu/tokio@1/100`.
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.workload.name, self.series(), self.scale)
    }

    /// Returns the name in words: `cpu on tokio at 100`.
    pub fn label(&self) -> String {
        format!("{} on {} at {}", self.workload.name, self.entry.info.name, self.scale)
    }

    /// Returns the model, with its workers if the workload has several worker counts.
    pub fn series(&self) -> String {
        let several = self.workload.workers != paceline_core::job::Workers::Cores;
        match self.workers {
            Some(workers) if several => format!("{}@{workers}", self.entry.info.name),
            _ => self.entry.info.name.into(),
        }
    }

    fn identity(&self) -> (&str, &str, usize, Option<usize>, Placement) {
        let (workload, model) = (&self.workload.name, self.entry.info.name);
        (workload, model, self.scale, self.workers, self.placement)
    }

    /// Returns whether `cell` is the result of this cell.
    pub fn is(&self, cell: &Cell) -> bool {
        let Cell { workload, model, scale, workers, placement, .. } = cell;
        self.identity() == (workload, model, *scale, *workers, *placement)
    }

    /// Returns whether `batch` is a trial of this cell.
    pub fn is_of(&self, batch: &Trial) -> bool {
        let Trial { workload, model, scale, workers, placement, .. } = batch;
        self.identity() == (workload, model, *scale, *workers, *placement)
    }

    /// Returns why it cannot run, if it cannot.
    pub fn refusal(&self, limits: &Limits, unavailable: Option<&String>) -> Option<String> {
        let about = &self.entry.info;
        self.cannot_honour()
            .or_else(|| unavailable.cloned())
            .or_else(|| about.unsupported_step(self.workload))
            .or_else(|| self.no_room())
            .or_else(|| refusal(limits, about, self.workload, self.scale, self.lanes()))
    }

    /// Returns why its jobs cannot be members of one room, or wait for each other, if they cannot.
    fn no_room(&self) -> Option<String> {
        let what = match () {
            () if self.workload.has("connect.room") => "a room needs all its members at once",
            () if self.workload.has("park") => "park needs all jobs at once",
            () => return None,
        };
        let (scale, lanes) = (self.scale, self.lanes());
        if lanes < scale {
            let name = self.entry.info.name;
            let help = match self.entry.info.width {
                Width::Any => format!(": give it --workers {scale}, or a smaller --scale"),
                _ => String::new(),
            };
            let [jobs, lanes] = [scale, lanes].map(count);
            return Some(format!("{what}, {jobs} here, and {name} has {lanes} in flight{help}"));
        }
        if !self.workload.has("connect.room") {
            return None;
        }
        let nth = self.workload.every.as_ref().map_or(usize::MAX, |(nth, _)| *nth);
        (scale > nth).then(|| {
            let [nth, jobs] = [nth, scale].map(count);
            format!("a room has one speaker, and one in {nth} of {jobs} jobs says something: let every.nth be {scale} or more")
        })
    }

    /// Returns the maximum concurrency of its jobs.
    fn lanes(&self) -> usize {
        let workers = self.workers.unwrap_or(self.scale).max(1);
        if self.entry.info.holds_worker() { workers.min(self.scale) } else { self.scale }
    }

    /// Returns the least time of a batch, by the definition, the model's maximum concurrency and this machine's cores.
    /// A round of `compute` takes `compute_ns` in Rust; in another language, the time that its interpreter has
    /// measured.
    pub fn bound(&self, compute_ns: f64) -> Duration {
        let (workload, scale, lanes) = (self.workload, self.scale, self.lanes());
        let waits = if lanes == scale {
            workload.critical_path_wait(scale)
        } else {
            workload.over_all(scale, |demand: Demand| demand.serial) / lanes as u32
        };
        let rounds =
            workload.over_all(scale, |demand| Duration::from_nanos(demand.compute)).as_nanos();
        let (cpus, round_ns) = self.computes(compute_ns);
        let work = Duration::from_nanos((rounds as f64 * round_ns / cpus as f64) as u64);
        if lanes == 1 { waits + work } else { waits.max(work) }
    }

    /// Returns on how many cores its jobs can compute at once, and the time of a round there: `compute_ns` in Rust; in
    /// another language, what its interpreter has measured.
    fn computes(&self, compute_ns: f64) -> (usize, f64) {
        let (about, scale) = (&self.entry.info, self.scale);
        let hello = about.foreign.and_then(|foreign| foreign.found(about.name).hello.ok());
        // Offloaded work may use every core; the rest is limited to the workers.
        let anywhere = self.workload.has("offload") && self.lanes() == scale;
        let width = if anywhere { usize::MAX } else { self.workers.unwrap_or(scale).max(1) };
        let width = if hello.as_ref().is_some_and(|hello| !hello.parallel) { 1 } else { width };
        let cpus = cores().min(width).min(scale.saturating_mul(tasks(self.workload)));
        (cpus, hello.map_or(compute_ns, |hello| hello.compute_ns))
    }

    /// Returns the most requests a second that it can answer as a server with as many connections as its scale, if
    /// `offered` a second are sent: by that rate, by how many can wait at once, and by this machine's cores. Infinite if
    /// nothing bounds it.
    pub fn bound_under_load(&self, compute_ns: f64, offered: f64) -> f64 {
        let usual = Demand::of(&self.workload.job);
        let mean = |of: fn(&Demand) -> f64| match &self.workload.every {
            Some((nth, steps)) => {
                let share = 1.0 / *nth as f64;
                of(&usual) * (1.0 - share) + of(&Demand::of(steps)) * share
            }
            None => of(&usual),
        };
        let (cpus, round_ns) = self.computes(compute_ns);
        let waits = mean(|one| one.floor.as_secs_f64());
        let work = mean(|one| one.compute as f64) * round_ns / 1e9;
        offered.min(self.lanes() as f64 / waits).min(cpus as f64 / work)
    }

    /// Predicts the time of a batch from that bound and from a smaller scale of the same series.
    pub fn predict(&self, compute_ns: f64, smaller: Option<(usize, Duration)>) -> Duration {
        let bound = self.bound(compute_ns);
        let Some((scale, took)) = smaller else { return bound };
        let over = took.saturating_sub(Planned { scale, ..*self }.bound(compute_ns));
        let times = self.scale as f64 / scale as f64;
        // The time of few jobs above the bound, such as a wake-up or a tick of the timer, is mostly the same for many.
        // The warm-up batch will show it.
        bound + over.mul_f64(if scale < FEW { times.sqrt() } else { times })
    }

    /// Returns the cell in the form that its host takes.
    pub fn for_host(&self, servers: &Addresses) -> CellSpec {
        CellSpec {
            model: self.entry.info.name.into(),
            workers: self.workers,
            placement: self.placement,
            workload: self.workload.name.clone(),
            source: self.workload.source.clone(),
            scale: self.scale,
            servers: servers.clone(),
            listen: None,
        }
    }

    /// Returns the most jobs a second by this machine's `compute` speed. `None` if the definition bounds nothing, or if
    /// `fastest_ns`, a batch of the fastest trial, is shorter: a figure over 2 % above its bound refutes the bound.
    pub fn bound_per_second(&self, compute_ns: f64, fastest_ns: Option<f64>) -> Option<f64> {
        let bound = self.bound(compute_ns).as_secs_f64();
        let most = (bound > 0.0).then(|| self.scale as f64 / bound)?;
        self.unless_refuted(most, fastest_ns)
    }

    /// Returns `most`, a bound in jobs a second, unless a batch was faster by more than 2 %.
    pub(crate) fn unless_refuted(&self, most: f64, fastest_ns: Option<f64>) -> Option<f64> {
        not_refuted(most, fastest_ns.map(|ns| self.scale as f64 * 1e9 / ns))
    }

    /// Returns the cell of the record, with the reason why it has no figure.
    pub fn cell_with_reason(&self, state: State, reason: impl Into<String>) -> Cell {
        Cell { reason: Some(reason.into()), ..self.cell_with_time(state, None, String::new()) }
    }

    /// Returns the cell of the record, skipped for `reason`: its trials take at least the time `predicted`.
    pub fn cell_without_time(&self, predicted: Duration, reason: String) -> Cell {
        let predicted_ns = Some(nanoseconds(predicted));
        Cell { predicted_ns, ..self.cell_with_reason(State::Skipped, reason) }
    }

    /// Returns the cell of the record, with the time of a batch.
    pub fn cell_with_time(
        &self,
        state: State,
        batch_ns: Option<Estimate>,
        interval: String,
    ) -> Cell {
        let Planned { workload, entry, workers, placement, scale } = *self;
        Cell {
            jobs_per_second: batch_ns.map(|batch| batch.per_second(scale)),
            batch_ns,
            interval: batch_ns.map(|_| interval),
            floor_ns: nanoseconds(workload.critical_path_wait(scale)),
            ..Cell::new(&workload.name, entry.info.name, scale, workers, placement, state)
        }
    }
}

/// Returns the scale that a climb takes after this one: twice as many. `None` beyond the greatest there is.
pub fn next_scale(scale: usize) -> Option<usize> {
    Some(scale.saturating_mul(2)).filter(|next| *next as u64 <= bounds::SCALE.most)
}

/// Returns how many cores one job can use at once.
fn tasks(workload: &Workload) -> usize {
    usize::try_from(workload.demand().tasks).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::{models, workloads};

    #[test]
    fn a_bound_that_a_figure_passes_by_more_than_2_percent_is_not_shown() {
        let workload = [workloads::find("cpu").unwrap()];
        let choice = Choice { scales: vec![10], in_one_class: true, ..Choice::default() };
        let planned = cells(&workload, &[models::find("tokio").unwrap()], &choice)[0];
        assert_eq!(planned.placement, Placement::Outside, "one class for all that can");
        let bound_ns = planned.bound(1.0).as_nanos() as f64;
        let shown = |share: f64| planned.bound_per_second(1.0, Some(bound_ns * share)).is_some();
        assert_eq!([1.5, 0.99, 0.97].map(shown), [true, true, false]);
    }

    #[test]
    fn a_server_is_bound_by_the_offered_rate_by_its_connections_and_by_the_cores() {
        let bound = |text: &str, connections: usize, offered: f64| {
            let text = format!("name = \"s\"\njob = [{text}");
            let workload = [Workload::parse("s", &text).unwrap()];
            let choice = Choice { scales: vec![connections], ..Choice::default() };
            let tokio = [models::find("tokio").unwrap()];
            cells(&workload, &tokio, &choice)[0].bound_under_load(1.0, offered)
        };
        let close = |seen: f64, wanted: f64| assert!((seen / wanted - 1.0).abs() < 1e-9, "{seen}");
        close(bound("{ sleep = \"5ms\" }]", 10, 500.0), 500.0);
        // Ten connections whose requests take 5 ms: 2 000 a second, however many are sent.
        close(bound("{ sleep = \"5ms\" }]", 10, f64::INFINITY), 2000.0);
        // One request in four waits for 25 ms: 10 ms in the mean.
        let mixed = "{ sleep = \"5ms\" }]\nevery = { nth = 4, job = [{ sleep = \"25ms\" }] }";
        close(bound(mixed, 10, f64::INFINITY), 1000.0);
        // A round takes a nanosecond here, so a request 0.1 ms of a core.
        let cpus = cores().min(1000) as f64;
        close(bound("{ compute = 100_000 }]", 1000, f64::INFINITY), cpus * 10_000.0);
        assert!(bound("{ yield = 1 }]", 10, f64::INFINITY).is_infinite());
    }

    /// Returns what `of` says of the cell of a job on a model.
    fn planned<T>(
        job: &str,
        (model, workers): (&str, usize),
        scale: usize,
        of: impl Fn(Planned<'_>) -> T,
    ) -> T {
        let text = format!("name = \"s\"\njob = [{job}]");
        let workload = [Workload::parse("s", &text).unwrap()];
        let choice = Choice { scales: vec![scale], workers: vec![workers], ..Choice::default() };
        of(cells(&workload, &[models::find(model).unwrap()], &choice)[0])
    }

    #[test]
    fn a_batch_takes_its_waits_in_turns_of_as_many_as_wait_at_once_or_its_work() {
        const MS: Duration = Duration::from_millis(1);
        let bound =
            |job: &str, on: (&str, usize), scale| planned(job, on, scale, |cell| cell.bound(2.0));
        let (sleep, work) = ("{ sleep = \"6ms\" }", "{ compute = 500_000 }");
        let both = format!("{sleep}, {work}");
        assert_eq!(bound(sleep, ("tokio", 1), 10), 6 * MS);
        // A thread of a pool is held by its sleeping job: ten jobs on two threads take five turns.
        assert_eq!(bound(sleep, ("pool", 2), 10), 30 * MS);
        // A round takes 2 ns here, so a job's work a millisecond. One worker does one after another, while others wait.
        assert_eq!(bound(work, ("tokio", 1), 10), 10 * MS);
        assert_eq!(bound(work, ("tokio", 2), 10), 10 * MS / cores().min(2) as u32);
        assert_eq!(bound(&both, ("tokio", 1), 10), 10 * MS);
        assert_eq!(bound(&both, ("tokio", 1), 2), 6 * MS);
        assert_eq!(bound(&both, ("pool", 1), 10), 70 * MS);
    }

    #[test]
    fn offloaded_work_and_children_may_use_every_core_and_a_job_alone_one() {
        let cpus = |job: &str, workers, scale| {
            planned(job, ("tokio", workers), scale, |cell| cell.computes(1.0).0)
        };
        let work = "{ compute = 100 }";
        assert_eq!(cpus(work, 1, 100), 1);
        assert_eq!(cpus(work, 64, 1), 1);
        assert_eq!(cpus("{ offload = [{ compute = 100 }] }", 1, 1000), cores().min(1000));
        let children = "{ gather = { width = 8, of = [{ compute = 100 }] } }";
        assert_eq!(cpus(children, 64, 1), cores().min(8));
        let rate = |round_ns| {
            planned(work, ("tokio", 1), 100, |cell| cell.bound_under_load(round_ns, f64::INFINITY))
        };
        assert!((rate(2.0) / rate(1.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_a_smaller_scale_took_above_its_bound_grows_with_scale() {
        const MS: Duration = Duration::from_millis(1);
        let predict = |smaller| {
            planned("{ compute = 1_000_000 }", ("tokio", 1), 400, |cell| cell.predict(1.0, smaller))
        };
        // A job is a millisecond of work. 100 jobs took 9 ms more than that: 400 take 36 ms more. 25 jobs are few.
        assert_eq!(predict(None), 400 * MS);
        assert_eq!(predict(Some((100, 109 * MS))), 436 * MS);
        let of_few = predict(Some((25, 34 * MS)));
        assert!(
            of_few.abs_diff(436 * MS) < MS / 1000,
            "16 times as many take four times as long: {of_few:?}"
        );
        let nothing =
            planned("{ yield = 1 }", ("tokio", 1), 10, |cell| cell.bound_per_second(1.0, None));
        assert_eq!(nothing, None, "nothing bounds it");
    }
}
