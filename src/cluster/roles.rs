//! The work of a load block: the server's node leads, and each generator's node does what it is told.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
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
    generator::{Agent, Lines},
    interrupt::interrupted,
    network::all_allowed,
    process::Program,
};

/// How long the nodes of a block wait for each other to begin.
const MEETING: Duration = Duration::from_mins(1);
/// How long a connection may take to say who it is.
const GREETING: Duration = Duration::from_secs(2);
/// The longest silence of the leader, which prepares a server between two loads.
const SILENCE: Duration = Duration::from_mins(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Every generator's node, in the order of the plan: its connection and what it is.
type Met = (Vec<Agent>, Vec<Node>);

/// What a generator's node says first, after the token.
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
        Fault::Failed(format!(
            "the server's node {} cannot listen on {at}: {error}; give another --port, or its own address",
            load.server.id
        ))
    })?;
    let Some((agents, nodes)) = meet(plan, load, block, &listener, &token)? else {
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

/// Waits until every generator's node is there. `None` if it is interrupted.
fn meet(
    plan: &PlanFolder,
    load: &LoadPlan,
    block: &Block,
    listener: &TcpListener,
    token: &str,
) -> Result<Option<Met>, Fault> {
    let cannot = |error: io::Error| format!("cannot wait for the generators: {error}");
    listener.set_nonblocking(true).map_err(cannot)?;
    let mut there: Vec<Option<(Agent, Node)>> = load.generators.iter().map(|_| None).collect();
    let deadline = now() + MEETING;
    loop {
        if interrupted() {
            return Ok(None);
        }
        if there.iter().all(Option::is_some) {
            return Ok(Some(there.into_iter().flatten().unzip()));
        }
        if now() > deadline {
            let missing: Vec<&str> = (load.generators.iter().zip(&there))
                .filter_map(|(node, there)| there.is_none().then_some(&*node.id))
                .collect();
            return Err(Fault::Failed(format!(
                "the generators on {} did not come within {} s: start the same block there, and submit again",
                missing.join(", "),
                MEETING.as_secs()
            )));
        }
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(PAUSE);
                continue;
            }
            Err(error) => return Err(cannot(error).into()),
        };
        // Whoever does not know the token, or is of another plan or block, is not answered.
        let Some((lines, hello)) = greeted(stream, token) else { continue };
        if hello.plan != plan.hash || hello.block != block.id {
            continue;
        }
        let place = load.generators.iter().position(|node| node.id == hello.node.id);
        if let Some(place) = place.filter(|place| there[*place].is_none()) {
            there[place] = Some((Agent::new(lines, hello.node.id.clone()), hello.node));
        }
    }
}

/// Reads the token and what comes after it.
fn greeted(mut stream: TcpStream, token: &str) -> Option<(Lines, Hello)> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(GREETING)).ok()?;
    let mut said = [0; TOKEN_BYTES];
    stream.read_exact(&mut said).ok()?;
    if said != token.as_bytes() {
        return None;
    }
    stream.set_read_timeout(None).ok()?;
    let lines = Lines::over(stream).ok()?;
    let (_, line) = lines.line(GREETING, &interrupted).ok()?;
    Some((lines, serde_json::from_str(&line).ok()?))
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
    let deadline = now() + MEETING;
    let mut stream = loop {
        if interrupted() {
            return Ok(Worked::Interrupted);
        }
        match TcpStream::connect_timeout(&at, GREETING) {
            Ok(stream) => break stream,
            Err(error) if now() > deadline => {
                return Err(Fault::Failed(format!(
                    "the server's node {} was not there on {at} within {} s: {error}; start the same block there",
                    load.server.id,
                    MEETING.as_secs()
                )));
            }
            Err(_) => thread::sleep(PAUSE * 5),
        }
    };
    let hello = Hello { plan: plan.hash.clone(), block: block.id.clone(), node: here(Some(name)) };
    let lost = |error: io::Error| format!("the server's node {} is lost: {error}", load.server.id);
    stream.write_all(token.as_bytes()).map_err(lost)?;
    let mut lines = Lines::over(stream).map_err(lost)?;
    lines.say(&hello).map_err(lost)?;
    match lines.work(program, &load.addresses(), SILENCE) {
        Ok(()) => Ok(Worked::Generated),
        Err(_) if interrupted() => Ok(Worked::Interrupted),
        Err(why) => Err(Fault::Failed(format!("{why}; the load is void"))),
    }
}
