//! The generator from its parent's side.

use std::time::Duration;

use super::{Interval, Loaded, Order, Reply};
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
        self.load_by_intervals(order, patience, &mut |_| ())
    }

    /// The same. `over` is given each interval, in their order, soon after the last of its requests was answered.
    ///
    /// # Errors
    ///
    /// As [`Self::load`] does.
    ///
    /// # Panics
    ///
    /// Never: an order is plain data.
    pub fn load_by_intervals(
        &self,
        order: &Order,
        patience: Duration,
        over: &mut dyn FnMut(Interval),
    ) -> Result<Loaded, HostError> {
        let started = self.command(LOAD).and_then(Host::start);
        let mut child =
            started.map_err(|error| HostError::Died(format!("it cannot be started: {error}")))?;
        let line = serde_json::to_string(order).expect("orders are plain data");
        let times = [order.warm_up_ns, order.duration_ns, order.patience_ns];
        let most = times
            .into_iter()
            .fold(patience, |sum, time| sum.saturating_add(Duration::from_nanos(time)));
        let mut reply = child.exchange(line, most)?;
        loop {
            match serde_json::from_str(&reply) {
                Ok(Reply::Interval(interval)) => over(*interval),
                Ok(Reply::Loaded(loaded)) => return Ok(*loaded),
                Ok(Reply::Fault(fault)) => return Err(HostError::Fault(fault)),
                Err(error) => return Err(no_reply(&reply, &error)),
            }
            reply = child.line(most)?;
        }
    }
}
