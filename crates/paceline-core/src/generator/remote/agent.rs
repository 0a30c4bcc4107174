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

impl LineConnection {
    /// Runs an agent: executes the leader's messages until [`LeaderMessage::End`]. It puts load only on addresses in
    /// `plan`. `patience` is the longest time between two messages.
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
        let mut running: Option<(u64, Host)> = None;
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
                    let mut host = program
                        .generator()
                        .map_err(|error| format!("failed to start the load generator: {error}"))?;
                    let order = serde_json::to_string(&order)
                        .map_err(|error| format!("failed to serialize the order: {error}"))?;
                    let sent = host.send(order);
                    running = self.relay(load, host, sent, patience)?;
                }
                LeaderMessage::Line(line) => {
                    if let Some((load, mut host)) = running.take() {
                        let sent = host.send(line);
                        running = self.relay(load, host, sent, patience)?;
                    }
                }
                LeaderMessage::Abort(_) => running = None,
                LeaderMessage::End => return Ok(()),
                LeaderMessage::Refuse(why) => return Err(AgentError::Refused(why)),
                LeaderMessage::Fail(why) => return Err(AgentError::Ended(why)),
            }
        }
    }

    /// Relays a generator's lines to the leader until the generator waits for a reply or has ended. Returns the
    /// generator if it waits.
    fn relay(
        &mut self,
        load: u64,
        mut host: Host,
        sent: Result<(), HostError>,
        patience: Duration,
    ) -> Result<Option<(u64, Host)>, String> {
        let (closed, aborted) = (self.closed.clone(), self.aborted.clone());
        let is_over =
            move || closed.load(Relaxed) || aborted.load(Relaxed) >= load || interrupted();
        let mut next = sent.and_then(|()| host.line_unless(patience, &is_over));
        loop {
            match next {
                Ok(line) => {
                    let reply = serde_json::from_str::<Reply>(&line);
                    self.send(&AgentMessage::Line(load, line))
                        .map_err(|error| format!("the server's node was lost: {error}"))?;
                    match reply {
                        Ok(Reply::Ready) => return Ok(Some((load, host))),
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
