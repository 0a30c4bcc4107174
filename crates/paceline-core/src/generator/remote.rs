//! Generators on other nodes: their lines over a TCP connection, and their clocks.
//!
//! The leader, which is the server's node, has an [`Agent`] for each. The agent on the other node runs [`Lines::work`]:
//! it starts a generator for each load and passes on what the leader and the generator say. No figure is made from two
//! clocks. Only the common start is converted, by the exchange of four timestamps that took least.

use std::{
    io::{self, BufReader, Write},
    net::{IpAddr, TcpStream},
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
    Interval, Order, Reply, Together,
    parent::{Generator, Link, together},
};
use crate::{
    clock::{now, timer_ns},
    interrupt::interrupted,
    prepared::Fault,
    process::{Host, HostError, LONGEST, Program, lines},
};

/// How often a wait for the other side checks whether anybody waits.
const GLANCE: Duration = Duration::from_millis(50);
/// How many times the clocks are compared before each load, and how long each may take.
const EXCHANGES: usize = 16;
const EXCHANGING: Duration = Duration::from_secs(5);

/// What the leader tells an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// Which time is it?
    Clock,
    /// Start a generator with this order. Loads are numbered.
    Load(u64, Box<Order>),
    /// Pass this line on to the generator.
    Line(String),
    /// End the generator of loads up to this number.
    Abort(u64),
    /// There are no more loads.
    End,
}

/// What an agent says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// When the question about the time arrived and when the answer left, on the agent's monotonic clock.
    Clock(u64, u64),
    /// A line of the generator of this load.
    Line(u64, String),
    /// The generator of this load has ended without a result.
    Lost(u64, String),
}

/// The clock of another node, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// How far it is ahead, in nanoseconds.
    pub ahead_ns: i64,
    /// Half of the round trip: it is no further off than this.
    pub uncertainty_ns: u64,
}

impl Clock {
    /// Returns what an exchange says: when it was sent and answered here, and received and sent there.
    fn of([sent, received, answered, arrived]: [u64; 4]) -> Self {
        let [sent, received, answered, arrived] =
            [sent, received, answered, arrived].map(i128::from);
        let ahead = i128::midpoint(received - sent, answered - arrived);
        let trip = ((arrived - sent) - (answered - received)).max(0);
        Clock {
            ahead_ns: ahead.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
            uncertainty_ns: (trip + 1) as u64 / 2,
        }
    }
}

/// A connection that carries lines both ways. Its lines are read in a thread of their own.
pub struct Lines {
    stream: TcpStream,
    /// Each line with the moment at which it arrived.
    incoming: mpsc::Receiver<(u64, String)>,
    gone: Arc<AtomicBool>,
    /// Loads up to this one have been aborted.
    aborted: Arc<AtomicU64>,
}

impl Lines {
    /// Takes over a connection.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses.
    pub fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let input = BufReader::new(stream.try_clone()?);
        let (gone, aborted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (give, incoming) = mpsc::channel();
        let (is_gone, is_aborted) = (gone.clone(), aborted.clone());
        thread::Builder::new().spawn(move || {
            lines(input, LONGEST, |line| {
                let at = timer_ns();
                if line.starts_with(r#"{"abort""#)
                    && let Ok(Told::Abort(load)) = serde_json::from_str(&line)
                {
                    is_aborted.fetch_max(load, Relaxed);
                }
                give.send((at, line)).is_ok()
            });
            is_gone.store(true, Relaxed);
        })?;
        Ok(Lines { stream, incoming, gone, aborted })
    }

    /// Sends a message as a line.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection has broken, or the message is no data for JSON.
    pub fn say(&mut self, message: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_string(message).map_err(io::Error::other)?;
        line.push('\n');
        self.stream.write_all(line.as_bytes())
    }

    /// Waits for the next line, with the moment at which it arrived.
    ///
    /// # Errors
    ///
    /// Returns an error if there is none within `patience`, the other side has gone, or `is_over`.
    pub fn line(
        &self,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(u64, String), HostError> {
        let deadline = now() + patience;
        loop {
            let left = deadline.saturating_duration_since(now());
            match self.incoming.recv_timeout(left.min(GLANCE)) {
                Ok(line) => return Ok(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(HostError::Died("the connection to its node has ended".into()));
                }
                Err(mpsc::RecvTimeoutError::Timeout) if is_over() => {
                    return Err(HostError::Interrupted);
                }
                Err(mpsc::RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(HostError::Silent(patience));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Does what the leader says until it has no more loads: the work of an agent. Loads go only to addresses of
    /// `plan`. The leader must say something every `patience`.
    ///
    /// # Errors
    ///
    /// Returns a sentence if the leader is gone, asks for an address that is not in the plan, or a generator is lost.
    pub fn work(
        mut self,
        program: &Program,
        plan: &[IpAddr],
        patience: Duration,
    ) -> Result<(), String> {
        let mut under_way: Option<(u64, Host)> = None;
        loop {
            let (at, line) = match self.line(patience, &interrupted) {
                Ok(line) => line,
                Err(HostError::Interrupted) => return Err("interrupted".into()),
                Err(error) => return Err(format!("the server's node is lost: {error}")),
            };
            let told = serde_json::from_str(&line)
                .map_err(|error| format!("the server's node said something else: {error}"))?;
            let lost = |error: io::Error| format!("the server's node is lost: {error}");
            match told {
                Told::Clock => self.say(&Said::Clock(at, timer_ns())).map_err(lost)?,
                Told::Load(load, order) => {
                    // The leader's word is not enough: the plan says which addresses there are.
                    let order = Order {
                        options: super::Options { plan: plan.to_vec(), ..order.options },
                        ..*order
                    };
                    order.check()?;
                    let mut host = program.generator().map_err(|error| {
                        format!("the load generator cannot be started: {error}")
                    })?;
                    let order = serde_json::to_string(&order)
                        .map_err(|error| format!("the order cannot be passed on: {error}"))?;
                    let sent = host.send(order);
                    under_way = self.pass_on(load, host, sent, patience)?;
                }
                Told::Line(line) => {
                    if let Some((load, mut host)) = under_way.take() {
                        let sent = host.send(line);
                        under_way = self.pass_on(load, host, sent, patience)?;
                    }
                }
                Told::Abort(_) => under_way = None,
                Told::End => return Ok(()),
            }
        }
    }

    /// Passes on what a generator says until it waits for the leader, or has ended.
    fn pass_on(
        &mut self,
        load: u64,
        mut host: Host,
        sent: Result<(), HostError>,
        patience: Duration,
    ) -> Result<Option<(u64, Host)>, String> {
        let (gone, aborted) = (self.gone.clone(), self.aborted.clone());
        let is_over = move || gone.load(Relaxed) || aborted.load(Relaxed) >= load || interrupted();
        let mut next = sent.and_then(|()| host.line_unless(patience, &is_over));
        loop {
            match next {
                Ok(line) => {
                    let reply = serde_json::from_str::<Reply>(&line);
                    self.say(&Said::Line(load, line))
                        .map_err(|error| format!("the server's node is lost: {error}"))?;
                    match reply {
                        Ok(Reply::Ready) => return Ok(Some((load, host))),
                        Ok(Reply::Loaded(_) | Reply::Fault(_)) => return Ok(None),
                        _ => next = host.line_unless(patience, &is_over),
                    }
                }
                Err(HostError::Interrupted) => return Ok(None),
                Err(error) => {
                    let why = error.to_string();
                    let _ = self.say(&Said::Lost(load, why.clone()));
                    return Err(format!("the load generator was lost: {why}"));
                }
            }
        }
    }
}

/// A generator's node, seen from the leader.
pub struct Agent {
    lines: Lines,
    name: String,
    load: u64,
    is_lost: bool,
    clock: Option<Clock>,
}

impl Agent {
    /// Takes over the connection to the node `name`, which waits for orders.
    #[must_use]
    pub fn new(lines: Lines, name: String) -> Self {
        Agent { lines, name, load: 0, is_lost: false, clock: None }
    }

    /// Returns the node's name if it was lost: a load that it took part in is void.
    #[must_use]
    pub fn lost(&self) -> Option<&str> {
        self.is_lost.then_some(&*self.name)
    }

    /// Returns its clock, as it was compared last.
    #[must_use]
    pub fn clock(&self) -> Option<Clock> {
        self.clock
    }

    /// Says that there are no more loads.
    pub fn end(&mut self) {
        let _ = self.lines.say(&Told::End);
    }

    fn tell(&mut self, told: &Told) -> Result<(), HostError> {
        self.lines.say(told).map_err(|error| self.lose(HostError::Died(error.to_string())))
    }

    fn lose(&mut self, error: HostError) -> HostError {
        self.is_lost = true;
        match error {
            HostError::Died(how) => HostError::Died(format!("{} on {}", how, self.name)),
            other => other,
        }
    }

    /// Waits for what it says of the load under way.
    fn hear(
        &mut self,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(u64, Said), HostError> {
        loop {
            match self.lines.line(patience, is_over) {
                Ok((at, line)) => match serde_json::from_str(&line) {
                    // What comes of an earlier load was under way when that was aborted.
                    Ok(Said::Line(load, _)) if load != self.load => {}
                    Ok(said) => return Ok((at, said)),
                    Err(error) => {
                        return Err(self.lose(HostError::Died(format!("it said {line}: {error}"))));
                    }
                },
                Err(HostError::Interrupted) => {
                    let _ = self.tell(&Told::Abort(self.load));
                    return Err(HostError::Interrupted);
                }
                Err(error) => return Err(self.lose(error)),
            }
        }
    }

    /// Compares clocks, and keeps what the exchange with the least round trip says.
    fn compare(&mut self) -> Result<Clock, HostError> {
        let mut best: Option<Clock> = None;
        for _ in 0..EXCHANGES {
            let sent = timer_ns();
            self.tell(&Told::Clock)?;
            let (arrived, said) = self.hear(EXCHANGING, &interrupted)?;
            let Said::Clock(received, answered) = said else {
                return Err(self.lose(HostError::Died(format!("it said {said:?} out of turn"))));
            };
            let found = Clock::of([sent, received, answered, arrived]);
            best = best.filter(|best| best.uncertainty_ns <= found.uncertainty_ns).or(Some(found));
        }
        self.clock = best;
        best.ok_or_else(|| HostError::Died("no clock was compared".into()))
    }

    /// Runs `order` on all of `agents` together, as
    /// [`Program::load_together`] does on one machine.
    ///
    /// # Errors
    ///
    /// Returns an error as that does. If an agent was lost, [`Self::lost`] says so.
    pub fn load_together(
        agents: &mut [Agent],
        order: &Order,
        patience: Duration,
        over: &mut dyn FnMut(Interval),
    ) -> Result<Together, HostError> {
        let orders = order.split(agents.len());
        let orders = orders.map_err(|why| HostError::Fault(Fault::Failed(why)))?;
        for agent in &mut *agents {
            agent.load += 1;
            agent.compare()?;
        }
        let load =
            |(link, order): (_, Order)| Generator { link, share: order.options.share, order };
        let mut all: Vec<Generator<&mut Agent>> = agents.iter_mut().zip(orders).map(load).collect();
        let done = together(&mut all, patience, over);
        if done.is_err() {
            for one in &mut all {
                let _ = one.link.tell(&Told::Abort(one.link.load));
            }
        }
        done
    }
}

impl Link for &mut Agent {
    fn send(&mut self, line: String) -> Result<(), HostError> {
        // The first line of a load is its order.
        match serde_json::from_str::<Order>(&line) {
            Ok(order) => self.tell(&Told::Load(self.load, Box::new(order))),
            Err(_) => self.tell(&Told::Line(line)),
        }
    }

    fn line_unless(
        &mut self,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<String, HostError> {
        match self.hear(patience, is_over)?.1 {
            Said::Line(_, line) => Ok(line),
            Said::Lost(_, why) => Err(self.lose(HostError::Died(why))),
            Said::Clock(..) => {
                Err(self.lose(HostError::Died("it told the time out of turn".into())))
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
    use super::*;

    #[test]
    fn a_clock_that_is_ahead_is_found_within_half_a_round_trip() {
        // 5 s ahead; 100 ns there, 300 ns back.
        let clock = Clock::of([1_000, 5_000_001_100, 5_000_001_150, 1_450]);
        assert_eq!(clock.uncertainty_ns, 200);
        assert!((clock.ahead_ns - 5_000_000_000).unsigned_abs() <= clock.uncertainty_ns);
        let behind = Clock::of([9_000_000_000, 1_000_000_050, 1_000_000_050, 9_000_000_100]);
        assert_eq!((behind.ahead_ns, behind.uncertainty_ns), (-8_000_000_000, 50));
    }
}
