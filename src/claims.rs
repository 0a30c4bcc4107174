//! The claims instrument: each claim of the concurrency tutorial as an experiment, on every model.
//!
//! A model's experiments share a host, which is fresh for each repetition. Intervals are over processes; pure functions
//! beside each experiment judge the figures.

mod connections;
mod cpu;
mod ending;
mod experiment;
mod in_progress;
mod kind;
mod looping;
mod making;
mod runner;
mod simple;
mod waiting;

pub use experiment::{EXPERIMENTS, Experiment, OF_EACH_KIND, find};
pub use kind::Kind;

use std::{path::PathBuf, time::Duration};

use crate::{
    output::Progress,
    record::{CLAIMS_SCHEMA, Claims, Estimate, Run, check_writable, write_claims},
    run::shuffled,
    session::Session,
    start::{Settings, begin},
};
use in_progress::{ClaimsInProgress, subjects};
use paceline_core::{clock::now, interrupt::interrupted, models::Entry, process::Program};
use runner::{BaselineTimes, ClaimRunner};

/// Processes of each experiment on each model.
pub const REPETITIONS: u32 = 5;
/// The default budget, which is enough for all of them on 2 CPUs.
pub const BUDGET: &str = "3m";

/// The settings of the experiments.
pub struct Order {
    /// The claims.
    pub experiments: Vec<&'static Experiment>,
    /// Whether slow experiments run on all of `models`.
    pub everywhere: bool,
    /// The models.
    pub models: Vec<&'static Entry>,
    /// The time for all of them.
    pub budget: Duration,
    /// The folder for records.
    pub results: PathBuf,
}

/// The result of all experiments.
pub struct Outcome {
    /// The record.
    pub claims: Claims,
    /// The folder of the record.
    pub folder: PathBuf,
}

/// Runs every experiment on every model, repetition after repetition, so that a short budget cuts off the last
/// repetitions of all. The whole record is written after each model of each repetition.
pub fn run(order: &Order, program: Program) -> Result<Outcome, String> {
    let start = now();
    check_writable(&order.results)?;
    let head = head(order);
    let folder = order.results.join(&head.id);
    let session = Session::start(program, &head.models)?;
    let mut bases = BaselineTimes::default();
    let subjects = subjects(&order.experiments, &order.models, order.everywhere);
    let open = |of| ClaimsInProgress::new(of, &order.experiments, order.everywhere);
    let mut going: Vec<ClaimsInProgress> = subjects.iter().map(open).collect();
    let left = || order.budget.saturating_sub(now() - start);
    let mut progress = Progress::start(going.iter().map(ClaimsInProgress::todo).sum());
    for repetition in 0..REPETITIONS {
        for index in shuffled(going.len(), u64::from(repetition)) {
            let mut runner =
                ClaimRunner::new(&session, &mut bases, &left, subjects[index], repetition);
            runner.thorough = order.everywhere && repetition == 0;
            let is_over = left().is_zero();
            going[index].repeat(&mut runner, &mut |what| progress.show(what, left()));
            // After the budget nothing new is measured, and each writing waits for the disk: one follows at the end.
            if is_over {
                continue;
            }
            write_claims(&folder, &claims(order, &head, &going, (now() - start).as_secs_f64()))?;
            progress.left(going.iter().map(ClaimsInProgress::todo).sum());
        }
        if interrupted() {
            break;
        }
    }
    progress.end();
    let claims = claims(order, &head, &going, (now() - start).as_secs_f64());
    write_claims(&folder, &claims)?;
    Ok(Outcome { claims, folder })
}

fn head(order: &Order) -> Run {
    let names: Vec<_> = order.experiments.iter().map(|experiment| experiment.name).collect();
    let settings = Settings {
        instrument: "claims",
        budget: order.budget,
        seed: None,
        more: vec![("claims", names.into())],
    };
    begin(&settings, &order.models, &[])
}

fn claims(order: &Order, head: &Run, going: &[ClaimsInProgress], seconds: f64) -> Claims {
    Claims {
        schema: CLAIMS_SCHEMA,
        id: head.id.clone(),
        started: head.started.clone(),
        command: head.command.clone(),
        budget_seconds: head.budget_seconds,
        seconds,
        repetitions: REPETITIONS,
        interval: Estimate::interval_of(REPETITIONS as usize),
        fingerprint: head.fingerprint.clone(),
        build: head.build.clone(),
        models: head.models.clone(),
        interrupted: interrupted(),
        claims: in_progress::judged(&order.experiments, going),
    }
}
