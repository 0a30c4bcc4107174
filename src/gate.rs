//! The regression gate: measures base and head interleaved, and gives a verdict on each cell.

pub mod build;
mod cell;
mod counts;
mod disturbed;
mod dropped;
mod in_progress;
mod least;
mod margins;
mod measuring_lock;
mod pace;
mod same;
pub mod selftest;
pub mod source;
mod staging;
pub mod starter;
mod standing;
mod subject;
mod trial;

pub use build::{Built, Exit, GateError, note_same_program, two_builds_fit};
pub use counts::AllocationCounters;
pub use least::{Wanted, too_short};
pub use margins::{Margin, MarginOverrides, Margins};
pub(crate) use source::NO_PROJECT;
pub use source::{Project, Source};
pub use subject::{Arm, Subject, default_cells};

use std::{path::PathBuf, time::Duration};

use crate::{
    compare::overall,
    record::{GATE_SCHEMA, Gate, GateTrials, Metric, Run, SameProgram, Side, Writer, write_gate},
    session::Session,
    start::{Settings, begin},
};
use cell::{CellInProgress, Surroundings};
use counts::Counter;
use in_progress::{GateInProgress, Plan};
use measuring_lock::MeasuringLock;
use paceline_core::{
    clock::now, interrupt::interrupted, job::Workload, models::Entry, process::Program,
};
use staging::StagingArea;

/// The settings of a gate.
pub struct Order<'a> {
    /// The cells.
    pub subjects: Vec<Subject<'a>>,
    /// The workloads of the cells, for the record.
    pub workloads: &'a [Workload],
    /// The models of the cells, for the record.
    pub models: Vec<&'static Entry>,
    /// The base, the head, and a second build of the base.
    pub arms: [Arm; 3],
    /// How the base and the head are described.
    pub sides: [Side; 2],
    /// Why base and head are the same program, if they are and the cells have one variant only.
    pub same_program: Option<SameProgram>,
    /// The program that runs the echo server: the same for all sides.
    pub program: Program,
    /// The metrics compared.
    pub metrics: Vec<Metric>,
    /// The programs in which allocations are counted, which are not used without that metric.
    pub allocations: AllocationCounters,
    /// The margins of a change.
    pub margins: Margins,
    /// Further facts for the record, in sentences.
    pub notes: Vec<String>,
    /// The time for the whole gate, without building.
    pub budget: Duration,
    /// Trials of each cell; `None` to derive them from budget and spread.
    pub trials: Option<u32>,
    /// Slices of each side in a trial; `None` to derive them from a pilot. With `trials` too, there is no pilot.
    pub slices: Option<u32>,
    /// Whether cells that are inconclusive at half of the budget get the other half: two looks, declared beforehand.
    pub top_up: bool,
    /// Whether processes are pinned: each to as many CPUs as its cell has workers, of a custom cell to one.
    pub pin: bool,
    /// The seed for the order of cells, processes and slices.
    pub seed: u64,
    /// The time limit of a process for one answer.
    pub patience: Duration,
    /// The folder for records.
    pub results: PathBuf,
}

/// What the record says of pinned processes.
const PINNED: &str = "processes were pinned: each to as many CPUs as its cell has workers, of a cell of your own to one";

/// The result of a gate.
pub struct Outcome {
    /// The gate's record.
    pub gate: Gate,
    /// The folder of the record.
    pub folder: PathBuf,
}

/// Runs the gate. Trials are written to the record as they end.
///
/// # Errors
///
/// Returns the reason if nothing could be judged or recorded: [`Exit::Usage`] if the budget is too short for the fewest
/// trials.
pub fn gate(order: Order<'_>) -> Result<Outcome, GateError> {
    let _turn = MeasuringLock::wait()?;
    let start = now();
    let run = head_of_record(&order);
    let writer = Writer::create(&order.results, &run)?;
    let folder = writer.folder().to_owned();
    let mut session = Session::start(order.program.clone(), &run.models)?;
    if order.pin {
        session.pin_hosts()?;
    }
    let mut trials = GateTrials::create(&folder)?;
    let Order { subjects, metrics, margins, budget, top_up, seed, arms, patience, .. } = order;
    let counter = Counter::new(&arms, order.allocations, patience);
    let cells = subjects
        .into_iter()
        .map(|subject| CellInProgress::new(subject, &metrics, &session))
        .collect();
    let stage = StagingArea::new(&arms);
    let around = Surroundings {
        arms: stage.arms(),
        stage,
        session: &mut session,
        trials: &mut trials,
        seed,
        patience,
    };
    let plan =
        Plan { metrics, margins, budget, trials: order.trials, slices: order.slices, top_up };
    let mut under_way = GateInProgress { start, plan, cells, around, counter };
    let cells = if under_way.cells.is_empty() { vec![] } else { under_way.run()? };
    let enough = cells.is_empty() || under_way.is_enough();
    let (verdict, summary) = overall(&cells, enough, order.same_program.as_ref());
    let [base, head] = order.sides;
    let gate = Gate {
        schema: GATE_SCHEMA,
        id: run.id,
        started: run.started,
        base,
        head,
        fingerprint: run.fingerprint,
        seed,
        pinned: order.pin,
        false_discovery_rate: under_way.plan.rate(),
        seconds: (now() - start).as_secs_f64(),
        interrupted: interrupted(),
        same_program: order.same_program,
        verdict,
        summary,
        notes: order.notes.into_iter().chain(order.pin.then(|| PINNED.to_owned())).collect(),
        cells,
    };
    write_gate(&folder, &gate)?;
    Ok(Outcome { gate, folder })
}

fn head_of_record(order: &Order<'_>) -> Run {
    let metrics: Vec<&str> = order.metrics.iter().map(|metric| metric.name()).collect();
    let settings = Settings {
        instrument: "gate",
        budget: order.budget,
        seed: Some(order.seed),
        more: vec![
            ("metrics", metrics.into()),
            ("trials", order.trials.into()),
            ("top_up", order.top_up.into()),
            ("pin", order.pin.into()),
        ],
    };
    begin(&settings, &order.models, order.workloads)
}
