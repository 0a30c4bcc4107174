//! Load between nodes: the server runs here, and each generator on another node.

use std::{mem, time::Instant};

use super::{Order, bench::Bench, target::Served};
use crate::{
    output::Progress,
    record::{Cell, Hosts},
    session::Session,
};
use paceline_core::{generator::Agent, process::Program};

/// Measures `order` with generators on `agents`, which then wait for what is next, and passes the cells to `write` once
/// all have ended. `hosts` names the nodes. What would end after `deadline` is skipped.
///
/// # Errors
///
/// Returns a sentence if a generator was lost, which makes the load void, or if `write` fails.
pub fn between(
    order: &Order,
    deadline: Option<Instant>,
    (session, program): (Session, Program),
    agents: &mut Vec<Agent>,
    hosts: &Hosts,
    write: &mut dyn FnMut(&Cell) -> Result<(), String>,
) -> Result<Vec<Cell>, String> {
    let requests = order.requests(&order.target);
    let servers = Served::all(order, &order.target, &requests);
    let progress = Progress::start(u64::from(order.trials) * servers.len() as u64);
    let trials = order.trials;
    let taken = mem::take(agents);
    let mut bench = Bench { session, program, order, trials, progress, agents: taken, deadline };
    let mut ended = Vec::new();
    let done = bench.run_trials(&servers, order.drive, &mut |_, cell| {
        ended.push(cell);
        Ok(())
    });
    *agents = mem::take(&mut bench.agents);
    let clock_uncertainty_ns = agents.iter().filter_map(Agent::uncertainty_ns).max();
    // Some containers have a boot id of their own, and some systems none.
    let shared_host = hosts.shared_host || Agent::share_a_clock(agents);
    bench.progress.end();
    done?;
    for cell in &mut ended {
        cell.nodes = vec![hosts.server.clone(); cell.trials()];
        if let Some(load) = &mut cell.load {
            load.hosts = Some(Hosts { shared_host, clock_uncertainty_ns, ..hosts.clone() });
        }
        write(cell)?;
    }
    Ok(ended)
}

/// Returns a failed cell for each server of `order`, with the reason `why`.
#[must_use]
pub fn unmeasured(order: &Order, why: &str) -> Vec<Cell> {
    let requests = order.requests(&order.target);
    let failed = |served: &Served<'_>| {
        served.ended(crate::record::State::Failed, why.to_owned(), order.drive, order)
    };
    Served::all(order, &order.target, &requests).iter().map(failed).collect()
}
