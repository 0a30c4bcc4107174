//! The generator from its parent's side.

use std::time::Duration;

use super::{Loaded, Order, Reply};
use crate::process::{Host, HostError, LOAD, Program, no_reply};

impl Program {
    /// Carries out `order` in a process of its own, and waits for as long as the order says and `patience` more, which
    /// is for starting the process and opening the connections.
    ///
    /// # Errors
    ///
    /// Returns an error where the order cannot be carried out, a request had no right answer, or the process is gone.
    ///
    /// # Panics
    ///
    /// Never: an order is plain data.
    pub fn load(&self, order: &Order, patience: Duration) -> Result<Loaded, HostError> {
        let started = self.command(LOAD).and_then(Host::start);
        let mut child =
            started.map_err(|error| HostError::Died(format!("it cannot be started: {error}")))?;
        let line = serde_json::to_string(order).expect("orders are plain data");
        let times = [order.warm_up_ns, order.duration_ns, order.patience_ns];
        let most = times
            .into_iter()
            .fold(patience, |sum, time| sum.saturating_add(Duration::from_nanos(time)));
        let reply = child.exchange(line, most)?;
        match serde_json::from_str(&reply) {
            Ok(Reply::Loaded(loaded)) => Ok(*loaded),
            Ok(Reply::Fault(fault)) => Err(HostError::Fault(fault)),
            Err(error) => Err(no_reply(&reply, &error)),
        }
    }
}
