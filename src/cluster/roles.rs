//! The work on a load block: the server's node leads, and each generator's node runs an agent.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use super::{
    Block, Fault, PlanFolder, Worked,
    hosts::{LoadPlan, PlanNode, token},
    meeting::{HELLO_TIMEOUT, Hello, Meeting, POLL, START_TIMEOUT},
    node::{NodeFile, claim},
    part::{Attempt, attempts},
};
use crate::{
    load::{Order, between},
    record::{Cell, Hosts},
    session::Session,
};
use paceline_core::{
    clock::now,
    generator::{Agent, AgentError, LineConnection},
    interrupt::interrupted,
    network::{Listen, all_allowed},
    process::Program,
};

/// How long an agent waits for the leader, which starts a server between two loads.
const LEADER_TIMEOUT: Duration = Duration::from_mins(10);

/// Does the part of the node `name` in a load block.
pub(super) fn work(
    plan: &PlanFolder,
    load: &LoadPlan,
    block: &Block,
    name: &str,
    program: Program,
) -> Result<Worked, Fault> {
    let load = &load.of(block);
    let leads = name == load.server.id;
    match load.generators.iter().find(|node| node.id == name) {
        _ if leads => {}
        Some(node) => check_address(node)?,
        None => {
            let names: Vec<&str> = load.generators.iter().map(|node| &*node.id).collect();
            return Err(Fault::Usage(format!(
                "the node {name:?} has no role in this plan: its server is {}, its generators are {}; name one of them with --node",
                load.server.id,
                names.join(", ")
            )));
        }
    }
    let _alone = claim(name, Some((plan, block)), START_TIMEOUT)?;
    if interrupted() {
        return Ok(Worked::Interrupted);
    }
    if leads {
        lead(plan, load, block, program)
    } else {
        generate(plan, load, block, name, &program)
    }
}

/// Checks that this machine has the address of `node`: the record would name another than the one that sends. The
/// server's node listens on its own, which shows it.
fn check_address(node: &PlanNode) -> Result<(), Fault> {
    // Some systems have only one address of loopback.
    if node.address.is_loopback() {
        return Ok(());
    }
    let bound = UdpSocket::bind((node.address, 0)).map(drop);
    bound.map_err(|error| {
        let PlanNode { id, address } = node;
        Fault::Usage(format!(
            "this machine does not have {id}'s address {address}: {error}; start this role on {id}, or make a new plan with an address of {id}"
        ))
    })
}

fn lead(
    plan: &PlanFolder,
    load: &LoadPlan,
    block: &Block,
    program: Program,
) -> Result<Worked, Fault> {
    if !attempts(plan, &block.id).0.is_empty() {
        return Ok(Worked::Before);
    }
    let (start, token) = (now(), token(plan)?);
    let meeting = Meeting::open(plan, load, block, &token)?;
    let Some((mut agents, nodes)) = meeting.wait_for_generators()? else {
        return Ok(Worked::Interrupted);
    };
    let doorkeeper = meeting.close()?;
    // The time for a block begins when its nodes have met.
    let budget = Duration::try_from_secs_f64(plan.plan.block_seconds()).ok();
    let deadline = budget.and_then(|budget| now().checked_add(budget));
    let led = Attempt::begin(plan, &block.id, &load.server.id, nodes).and_then(|attempt| {
        let listen = load.listen(token);
        let order = plan.load_order(load, block, attempt.node().cores);
        let cells = measure(&order, deadline, (program, listen), (&attempt, &mut agents))?;
        if interrupted() {
            return Ok(Worked::Interrupted);
        }
        attempt.complete((now() - start).as_secs_f64())?;
        Ok(Worked::Done(cells))
    });
    // Generators may begin the next block as soon as they have heard.
    drop(doorkeeper);
    let void = |why: &str| format!("{why}; the load is void");
    let why = match &led {
        Ok(Worked::Interrupted) => void("it was interrupted there"),
        Err(fault) => void(fault.why()),
        Ok(_) => {
            agents.iter_mut().for_each(Agent::end);
            return led;
        }
    };
    for agent in &mut agents {
        agent.fail(&why);
    }
    led
}

/// Puts load on the block's servers until `deadline`, and writes their cells to the attempt.
fn measure(
    order: &Order,
    deadline: Option<Instant>,
    (program, listen): (Program, Listen),
    (attempt, agents): (&Attempt, &mut Vec<Agent>),
) -> Result<Vec<Cell>, Fault> {
    let mut writer = attempt.writer()?;
    let NodeFile { node, generators, models, .. } = attempt.node();
    let mut session = Session::start(program.clone(), models)?;
    session.node = Some(node.id.clone());
    session.listen = Some(listen);
    let (hosts, of) = (Hosts::of(node, generators), (session, program));
    Ok(between(order, deadline, of, agents, &hosts, &mut |cell| writer.write(cell))?)
}

fn generate(
    plan: &PlanFolder,
    load: &LoadPlan,
    block: &Block,
    name: &str,
    program: &Program,
) -> Result<Worked, Fault> {
    // Where the nodes share a folder: the leader has nothing to do either.
    if !attempts(plan, &block.id).0.is_empty() {
        return Ok(Worked::Before);
    }
    let token = token(plan)?;
    let at = load.meeting()?;
    all_allowed(&load.addresses(), &[at]).map_err(Fault::Usage)?;
    // Before it connects: the leader does not wait long for it.
    let hello = Hello::here(plan, block, name);
    let server = &load.server.id;
    let lost = |error: io::Error| format!("the server's node {server} was lost: {error}");
    // A leader that rejects the token still accepts connections, and one that has died does not.
    let mut was_rejected = false;
    loop {
        let Some(mut stream) = connect(at, server, was_rejected)? else {
            return Ok(Worked::Interrupted);
        };
        // If a write fails, the leader has closed the connection, and the agent finds it closed.
        let _ = stream.write_all(token.as_bytes());
        let mut connection = LineConnection::new(stream).map_err(lost)?;
        let _ = connection.send(&hello.clone().with_time());
        return match connection.run_agent(program, &load.addresses(), LEADER_TIMEOUT) {
            Ok(()) => Ok(Worked::Generated),
            Err(_) if interrupted() => Ok(Worked::Interrupted),
            Err(AgentError::NotAccepted) if !was_rejected => {
                was_rejected = true;
                continue;
            }
            Err(AgentError::NotAccepted) => Err(Fault::Usage(format!(
                "the server's node {server} closed the connection without an answer: copy the plan's folder with its token from there"
            ))),
            Err(AgentError::Refused(why)) => Err(Fault::Usage(format!(
                "the server's node {server} refused this generator: {why}"
            ))),
            Err(AgentError::Ended(why)) => Err(Fault::Failed(format!(
                "the server's node {server} ended this generator: {why}"
            ))),
            Err(AgentError::Failed(why)) => Err(Fault::Failed(format!("{why}; the load is void"))),
        };
    }
}

/// Connects to the leader, which may start later unless it was `seen` before. Returns `None` if interrupted.
fn connect(at: SocketAddr, server: &str, seen: bool) -> Result<Option<TcpStream>, Fault> {
    let deadline = now() + START_TIMEOUT;
    loop {
        if interrupted() {
            return Ok(None);
        }
        match TcpStream::connect_timeout(&at, HELLO_TIMEOUT) {
            Ok(stream) => return Ok(Some(stream)),
            Err(error) if seen => {
                return Err(Fault::Failed(format!(
                    "the server's node {server} was lost before the load: {error}; run the block again on every node at the same time"
                )));
            }
            Err(error) if now() > deadline => {
                return Err(Fault::Failed(format!(
                    "cannot connect to the server's node {server} at {at} within {} s: {error}; run the block again on every node at the same time",
                    START_TIMEOUT.as_secs()
                )));
            }
            Err(_) => thread::sleep(POLL * 5),
        }
    }
}
