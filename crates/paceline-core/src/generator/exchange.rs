//! Requests on their connections: sent, answered, and repeated if a connection ended before it took them.

use std::{
    io::{self, ErrorKind, Read},
    net::Shutdown,
    time::Duration,
};

use mio::{Token, event::Event};

use super::{
    answer::Step,
    connection::{Connection, connect},
    drive::{Driver, FIRST, Phase},
    failure::{Failure, Kind},
};
use crate::{
    prepared::Fault,
    quantity::{count, counted},
};

/// A connection that ends sooner than this after it was opened was closed by a server without room for it.
const SHORTEST_IDLE_NS: u64 = 20_000_000;

impl Driver<'_> {
    /// Starts the next request on a connection.
    pub(super) fn begin(&mut self, index: usize, intended_ns: u64) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        connection.busy = true;
        connection.number = self.count;
        connection.request = self.turns.at(self.count);
        connection.intended_ns = intended_ns;
        connection.sent_ns = self.now_ns;
        connection.written = 0;
        self.count = self.split.from(self.count + 1);
        let (open, down) = (connection.open, connection.down);
        if let Some(failure) = connection.stray.take() {
            return self.fail(index, &failure);
        }
        self.watch(intended_ns);
        match (open, down) {
            (true, _) => self.write(index),
            (false, true) => self.reopen(index),
            (false, false) => Ok(()),
        }
    }

    fn write(&mut self, index: usize) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        let request = &self.requests[connection.request].bytes[connection.address];
        match connection.write(request) {
            Ok(()) => Ok(()),
            // The server may have answered before it had the whole request, and closed.
            Err(error) if connection.written > 0 => self.read(index, true, Some(&error)),
            Err(error) => self.lost(index, Some(&error)),
        }
    }

    /// Handles an event of a connection.
    pub(super) fn ready(&mut self, index: usize, event: &Event) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        if connection.down {
            return Ok(());
        }
        if connection.open {
            let request = &self.requests[connection.request].bytes[connection.address];
            if connection.busy && connection.written < request.len() {
                self.write(index)?;
            }
        } else {
            // A server may send something at once, and end the connection: there is no other event then.
            match connection.connected(self.order.options.token.as_deref()) {
                Ok(false) => return Ok(()),
                Ok(true) => self.opened(index)?,
                Err(error) => return self.unconnected(index, &error),
            }
        }
        if !self.connections[index].open {
            return Ok(()); // It was lost, and the event with it.
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(index, event.is_read_closed(), None)?;
        }
        Ok(())
    }

    fn opened(&mut self, index: usize) -> Result<(), Fault> {
        self.read_clock();
        let connection = &mut self.connections[index];
        connection.sent_ns = self.now_ns;
        if connection.busy { self.write(index) } else { self.free(index) }
    }

    /// Reads what has arrived. `ends` says that the end of the stream follows. `broken` is why no more can be written.
    fn read(&mut self, index: usize, ends: bool, broken: Option<&io::Error>) -> Result<(), Fault> {
        loop {
            let connection = &mut self.connections[index];
            let read = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return self.lost(index, None),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock && broken.is_none() => {
                    return Ok(());
                }
                Err(error) => return self.lost(index, Some(broken.unwrap_or(&error))),
            };
            self.read_clock();
            let connection = &mut self.connections[index];
            if !connection.busy {
                match connection.progress.unasked(&self.buffer[..read]) {
                    // The connection was idle for longer than the server allows, so the server closes it.
                    Some(true) => return self.lost(index, None),
                    Some(false) => return self.stray(index, read),
                    None => continue,
                }
            }
            let request = &mut self.requests[connection.request];
            match request.take(&mut connection.progress, &self.buffer[..read]) {
                Ok(Step::Done { close }) => return self.complete(index, close || ends),
                // A read that did not fill the buffer emptied the socket: later bytes cause a new event.
                Ok(Step::More) if read < self.buffer.len() && !ends => return Ok(()),
                Ok(Step::More) => {}
                Err(failure) => {
                    let reusable = failure.reusable && !ends;
                    return self.wrong(index, &Failure { reusable, ..failure });
                }
            }
        }
    }

    /// Handles the first `read` bytes of the buffer, which came on a connection without a request. Where errors are
    /// counted, its next request fails with them, on which it is replaced: no request is without an end.
    fn stray(&mut self, index: usize, read: usize) -> Result<(), Fault> {
        let shown = String::from_utf8_lossy(&self.buffer[..read.min(100)]);
        let came = counted(read, "byte");
        let why = format!("{came} came that no request asked for: {shown:?}");
        let failure = self.requests[self.connections[index].request].malformed(why);
        if !self.order.options.counts_errors || failure.kind == Kind::Receipt {
            return Err(self.placed(index, &failure));
        }
        let connection = &mut self.connections[index];
        connection.stray = Some(Box::new(failure));
        // What else comes is not read.
        (connection.open, connection.down) = (false, true);
        let _ = connection.stream.shutdown(Shutdown::Both);
        Ok(())
    }

    /// Handles a wrong answer. A 408 may have crossed with the request, which is then repeated once.
    fn wrong(&mut self, index: usize, failure: &Failure) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        if connection.progress.timed_out() && !connection.repeated {
            connection.repeated = true;
            return self.reopen(index);
        }
        self.fail(index, failure)
    }

    /// Handles a complete answer. `gone` says that the connection cannot be reused.
    fn complete(&mut self, index: usize, gone: bool) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        connection.served_ns = Some(connection.sent_ns);
        // A server may answer before it has taken the whole body: the connection then cannot be reused.
        let request = &self.requests[connection.request].bytes[connection.address];
        let gone = gone || connection.written < request.len();
        if self.is_late(self.connections[index].intended_ns) {
            return self.fail(index, &Failure { reusable: !gone, ..self.timeout() });
        }
        let connection = &mut self.connections[index];
        connection.busy = false;
        connection.used = true;
        connection.repeated = false;
        let (request, intended) = (connection.request, connection.intended_ns);
        self.tally.complete(request, intended, connection.sent_ns, self.now_ns);
        if gone { self.replace(index) } else { self.free(index) }
    }

    /// Reconnects for the next request. In the open loop another free connection may take the request first.
    pub(super) fn replace(&mut self, index: usize) -> Result<(), Fault> {
        self.reopen(index)?;
        if self.schedule.is_some() || self.connections[index].down {
            return Ok(());
        }
        self.free(index)
    }

    /// Frees a connection: it takes the next request, or waits for one.
    pub(super) fn free(&mut self, index: usize) -> Result<(), Fault> {
        while let Some(intended) = self.queue.pop_front() {
            if !self.is_late(intended) {
                return self.begin(index, intended);
            }
            self.give_up(intended)?;
        }
        if self.phase == Phase::Running && self.schedule.is_none() && self.now_ns < self.end_ns {
            self.tally.arrive(self.now_ns, self.now_ns);
            return self.begin(index, self.now_ns);
        }
        self.idle.push_back(index);
        Ok(())
    }

    /// Handles the end of a connection, with or without an error.
    fn lost(&mut self, index: usize, error: Option<&io::Error>) -> Result<(), Fault> {
        let waits = self.phase == Phase::Waiting;
        // The clock was last read when the last bytes came, which may be long ago.
        self.read_clock();
        let connection = &mut self.connections[index];
        if !connection.busy {
            // While all wait for the start, one that was idle for too long is replaced: it must be there at the start.
            let was_idle = self.now_ns.saturating_sub(connection.sent_ns) >= SHORTEST_IDLE_NS;
            if connection.used || (waits && was_idle) {
                self.idle.retain(|idle| *idle != index);
                return self.reopen(index);
            }
            // A server without room for it may close each new one at once: the next is opened for a request.
            (connection.open, connection.down) = (false, true);
            let _ = connection.stream.shutdown(Shutdown::Both);
            return Ok(());
        }
        let request = &mut self.requests[connection.request];
        let began = !connection.progress.is_empty();
        if !began && connection.used && request.idempotent {
            return self.reopen(index);
        }
        let why = match error {
            Some(error) if began => {
                format!("the connection broke in the middle of the answer: {error}")
            }
            Some(error) => format!("the connection broke before an answer: {error}"),
            None if began => {
                return match request.close(&mut connection.progress) {
                    Ok(_) => self.complete(index, true),
                    Err(failure) => self.wrong(index, &failure),
                };
            }
            None if connection.used => format!(
                "the connection was closed without an answer, and a {} is not sent twice: the server may have taken it",
                request.method()
            ),
            None => "the connection was closed without an answer".into(),
        };
        self.wrong(index, &Failure::new(Kind::Closed, why))
    }

    /// Reconnects. The current request of the connection is repeated.
    pub(super) fn reopen(&mut self, index: usize) -> Result<(), Fault> {
        self.tally.reconnects += 1;
        let connection = &mut self.connections[index];
        (connection.open, connection.used, connection.written) = (false, false, 0);
        connection.progress.clear();
        let to = self.order.addresses[connection.address];
        match connect(to, self.poll.registry(), Token(FIRST + index)) {
            Ok(stream) => (connection.stream, connection.down) = (stream, false),
            Err(error) => return self.unconnected(index, &error),
        }
        Ok(())
    }

    /// Ends the requests that the server has left unanswered beyond the time limit.
    pub(super) fn check_answered(&mut self) -> Result<(), Fault> {
        let (now, patience) = (self.now_ns, self.order.patience_ns);
        let silent = |one: &Connection| one.busy && now - one.sent_ns >= patience;
        let sent = self.connections.iter().filter(|one| silent(one)).count();
        // All of the window have waited that long: it ended so long ago.
        let all = sent + self.queue.len();
        let within = humantime::format_duration(Duration::from_nanos(patience));
        let which = if sent == 1 { "this one" } else { "this one first" };
        let requests = counted(all, "request");
        let was = if sent == 1 { "was" } else { "were" };
        let of = if sent == all {
            String::new()
        } else {
            format!(", of which {} {was} sent and the others waited for a connection", count(sent))
        };
        let why = format!("{requests} got no answer within {within}{of}, {which}");
        for index in 0..self.connections.len() {
            if silent(&self.connections[index]) {
                let hint = if self.connections[index].progress.is_endless() {
                    "; one came without a length, which ends when the server closes the connection, and it does not"
                        .into()
                } else {
                    self.unserved()
                };
                self.fail(index, &Failure::new(Kind::Timeout, why.clone() + &hint))?;
            }
        }
        Ok(())
    }

    /// Returns a hint if some connections were served while requests on others waited, and these were never served. A
    /// server that stopped answering at some moment leaves requests on others too, but answers none that is younger.
    fn unserved(&self) -> String {
        let served =
            || self.connections.iter().enumerate().filter(|(_, one)| one.served_ns.is_some());
        let last = served().map(|(_, one)| one.served_ns).max().flatten();
        let passed_over =
            |one: &&Connection| one.busy && one.served_ns.is_none() && Some(one.sent_ns) < last;
        let number = served().count();
        let passed_over = self.connections.iter().filter(passed_over).count();
        let all = count(number + passed_over);
        match served().next() {
            _ if passed_over == 0 => String::new(),
            Some((index, _)) if number == 1 => format!(
                "; of {all} connections only connection {index} was served: the server may serve one at a time, try \
                 --connections 1"
            ),
            _ => format!(
                "; of {all} connections only {} were served: the server may serve no more at a time, try \
                 --connections {number}",
                count(number)
            ),
        }
    }

    /// Returns a fault with its request and connection.
    pub(super) fn placed(&self, index: usize, failure: &Failure) -> Fault {
        let connection = &self.connections[index];
        let to = self.order.addresses[connection.address];
        let name = &self.requests[connection.request].name;
        let number = connection.number;
        failure.at(&if connection.busy {
            format!("request {number} ({name}) on connection {index} to {to}")
        } else {
            format!("connection {index} to {to}")
        })
    }
}
