//! The work of a node: one block of the plan, by the same trials as `paceline run`.

use std::{
    env,
    fs::{File, TryLockError},
    thread,
    time::Duration,
};

use rustix::process::geteuid;

use super::{
    Fault, PlanFolder,
    node::{given_name, host_name, unique_name},
    part::{Attempt, attempts},
    roles,
};
use crate::{
    output::print_note,
    record::Cell,
    run::{Order, in_trials},
    session::Session,
};
use paceline_core::{clock::now, interrupt::interrupted, process::Program};

/// How long a block waits at least for another one on its node: the default time of a block.
const LEAST_WAIT: Duration = Duration::from_mins(10);
/// How often it looks. Looking costs the other block something.
const LOOK: Duration = Duration::from_millis(500);

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
    let _alone = alone(&name, limit)?;
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

/// Waits for `limit` at most until no other worker of this user is on the node `name`, because two blocks at the same
/// time spoil each other's figures: an attempt that was lost may still go on, and two plans may name one host. The node
/// is kept while the returned file lives. `None` if there is no place to note that.
fn alone(name: &str, limit: Duration) -> Result<Option<File>, Fault> {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let path = env::temp_dir().join(format!("paceline-{}-{plain}.lock", geteuid().as_raw()));
    let Ok(node) = File::options().create(true).append(true).open(path) else { return Ok(None) };
    let (deadline, mut is_told) = (now() + limit, false);
    while matches!(node.try_lock(), Err(TryLockError::WouldBlock)) && !interrupted() {
        if now() > deadline {
            return Err(Fault::Failed(format!(
                "another paceline still measures a block on {name}: wait for it or end it, and submit again"
            )));
        }
        if !is_told {
            print_note(&format!("another paceline measures a block on {name}: this one waits for it"));
            is_told = true;
        }
        thread::sleep(LOOK);
    }
    Ok(Some(node))
}
