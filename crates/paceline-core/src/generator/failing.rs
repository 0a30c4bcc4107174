//! Failed requests: the load ends with the first of them, or counts them and continues.

use std::{io, time::Duration};

use super::{
    drive::{Driver, Phase},
    failure::{Failure, Kind},
};
use crate::{clock::nanoseconds, prepared::Fault};

#[cfg(test)]
mod tests;

/// The delay before a connection that could not be opened is retried.
const RETRY: Duration = Duration::from_millis(10);

impl Driver<'_> {
    /// Handles a request without a right answer.
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
        if failure.reusable {
            connection.served_ns = Some(connection.sent_ns);
        }
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

    /// Handles a connection that cannot be opened. The request that waits for it fails.
    pub(super) fn unconnected(&mut self, index: usize, error: &io::Error) -> Result<(), Fault> {
        self.read_clock();
        let connection = &mut self.connections[index];
        (connection.open, connection.down) = (false, true);
        let failure = Failure::connect(error, self.order.addresses[connection.address]);
        if connection.busy {
            return self.fail(index, &failure);
        }
        if self.phase != Phase::Running || !self.order.options.counts_errors {
            return Err(self.placed(index, &failure));
        }
        self.retry_later(index);
        Ok(())
    }

    /// Delays the retry: without a listening server, requests would fail as fast as this process can send them.
    fn retry_later(&mut self, index: usize) {
        self.retries.push_back((self.now_ns + nanoseconds(RETRY), index));
    }

    /// Starts requests on the connections whose retry is due.
    pub(super) fn retry(&mut self) -> Result<(), Fault> {
        while let Some((_, index)) = self.retries.pop_front_if(|(at, _)| *at <= self.now_ns) {
            self.free(index)?;
        }
        Ok(())
    }

    /// Returns the next due moment that is neither an arrival nor an event.
    pub(super) fn due_ns(&self) -> u64 {
        let retry = self.retries.front().map_or(u64::MAX, |(at, _)| *at);
        self.deadline_ns.min(retry)
    }

    /// Returns whether a request with this intended start has timed out.
    pub(super) fn is_late(&self, intended: u64) -> bool {
        let timeout = self.order.options.timeout_ns;
        timeout.is_some_and(|timeout| self.now_ns >= intended.saturating_add(timeout))
    }

    /// Makes the loop check this request no later than its timeout.
    pub(super) fn watch(&mut self, intended: u64) {
        if let Some(timeout) = self.order.options.timeout_ns {
            self.deadline_ns = self.deadline_ns.min(intended.saturating_add(timeout));
        }
    }

    /// Ends the requests that have timed out. It checks all, but only when the first of those in flight at the last
    /// check may have timed out: about once per timeout.
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

    /// Handles a request that timed out before any connection was free.
    pub(super) fn give_up(&mut self, intended: u64) -> Result<(), Fault> {
        let number = self.count;
        self.count = self.split.from(self.count + 1);
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
