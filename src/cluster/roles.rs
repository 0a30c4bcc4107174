//! The work on a load block: the server's node leads, and each generator's node runs an agent.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Block, Fault, PlanFolder, Worked,
    hosts::{LoadPlan, TOKEN_BYTES, token},
    node::here,
    part::{Attempt, attempts},
};
use crate::{
    load::between,
    record::{Hosts, Node},
    session::Session,
};
use paceline_core::{
    clock::now,
    generator::{Agent, AgentError, LeaderMessage, LineConnection},
    interrupt::interrupted,
    network::all_allowed,
    process::Program,
};

/// How long the nodes of a block wait for each other to start.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a new connection has to send its token and its hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an agent waits for the leader, which starts a server between two loads.
const LEADER_TIMEOUT: Duration = Duration::from_mins(10);
/// The pause between two attempts to accept.
const POLL: Duration = Duration::from_millis(20);

/// The connection to each generator's node, and its description, in the order of the plan.
type Generators = (Vec<Agent>, Vec<Node>);

/// The first message of an agent, after the token.
#[derive(Serialize, Deserialize)]
struct Hello {
    plan: String,
    block: String,
    node: Node,
}

/// Does the part of the node `name` in a load block.
pub(super) fn work(
    plan: &PlanFolder,
    load: &LoadPlan,
    block: &Block,
    name: &str,
    program: Program,
) -> Result<Worked, Fault> {
    if name == load.server.id {
        return lead(plan, load, block, program);
    }
    if load.generators.iter().any(|node| node.id == name) {
        return generate(plan, load, block, name, &program);
    }
    let names: Vec<&str> = load.generators.iter().map(|node| &*node.id).collect();
    Err(Fault::Usage(format!(
        "the node {name:?} has no role in this plan: its server is {}, its generators are {}; name one of them with --node",
        load.server.id,
        names.join(", ")
    )))
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
    let at = load.meeting()?;
    let listener = TcpListener::bind(at).map_err(|error| {
        // Exit code 1, so that an engine tries again: a lost attempt may hold the port for a while.
        Fault::Failed(format!(
            "the server's node {} failed to listen on {at}: {error}; make a new plan with another --port, or with an address of this node",
            load.server.id
        ))
    })?;
    let Some((agents, nodes)) = wait_for_generators(plan, load, block, &listener, &token)? else {
        return Ok(Worked::Interrupted);
    };
    drop(listener);
    let attempt = Attempt::begin_with(plan, &block.id, &load.server.id, nodes)?;
    let mut writer = attempt.writer()?;
    let mut session = Session::start(program.clone(), &attempt.node().models)?;
    session.node = Some(load.server.id.clone());
    session.listen = Some(load.listen(token));
    let cores = attempt.node().cores;
    let order = plan.load_order(load, block, cores);
    let hosts = Hosts::of(&attempt.node().node, &attempt.node().generators);
    let cells = between(&order, session, program, agents, &hosts, &mut |cell| writer.write(cell))?;
    if interrupted() {
        return Ok(Worked::Interrupted);
    }
    attempt.complete((now() - start).as_secs_f64())?;
    Ok(Worked::Done(cells))
}

/// Waits until every generator's node has connected. Returns `None` if interrupted.
fn wait_for_generators(
    plan: &PlanFolder,
    load: &LoadPlan,
    block: &Block,
    listener: &TcpListener,
    token: &str,
) -> Result<Option<Generators>, Fault> {
    let cannot = |error: io::Error| format!("failed to wait for the generators: {error}");
    listener.set_nonblocking(true).map_err(cannot)?;
    let mut connected: Vec<Option<(Agent, Node)>> = load.generators.iter().map(|_| None).collect();
    let deadline = now() + START_TIMEOUT;
    loop {
        if interrupted() {
            return Ok(None);
        }
        if connected.iter().all(Option::is_some) {
            return Ok(Some(connected.into_iter().flatten().unzip()));
        }
        if now() > deadline {
            let missing: Vec<&str> = (load.generators.iter().zip(&connected))
                .filter_map(|(node, agent)| agent.is_none().then_some(&*node.id))
                .collect();
            return Err(Fault::Failed(format!(
                "no generator connected from {} within {} s: run the block again on every node at the same time",
                missing.join(", "),
                START_TIMEOUT.as_secs()
            )));
        }
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(POLL);
                continue;
            }
            Err(error) => return Err(cannot(error).into()),
        };
        // A connection without the token gets no answer.
        let Some((mut connection, hello)) = authenticate(stream, token) else { continue };
        let place = load.generators.iter().position(|node| node.id == hello.node.id);
        let refusal = match place {
            _ if hello.plan != plan.hash => {
                Some("it has another plan: copy the plan's folder from there".to_owned())
            }
            _ if hello.block != block.id => {
                Some(format!("it runs block {}: name that one", block.id))
            }
            Some(place) if connected[place].is_some() => {
                Some(format!("another process already runs as {}", hello.node.id))
            }
            Some(_) => None,
            None => Some(format!("its plan has no generator on {}", hello.node.id)),
        };
        match (refusal, place) {
            (None, Some(place)) => {
                let agent = Agent::new(connection, hello.node.id.clone());
                connected[place] = Some((agent, hello.node));
            }
            (why, _) => {
                let _ = connection.send(&LeaderMessage::Refuse(why.unwrap_or_default()));
            }
        }
    }
}

/// Checks the token of a new connection and reads its hello. Returns `None` if either is missing or wrong.
fn authenticate(mut stream: TcpStream, token: &str) -> Option<(LineConnection, Hello)> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(HELLO_TIMEOUT)).ok()?;
    let mut received = [0; TOKEN_BYTES];
    stream.read_exact(&mut received).ok()?;
    if received != token.as_bytes() {
        return None;
    }
    stream.set_read_timeout(None).ok()?;
    let connection = LineConnection::new(stream).ok()?;
    let (_, line) = connection.receive(HELLO_TIMEOUT, &interrupted).ok()?;
    Some((connection, serde_json::from_str(&line).ok()?))
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
    let hello = Hello { plan: plan.hash.clone(), block: block.id.clone(), node: here(Some(name)) };
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
        let _ = connection.send(&hello);
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
                    "failed to connect to the server's node {server} at {at} within {} s: {error}; run the block again on every node at the same time",
                    START_TIMEOUT.as_secs()
                )));
            }
            Err(_) => thread::sleep(POLL * 5),
        }
    }
}
