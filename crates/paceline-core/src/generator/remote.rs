//! Generators on other nodes: the protocol between the leader and an agent over TCP, and clock offsets.
//!
//! The leader runs on the server's node and holds an [`Agent`] for each generator node. Each generator node runs
//! [`LineConnection::run_agent`], which starts a generator process for each load and relays lines between it and the
//! leader. No figure is computed from two clocks. Only the common start time is converted, with the offset from the
//! exchange of four timestamps that had the shortest round trip.

use std::{
    io::{self, BufReader, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Interval, MergedLoad, Order,
    parent::{Generator, Link, together},
};
use crate::{
    clock::timer_ns,
    interrupt::interrupted,
    prepared::Fault,
    process::{HostError, LONGEST, lines, receive},
};

mod agent;
mod offset;

pub use agent::AgentError;
use offset::{Clock, is_shared};

/// Clock exchanges before each load.
const CLOCK_EXCHANGES: usize = 16;
/// The timeout of one clock exchange.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// A message from the leader to an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaderMessage {
    /// Asks for the agent's time.
    Clock,
    /// Starts a generator with this order. Loads are numbered.
    Load(u64, Box<Order>),
    /// A line for the running generator.
    Line(String),
    /// Stops the generator of every load up to this number.
    Abort(u64),
    /// There are no more loads.
    End,
    /// The agent cannot take part, for this reason, and could not at another time. Sent only to an agent that knows the
    /// token.
    Refuse(String),
    /// The agent's part ends here, for this reason. Another attempt may succeed. Sent as [`Self::Refuse`] is.
    Fail(String),
}

/// A message from an agent to the leader.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentMessage {
    /// When the request for the time arrived and when this reply left, on the agent's monotonic clock.
    Clock(u64, u64),
    /// A line from the generator of this load.
    Line(u64, String),
    /// The generator of this load exited without a result, for this reason.
    Lost(u64, String),
}

/// A TCP connection that carries lines in both directions. A thread reads incoming lines and stamps them with their
/// arrival. Dropping it closes the connection, which ends the thread.
pub struct LineConnection {
    stream: TcpStream,
    /// Each line with its arrival time.
    incoming: mpsc::Receiver<(u64, String)>,
    /// Whether the other side has closed the connection.
    closed: Arc<AtomicBool>,
    /// The last load that was aborted, as were all before it.
    aborted: Arc<AtomicU64>,
}

impl Drop for LineConnection {
    fn drop(&mut self) {
        // The reading thread has a handle of its own, so dropping `stream` alone would leave the connection open.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl LineConnection {
    /// Takes over a connected stream and starts the reading thread.
    ///
    /// # Errors
    ///
    /// Returns an error if the stream cannot be configured or the thread cannot be started.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        probe_when_silent(&stream)?;
        let input = BufReader::new(stream.try_clone()?);
        let (closed, aborted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (sender, incoming) = mpsc::channel();
        let (is_closed, is_aborted) = (closed.clone(), aborted.clone());
        thread::Builder::new().spawn(move || {
            lines(input, LONGEST, |line| {
                let at = timer_ns();
                if line.starts_with(r#"{"abort""#)
                    && let Ok(LeaderMessage::Abort(load)) = serde_json::from_str(&line)
                {
                    is_aborted.fetch_max(load, Relaxed);
                }
                sender.send((at, line)).is_ok()
            });
            is_closed.store(true, Relaxed);
        })?;
        Ok(LineConnection { stream, incoming, closed, aborted })
    }

    /// Returns whether the other side has closed the connection, or is lost.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Sends a message as a line.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection is broken or the message cannot be serialized.
    pub fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_string(message).map_err(io::Error::other)?;
        line.push('\n');
        self.stream.write_all(line.as_bytes())
    }

    /// Receives the next line, with its arrival time.
    ///
    /// # Errors
    ///
    /// Returns an error if no line arrives within `patience`, the connection is closed, or `is_over` returns true.
    pub fn receive(
        &self,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(u64, String), HostError> {
        receive(&self.incoming, patience, is_over)?
            .ok_or_else(|| HostError::Died("its node closed the connection".into()))
    }
}

/// Makes the kernel close the connection soon after the other node has lost its power or its network, which close none.
fn probe_when_silent(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    #[cfg(target_os = "linux")]
    {
        /// How often a node that says nothing is probed, and after how many silent probes it is lost.
        const PROBE: Duration = Duration::from_secs(5);
        const SILENT_PROBES: u32 = 3;
        sockopt::set_tcp_keepidle(stream, PROBE)?;
        sockopt::set_tcp_keepintvl(stream, PROBE)?;
        sockopt::set_tcp_keepcnt(stream, SILENT_PROBES)?;
        // The same for what was sent and is not acknowledged.
        let most = PROBE * (SILENT_PROBES + 1);
        sockopt::set_tcp_user_timeout(stream, most.as_millis() as u32)?;
    }
    Ok(())
}

/// The leader's connection to a generator's node.
pub struct Agent {
    connection: LineConnection,
    name: String,
    /// The number of the current load.
    load: u64,
    /// Why it was lost, if it was.
    lost: Option<String>,
    clock: Option<Clock>,
    uncertainty_ns: Option<u64>,
}

impl Agent {
    /// Takes over the connection to the node `name`, whose agent waits for a load.
    #[must_use]
    pub fn new(connection: LineConnection, name: String) -> Self {
        Agent { connection, name, load: 0, lost: None, clock: None, uncertainty_ns: None }
    }

    /// Returns the node's name and the reason if it was lost: its load is then void.
    #[must_use]
    pub fn lost(&self) -> Option<(&str, &str)> {
        Some((&self.name, self.lost.as_deref()?))
    }

    /// Returns the greatest error that its clock offset may have had in any load; `None` before the first.
    #[must_use]
    pub fn uncertainty_ns(&self) -> Option<u64> {
        self.uncertainty_ns
    }

    /// Returns whether two of the nodes, of which this is one, had the same monotonic clock in the last load.
    #[must_use]
    pub fn share_a_clock(agents: &[Agent]) -> bool {
        is_shared(agents.iter().filter_map(|agent| agent.clock))
    }

    /// Returns whether the agent has ended, or its node is lost.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.connection.is_closed()
    }

    /// Tells the agent that there are no more loads.
    pub fn end(&mut self) {
        let _ = self.connection.send(&LeaderMessage::End);
    }

    /// Tells the agent to end, and why.
    pub fn fail(&mut self, why: &str) {
        let _ = self.connection.send(&LeaderMessage::Fail(why.into()));
    }

    fn send_message(&mut self, message: &LeaderMessage) -> Result<(), HostError> {
        let sent = self.connection.send(message);
        sent.map_err(|error| self.mark_lost(HostError::Died(error.to_string())))
    }

    fn mark_lost(&mut self, error: HostError) -> HostError {
        self.lost = Some(match &error {
            HostError::Died(how) => how.clone(),
            other => other.to_string(),
        });
        match error {
            HostError::Died(how) => HostError::Died(format!("{how} on {}", self.name)),
            other => other,
        }
    }

    /// Receives the agent's next message about the current load.
    fn receive(
        &mut self,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(u64, AgentMessage), HostError> {
        loop {
            match self.connection.receive(patience, is_over) {
                Ok((at, line)) => match serde_json::from_str(&line) {
                    // An aborted load may still have had lines in flight.
                    Ok(AgentMessage::Line(load, _)) if load != self.load => {}
                    Ok(message) => return Ok((at, message)),
                    Err(error) => {
                        let why = format!("it sent an invalid message: {line}: {error}");
                        return Err(self.mark_lost(HostError::Died(why)));
                    }
                },
                Err(HostError::Interrupted) => {
                    let _ = self.send_message(&LeaderMessage::Abort(self.load));
                    return Err(HostError::Interrupted);
                }
                Err(error) => return Err(self.mark_lost(error)),
            }
        }
    }

    /// Measures the clock offset, and keeps that of the exchange with the shortest round trip.
    fn compare_clocks(&mut self) -> Result<Clock, HostError> {
        let mut best: Option<Clock> = None;
        for _ in 0..CLOCK_EXCHANGES {
            let sent = timer_ns();
            self.send_message(&LeaderMessage::Clock)?;
            let (arrived, message) = self.receive(CLOCK_TIMEOUT, &interrupted)?;
            let AgentMessage::Clock(received, answered) = message else {
                let why = format!("it sent {message:?} instead of its time");
                return Err(self.mark_lost(HostError::Died(why)));
            };
            let found = Clock::of([sent, received, answered, arrived]);
            best = best.filter(|best| best.uncertainty_ns <= found.uncertainty_ns).or(Some(found));
        }
        self.clock = best;
        self.uncertainty_ns = self.uncertainty_ns.max(best.map(|best| best.uncertainty_ns));
        best.ok_or_else(|| HostError::Died("its clock offset was not measured".into()))
    }

    /// Runs `order` on all `agents` together, as [`Program::load_together`](crate::process::Program::load_together) does on one machine.
    ///
    /// # Errors
    ///
    /// Returns the errors of that function. If an agent was lost, [`Self::lost`] has the reason.
    pub fn load_together(
        agents: &mut [Agent],
        order: &Order,
        patience: Duration,
        over: &mut dyn FnMut(Interval),
    ) -> Result<MergedLoad, HostError> {
        let orders = order.split(agents.len());
        let orders = orders.map_err(|why| HostError::Fault(Fault::Failed(why)))?;
        for agent in &mut *agents {
            agent.load += 1;
            agent.compare_clocks()?;
        }
        let load =
            |(link, order): (_, Order)| Generator { link, share: order.options.share, order };
        let mut all: Vec<Generator<&mut Agent>> = agents.iter_mut().zip(orders).map(load).collect();
        let done = together(&mut all, patience, over);
        if done.is_err() {
            for one in &mut all {
                let _ = one.link.send_message(&LeaderMessage::Abort(one.link.load));
            }
        }
        done
    }
}

impl Link for &mut Agent {
    fn send_order(&mut self, order: &Order) -> Result<(), HostError> {
        self.send_message(&LeaderMessage::Load(self.load, Box::new(order.clone())))
    }

    fn send(&mut self, line: String) -> Result<(), HostError> {
        self.send_message(&LeaderMessage::Line(line))
    }

    fn line_unless(
        &mut self,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<String, HostError> {
        match self.receive(patience, is_over)?.1 {
            AgentMessage::Line(_, line) => Ok(line),
            AgentMessage::Lost(_, why) => Err(self.mark_lost(HostError::Died(why))),
            AgentMessage::Clock(..) => {
                let why = "it sent its time without being asked".to_owned();
                Err(self.mark_lost(HostError::Died(why)))
            }
        }
    }

    fn its_time(&mut self, at_ns: u64) -> Result<u64, HostError> {
        let ahead = self.clock.map_or(0, |clock| clock.ahead_ns);
        Ok(at_ns.saturating_add_signed(ahead))
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, net::TcpListener};

    use super::*;

    #[test]
    fn a_connection_that_is_dropped_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        other.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        drop(LineConnection::new(listener.accept().unwrap().0).unwrap());
        assert_eq!(other.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn the_uncertainty_of_an_agents_clock_is_that_of_its_worst_load() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut other = LineConnection::new(other).unwrap();
        let answers = thread::spawn(move || {
            for exchange in 0..2 * CLOCK_EXCHANGES {
                let (at, _) = other.receive(CLOCK_TIMEOUT, &|| false).unwrap();
                if exchange < CLOCK_EXCHANGES {
                    thread::sleep(Duration::from_millis(20));
                }
                other.send(&AgentMessage::Clock(at, at)).unwrap();
            }
        });
        let connection = LineConnection::new(listener.accept().unwrap().0).unwrap();
        let mut agent = Agent::new(connection, "b".into());
        agent.compare_clocks().unwrap();
        agent.compare_clocks().unwrap();
        assert!(agent.uncertainty_ns().unwrap() >= 10_000_000, "{:?}", agent.uncertainty_ns());
        answers.join().unwrap();
    }
}
