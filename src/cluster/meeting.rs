//! Where the nodes of a load block meet: the server's node listens on the plan's port, lets in each generator once, and
//! tells everybody else with the token why not.

use std::{
    io::{self, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Block, Fault, PlanFolder,
    hosts::{LoadPlan, TOKEN_BYTES},
    node::here,
};
use crate::record::Node;
use paceline_core::{
    clock::{now, wall},
    generator::{Agent, LeaderMessage, LineConnection},
    interrupt::interrupted,
};

/// How long the nodes of a block wait for each other to start.
pub(super) const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a new connection has to send its token and its hello.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause between two attempts to accept.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// The connection to each generator's node, and its description, in the order of the plan.
pub(super) type Generators = (Vec<Agent>, Vec<Node>);

/// The first message of an agent, after the token.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    plan: String,
    block: String,
    node: Node,
    /// Its wall clock.
    #[serde(default)]
    wall: Option<Duration>,
}

impl Hello {
    /// Describes this node as `name`, for the block.
    pub(super) fn here(plan: &PlanFolder, block: &Block, name: &str) -> Self {
        let node = here(name);
        Hello { plan: plan.hash.clone(), block: block.id.clone(), node, wall: None }
    }

    /// Reads the wall clock, just before it is sent.
    pub(super) fn with_time(mut self) -> Self {
        self.wall = Some(wall());
        self
    }
}

/// Who may come in.
struct Guests {
    plan: String,
    block: String,
    generators: Vec<String>,
    token: String,
}

impl Guests {
    /// Returns a generator that came, and its place in the plan. Tells any other with the token why it may not come in;
    /// without the token, nobody gets an answer.
    fn let_in(
        &self,
        stream: TcpStream,
        is_taken: impl Fn(usize) -> bool,
    ) -> Option<(usize, Agent, Node)> {
        let (mut connection, hello) = authenticate(stream, &self.token)?;
        let Hello { node, .. } = &hello;
        let place = self.generators.iter().position(|id| *id == node.id);
        let answer = match place {
            _ if hello.plan != self.plan => LeaderMessage::Refuse(
                "it has another plan: copy the plan's folder from there".into(),
            ),
            _ if hello.block != self.block => {
                LeaderMessage::Fail(format!("it runs block {}: name that one, or wait", self.block))
            }
            None => LeaderMessage::Refuse(format!("its plan has no generator on {}", node.id)),
            Some(place) if is_taken(place) => LeaderMessage::Fail(format!(
                "another process already runs block {} as {}: wait for it, or end it",
                self.block, node.id
            )),
            Some(place) => {
                let ahead = hello.wall.map(|theirs| theirs.as_secs_f64() - wall().as_secs_f64());
                let node = Node { clock_ahead_seconds: ahead.map(f64::round), ..hello.node };
                return Some((place, Agent::new(connection, node.id.clone()), node));
            }
        };
        let _ = connection.send(&answer);
        None
    }
}

/// Checks the token of a new connection and reads its hello. Returns `None` if either is missing or wrong.
fn authenticate(mut stream: TcpStream, token: &str) -> Option<(LineConnection, Hello)> {
    stream.set_nonblocking(false).ok()?;
    let deadline = now() + HELLO_TIMEOUT;
    let (mut received, mut has) = ([0; TOKEN_BYTES], 0);
    while has < TOKEN_BYTES {
        // One that sends a byte now and then must not hold up the others. No time left is an error.
        stream.set_read_timeout(Some(deadline.saturating_duration_since(now()))).ok()?;
        has += stream.read(&mut received[has..]).ok().filter(|count| *count > 0)?;
    }
    if received != token.as_bytes() {
        return None;
    }
    stream.set_read_timeout(None).ok()?;
    let connection = LineConnection::new(stream).ok()?;
    let (_, line) = connection.receive(HELLO_TIMEOUT, &interrupted).ok()?;
    Some((connection, serde_json::from_str(&line).ok()?))
}

/// The place of a block, before its load.
pub(super) struct Meeting {
    at: SocketAddr,
    listener: TcpListener,
    guests: Guests,
}

impl Meeting {
    /// Listens on the plan's port.
    ///
    /// # Errors
    ///
    /// Returns a fault if the port is taken.
    pub(super) fn open(
        plan: &PlanFolder,
        load: &LoadPlan,
        block: &Block,
        token: &str,
    ) -> Result<Self, Fault> {
        let (at, server) = (load.meeting()?, &load.server.id);
        let listener = TcpListener::bind(at).map_err(|error| {
            // Exit code 1, so that an engine tries again: a lost attempt may hold the port for a while.
            Fault::Failed(format!(
                "the server's node {server} cannot listen on {at}: {error}; make a new plan with another --port, or with an address of this node"
            ))
        })?;
        let guests = Guests {
            plan: plan.hash.clone(),
            block: block.id.clone(),
            generators: load.generators.iter().map(|node| node.id.clone()).collect(),
            token: token.to_owned(),
        };
        Ok(Meeting { at, listener, guests })
    }

    /// Waits until every generator's node has connected. Returns `None` if interrupted.
    pub(super) fn wait_for_generators(&self) -> Result<Option<Generators>, Fault> {
        let mut came: Vec<Option<(Agent, Node)>> =
            self.guests.generators.iter().map(|_| None).collect();
        let waited = self.wait(&mut came);
        let why = match &waited {
            Ok(true) => return Ok(Some(came.into_iter().flatten().unzip())),
            Ok(false) => "it was interrupted there".to_owned(),
            Err(fault) => fault.why().to_owned(),
        };
        for (agent, _) in came.iter_mut().flatten() {
            agent.fail(&why);
        }
        waited.map(|_| None)
    }

    /// Returns whether all have come; `false` if interrupted.
    fn wait(&self, came: &mut [Option<(Agent, Node)>]) -> Result<bool, Fault> {
        let cannot = |error: io::Error| format!("cannot wait for the generators: {error}");
        self.listener.set_nonblocking(true).map_err(cannot)?;
        let deadline = now() + START_TIMEOUT;
        loop {
            if interrupted() {
                return Ok(false);
            }
            // One that has ended meanwhile makes room for the next.
            for place in &mut *came {
                place.take_if(|(agent, _)| agent.is_gone());
            }
            if came.iter().all(Option::is_some) {
                return Ok(true);
            }
            if now() > deadline {
                let missing: Vec<&str> = (self.guests.generators.iter().zip(&*came))
                    .filter_map(|(id, agent)| agent.is_none().then_some(&**id))
                    .collect();
                return Err(Fault::Failed(format!(
                    "no generator connected from {} within {} s: run the block again on every node at the same time",
                    missing.join(", "),
                    START_TIMEOUT.as_secs()
                )));
            }
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let is_taken = |place: usize| came[place].is_some();
                    if let Some((place, agent, node)) = self.guests.let_in(stream, is_taken) {
                        came[place] = Some((agent, node));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(POLL),
                Err(error) => return Err(cannot(error).into()),
            }
        }
    }

    /// Tells everybody who comes from now on that the block is under way, without costing the load anything meanwhile.
    pub(super) fn close(self) -> Result<Doorkeeper, Fault> {
        let cannot = |error: io::Error| format!("cannot keep the port: {error}");
        let Meeting { at, listener, guests } = self;
        listener.set_nonblocking(false).map_err(cannot)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let keep = move || {
            while let Ok((stream, _)) = listener.accept() {
                if ends.load(Relaxed) {
                    break;
                }
                guests.let_in(stream, |_| true);
            }
        };
        let thread = thread::Builder::new().name("doorkeeper".into()).spawn(keep);
        Ok(Doorkeeper { at, is_over, thread: Some(thread.map_err(cannot)?) })
    }
}

/// Keeps the port while the load runs. Dropping it frees the port.
pub(super) struct Doorkeeper {
    at: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Doorkeeper {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        // A connection wakes the thread that accepts.
        let woken = TcpStream::connect_timeout(&self.at, HELLO_TIMEOUT);
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_connection_that_sends_its_token_slowly_does_not_hold_the_others_up() {
        let (token, node) = ("0123456789abcdef".repeat(2), here("b"));
        let hello = Hello { plan: String::new(), block: String::new(), node, wall: None };
        let (own, hello) = (token.clone(), serde_json::to_string(&hello).unwrap() + "\n");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut slow = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let sender = thread::spawn(move || {
            for byte in own.bytes() {
                slow.write_all(&[byte])?;
                thread::sleep(HELLO_TIMEOUT / 8);
            }
            slow.write_all(hello.as_bytes())
        });
        assert!(authenticate(listener.accept().unwrap().0, &token).is_none());
        let _ = sender.join();
    }

    #[test]
    fn who_may_not_come_in_is_told_why_and_whether_another_attempt_may_succeed() {
        let guests = Guests {
            plan: "plan".into(),
            block: "0001".into(),
            generators: vec!["b".into(), "c".into()],
            token: "0123456789abcdef".repeat(2),
        };
        let come = |plan: &str, block: &str, id: &str, is_taken: bool| {
            let (plan, block) = (plan.into(), block.into());
            let hello = Hello { plan, block, node: here(id), wall: None };
            let hello = serde_json::to_string(&hello).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            stream.write_all(format!("{}{hello}\n", guests.token).as_bytes()).unwrap();
            let came = guests.let_in(listener.accept().unwrap().0, |_| is_taken);
            let place = came.map(|(place, ..)| place);
            let mut said = String::new();
            stream.read_to_string(&mut said).unwrap();
            (place, said)
        };
        assert_eq!(come("plan", "0001", "c", false), (Some(1), String::new()));
        for ((plan, block, id, is_taken), why) in [
            (("other", "0001", "b", false), r#"{"refuse":"it has another plan"#),
            (
                ("plan", "0002", "b", false),
                r#"{"fail":"it runs block 0001: name that one, or wait"#,
            ),
            (("plan", "0001", "z", false), r#"{"refuse":"its plan has no generator on z"#),
            (
                ("plan", "0001", "b", true),
                r#"{"fail":"another process already runs block 0001 as b"#,
            ),
        ] {
            let (place, said) = come(plan, block, id, is_taken);
            assert!(place.is_none() && said.starts_with(why), "{said}");
        }
    }
}
