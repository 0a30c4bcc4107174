//! Requests that come to nothing: the load ends with the first of them, or counts them and goes on.

use std::{io, time::Duration};

use super::{
    drive::Driver,
    failure::{Failure, Kind},
};
use crate::{clock::nanoseconds, prepared::Fault};

/// How long after it could not be opened a connection is tried again.
const RETRY: Duration = Duration::from_millis(10);

impl Driver<'_> {
    /// The request of a connection has no right answer.
    pub(super) fn fail(&mut self, index: usize, failure: &Failure) -> Result<(), Fault> {
        if !self.order.options.counts_errors || failure.kind == Kind::Receipt {
            return Err(self.placed(index, failure));
        }
        let why = self.tally.first_error.is_none().then(|| self.placed(index, failure));
        let connection = &mut self.connections[index];
        let rest = self.requests[connection.request].bytes[connection.address].len();
        let reusable = failure.reusable && connection.written == rest;
        connection.busy = false;
        connection.repeated = false;
        connection.served |= failure.reusable;
        connection.progress.clear();
        let (request, intended) = (connection.request, connection.intended_ns);
        self.tally.fail(request, intended, self.now_ns, failure.kind, why);
        if failure.kind == Kind::Connect {
            self.retry_later(index);
            return Ok(());
        }
        if reusable {
            self.connections[index].used = true;
            return self.free(index);
        }
        self.replace(index)
    }

    /// A connection cannot be opened. The request that waits for it fails.
    pub(super) fn unconnected(&mut self, index: usize, error: &io::Error) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        (connection.open, connection.down) = (false, true);
        let failure = Failure::connect(error, self.order.addresses[connection.address]);
        if connection.busy {
            return self.fail(index, &failure);
        }
        if !self.running || !self.order.options.counts_errors {
            return Err(self.placed(index, &failure));
        }
        self.retry_later(index);
        Ok(())
    }

    /// Not at once: where nobody listens, requests would fail as fast as this process can send them.
    fn retry_later(&mut self, index: usize) {
        self.retries.push_back((self.now_ns + nanoseconds(RETRY), index));
    }

    /// Gives requests to the connections that are to be tried again by now.
    pub(super) fn retry(&mut self) -> Result<(), Fault> {
        while let Some((_, index)) = self.retries.pop_front_if(|(at, _)| *at <= self.now_ns) {
            self.free(index)?;
        }
        Ok(())
    }

    /// When something is due that neither is an arrival nor comes as an event.
    pub(super) fn due_ns(&self) -> u64 {
        let retry = self.retries.front().map_or(u64::MAX, |(at, _)| *at);
        self.deadline_ns.min(retry)
    }

    /// Whether a request that was meant to start at `intended` is out of time.
    pub(super) fn is_late(&self, intended: u64) -> bool {
        let timeout = self.order.options.timeout_ns;
        timeout.is_some_and(|timeout| self.now_ns >= intended.saturating_add(timeout))
    }

    /// Has the loop look when this request is out of time, at the latest.
    pub(super) fn watch(&mut self, intended: u64) {
        if let Some(timeout) = self.order.options.timeout_ns {
            self.deadline_ns = self.deadline_ns.min(intended.saturating_add(timeout));
        }
    }

    /// Ends the requests that are out of time. All are looked at, but only once the first of those under way at the last
    /// look may be: about once in each timeout.
    pub(super) fn expire(&mut self) -> Result<(), Fault> {
        if self.now_ns < self.deadline_ns {
            return Ok(());
        }
        self.deadline_ns = u64::MAX;
        while let Some(intended) = self.queue.front().copied().filter(|at| self.is_late(*at)) {
            self.queue.pop_front();
            self.give_up(intended)?;
        }
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            if connection.busy && self.is_late(connection.intended_ns) {
                self.fail(index, &self.timeout())?;
            }
        }
        let busy = self.connections.iter().filter(|one| one.busy).map(|one| one.intended_ns);
        if let Some(first) = busy.chain(self.queue.front().copied()).min() {
            self.watch(first);
        }
        Ok(())
    }

    /// A request was out of time before any connection was free for it.
    pub(super) fn give_up(&mut self, intended: u64) -> Result<(), Fault> {
        let number = self.count;
        self.count += 1;
        let failure = self.timeout();
        let fault = failure.at(&format!("request {number}, for which no connection was free"));
        if !self.order.options.counts_errors {
            return Err(fault);
        }
        let why = self.tally.first_error.is_none().then_some(fault);
        self.tally.fail(self.turns.at(number), intended, self.now_ns, failure.kind, why);
        Ok(())
    }

    pub(super) fn timeout(&self) -> Failure {
        let timeout = Duration::from_nanos(self.order.options.timeout_ns.unwrap_or(0));
        let timeout = humantime::format_duration(timeout);
        Failure::new(
            Kind::Timeout,
            format!("no whole answer within {timeout} of its intended start"),
        )
    }
}
