//! The work of a node: one block of the plan, by the same trials as `paceline run`.

use std::time::Duration;

use super::{
    Fault, PlanFolder,
    node::node_name,
    part::{Attempt, attempts},
    roles,
};
use crate::{
    record::Cell,
    run::{Order, in_trials},
    session::Session,
};
use paceline_core::{clock::now, interrupt::interrupted, process::Program};

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
    let name = node.map_or_else(node_name, str::to_owned);
    if let Some(load) = &plan.plan.load {
        return roles::work(plan, load, block, &name, program);
    }
    if !attempts(plan, &block.id).0.is_empty() {
        return Ok(Worked::Before);
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
