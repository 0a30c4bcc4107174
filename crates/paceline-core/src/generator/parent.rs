//! The generator from its parent's side.

use std::time::Duration;

use super::{Interval, Loaded, Order, Reply};
use crate::process::{Host, HostError, LOAD, Program, no_reply};

impl Program {
    /// Runs `order` in a process of its own. The time limit is that of the order plus `patience`, for starting the
    /// process and opening the connections.
    ///
    /// # Errors
    ///
    /// Returns an error if the order cannot be run, a request had no right answer, or the process has ended.
    ///
    /// # Panics
    ///
    /// Never: an order is plain data.
    pub fn load(&self, order: &Order, patience: Duration) -> Result<Loaded, HostError> {
        self.load_by_intervals(order, patience, &mut |_| ())
    }

    /// Runs `order` like [`Self::load`]. `over` gets each interval in order, soon after its last request was answered.
    ///
    /// # Errors
    ///
    /// Returns an error as [`Self::load`] does.
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
