//! The work of a node: one block of the plan, by the same trials as `paceline run`.

use std::time::Duration;

use super::{
    Fault, PlanFolder,
    node::{claim, given_name, host_name, unique_name},
    part::{Attempt, attempts},
    roles,
};
use crate::{
    record::Cell,
    run::{Order, in_trials},
    session::Session,
};
use paceline_core::{clock::now, interrupt::interrupted, process::Program};

/// How long a block waits at least for another one on its node: the default time of a block.
const LEAST_WAIT: Duration = Duration::from_mins(10);

/// How the work on a block ended.
pub enum Worked {
    /// It is complete now.
    Done(Vec<Cell>),
    /// This node generated load, and the server's node has the results.
    Generated,
    /// It had been complete before.
    Before,
    /// It was interrupted, and this attempt does not count.
    Interrupted,
}

/// Works on a block of `plan`, as the node `node` if that is given. In a load between nodes the name decides the role.
///
/// # Errors
///
/// Returns a fault if this program is not the plan's, or nothing could be measured or written.
pub fn work(
    plan: &PlanFolder,
    block: &str,
    node: Option<&str>,
    program: Program,
) -> Result<Worked, Fault> {
    let block = plan.block(block)?;
    plan.check_build()?;
    let given = given_name(node);
    if let Some(load) = &plan.plan.load {
        return roles::work(plan, load, block, &given.unwrap_or_else(host_name), program);
    }
    let name = given.unwrap_or_else(unique_name);
    let is_done = || !attempts(plan, &block.id).0.is_empty();
    if is_done() {
        return Ok(Worked::Before);
    }
    let limit = Duration::from_secs_f64(plan.plan.block_seconds()).max(LEAST_WAIT);
    let _alone = claim(&name, None, limit)?;
    // What it waited for may have been the same block.
    if is_done() {
        return Ok(Worked::Before);
    }
    if interrupted() {
        return Ok(Worked::Interrupted);
    }
    let start = now();
    let attempt = Attempt::begin(plan, &block.id, &name, vec![])?;
    let mut writer = attempt.writer()?;
    let mut session = Session::start(program, &attempt.node().models)?;
    session.node = Some(name);
    if plan.plan.pin {
        session.pin_hosts()?;
    }
    let (workloads, choice) = plan.cells_of(block);
    let order = Order {
        workloads: workloads.to_vec(),
        models: plan.models.clone(),
        choice,
        passes: block.pass..block.pass + 1,
        budget: Duration::from_secs_f64(plan.plan.budget_seconds),
        seed: block.seed,
        pin: plan.plan.pin,
        to_the_limit: false,
        results: plan.dir.clone(),
    };
    let left = || order.budget.saturating_sub(now() - start);
    let cells = in_trials(&order, &mut session, &mut writer, None, &left)?;
    if interrupted() {
        return Ok(Worked::Interrupted);
    }
    attempt.complete((now() - start).as_secs_f64())?;
    Ok(Worked::Done(cells))
}
