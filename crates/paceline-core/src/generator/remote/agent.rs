//! The agent that runs on a generator's node.

use std::{io, net::IpAddr, sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    super::{Options, Order, Reply},
    AgentMessage, LeaderMessage, LineConnection,
};
use crate::{
    clock::timer_ns,
    interrupt::interrupted,
    process::{Host, HostError, Program},
};

/// The reason why an agent ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentError {
    /// The leader closed the connection before its first message, as it does if the token is wrong.
    NotAccepted,
    /// The leader refused this agent, for this reason.
    Refused(String),
    /// The leader ended this agent, for this reason.
    Ended(String),
    /// A load could not be completed, for this reason.
    Failed(String),
}

impl From<String> for AgentError {
    fn from(why: String) -> Self {
        AgentError::Failed(why)
    }
}

/// A generator that was started.
struct Running {
    /// The number of its load.
    load: u64,
    host: Host,
    /// How long its next line may take.
    patience: Duration,
}

impl LineConnection {
    /// Runs an agent: executes the leader's messages until [`LeaderMessage::End`]. It puts load only on addresses in
    /// `plan`. `patience` is the longest time between two messages, besides that of a load.
    ///
    /// # Errors
    ///
    /// Returns a fault if the leader refuses the agent or is lost, if it orders a load on an address outside the plan, or
    /// if a generator is lost.
    pub fn run_agent(
        mut self,
        program: &Program,
        plan: &[IpAddr],
        patience: Duration,
    ) -> Result<(), AgentError> {
        let mut running: Option<Running> = None;
        let mut is_accepted = false;
        loop {
            let (at, line) = match self.receive(patience, &interrupted) {
                Ok(line) => line,
                Err(HostError::Interrupted) => return Err("interrupted".to_owned().into()),
                Err(HostError::Died(_)) if !is_accepted => return Err(AgentError::NotAccepted),
                Err(HostError::Died(how)) => {
                    return Err(format!("the server's node was lost: {how}").into());
                }
                Err(error) => return Err(format!("the server's node was lost: {error}").into()),
            };
            is_accepted = true;
            let message = serde_json::from_str(&line)
                .map_err(|error| format!("the server's node sent an invalid message: {error}"))?;
            let lost = |error: io::Error| format!("the server's node was lost: {error}");
            match message {
                LeaderMessage::Clock => {
                    self.send(&AgentMessage::Clock(at, timer_ns())).map_err(lost)?;
                }
                LeaderMessage::Load(load, order) => {
                    // The order's own list of addresses is not trusted: the plan decides.
                    let order = Order {
                        options: Options { plan: plan.to_vec(), ..order.options },
                        ..*order
                    };
                    order.check()?;
                    let host = program
                        .generator()
                        .map_err(|error| format!("cannot start the load generator: {error}"))?;
                    let line = serde_json::to_string(&order)
                        .map_err(|error| format!("cannot write the order: {error}"))?;
                    let patience = order.time_limit(patience);
                    running = self.relay(Running { load, host, patience }, line)?;
                }
                LeaderMessage::Line(line) => {
                    if let Some(one) = running.take() {
                        running = self.relay(one, line)?;
                    }
                }
                LeaderMessage::Abort(_) => running = None,
                LeaderMessage::End => return Ok(()),
                LeaderMessage::Refuse(why) => return Err(AgentError::Refused(why)),
                LeaderMessage::Fail(why) => return Err(AgentError::Ended(why)),
            }
        }
    }

    /// Sends `line` to a generator, and relays its lines to the leader until it waits for a reply or has ended. Returns
    /// it if it waits.
    fn relay(&mut self, mut of: Running, line: String) -> Result<Option<Running>, String> {
        let (load, patience, host) = (of.load, of.patience, &mut of.host);
        let (closed, aborted) = (self.closed.clone(), self.aborted.clone());
        let is_over =
            move || closed.load(Relaxed) || aborted.load(Relaxed) >= load || interrupted();
        let mut next = host.send(line).and_then(|()| host.line_unless(patience, &is_over));
        loop {
            match next {
                Ok(line) => {
                    let reply = serde_json::from_str::<Reply>(&line);
                    self.send(&AgentMessage::Line(load, line))
                        .map_err(|error| format!("the server's node was lost: {error}"))?;
                    match reply {
                        Ok(Reply::Ready) => return Ok(Some(of)),
                        Ok(Reply::Loaded(_) | Reply::Fault(_)) => return Ok(None),
                        _ => next = host.line_unless(patience, &is_over),
                    }
                }
                Err(HostError::Interrupted) => return Ok(None),
                Err(error) => {
                    let why = error.to_string();
                    let _ = self.send(&AgentMessage::Lost(load, why.clone()));
                    return Err(format!("the load generator was lost: {why}"));
                }
            }
        }
    }
}
