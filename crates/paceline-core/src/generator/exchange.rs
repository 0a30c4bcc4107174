//! Requests on their connections: sent, answered, and sent again where a connection ended before it took them.

use std::{
    io::{self, ErrorKind, Read},
    time::Duration,
};

use mio::{Token, event::Event};

use super::{
    answer::Step,
    connection::{Connection, connect, refused},
    drive::{Driver, FIRST},
};
use crate::prepared::Fault;

impl Driver<'_> {
    /// Gives a connection the next request.
    pub(super) fn begin(&mut self, index: usize, intended_ns: u64) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        connection.busy = true;
        connection.number = self.count;
        connection.request = self.order.turn(self.count);
        connection.intended_ns = intended_ns;
        connection.sent_ns = self.now_ns;
        connection.written = 0;
        self.count += 1;
        if connection.open { self.write(index) } else { Ok(()) }
    }

    fn write(&mut self, index: usize) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        let request = &self.requests[connection.request].bytes[connection.address];
        match connection.write(request) {
            Ok(()) => Ok(()),
            Err(error) => self.lost(index, Some(&error)),
        }
    }

    /// A connection has an event.
    pub(super) fn ready(&mut self, index: usize, event: &Event) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        if !connection.open {
            return match connection.connected() {
                Ok(false) => Ok(()),
                Ok(true) => self.opened(index),
                Err(error) => {
                    let to = self.order.addresses[connection.address];
                    Err(self.placed(index, refused(&error, to)))
                }
            };
        }
        let request = &self.requests[connection.request].bytes[connection.address];
        if connection.busy && connection.written < request.len() {
            self.write(index)?;
            if !self.connections[index].open {
                return Ok(()); // It was lost, and the event with it.
            }
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(index, event.is_read_closed())?;
        }
        Ok(())
    }

    fn opened(&mut self, index: usize) -> Result<(), Fault> {
        self.read_clock();
        let connection = &mut self.connections[index];
        if connection.busy {
            connection.sent_ns = self.now_ns;
            self.write(index)
        } else {
            self.free(index)
        }
    }

    /// Reads what has come. `ends` says that the end of the stream is behind it.
    fn read(&mut self, index: usize, ends: bool) -> Result<(), Fault> {
        loop {
            let connection = &mut self.connections[index];
            let read = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return self.lost(index, None),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.lost(index, Some(&error)),
            };
            self.read_clock();
            let connection = &mut self.connections[index];
            if !connection.busy {
                match connection.progress.unasked(&self.buffer[..read]) {
                    // The connection was idle for longer than the server waits, which then closes it.
                    Some(true) => return self.lost(index, None),
                    Some(false) => {
                        let fault = format!("{read} bytes came that no request asked for");
                        return Err(self.placed(index, Fault::Invalid(fault)));
                    }
                    None => continue,
                }
            }
            let request = &mut self.requests[connection.request];
            match request.take(&mut connection.progress, &self.buffer[..read]) {
                Ok(Step::Done { close }) => return self.complete(index, close || ends),
                // A read that did not fill the buffer emptied the socket: what comes later is a new event.
                Ok(Step::More) if read < self.buffer.len() && !ends => return Ok(()),
                Ok(Step::More) => {}
                Err(fault) => return self.wrong(index, fault),
            }
        }
    }

    /// An answer is not right. A 408 may not be one: it crossed with the request, which is then sent again, once.
    fn wrong(&mut self, index: usize, fault: Fault) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        if connection.progress.timed_out() && !connection.repeated {
            connection.repeated = true;
            return self.reopen(index);
        }
        Err(self.placed(index, fault))
    }

    /// A request is answered. `gone` says that the connection takes no other.
    fn complete(&mut self, index: usize, gone: bool) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        connection.busy = false;
        connection.used = true;
        connection.served = true;
        connection.repeated = false;
        self.tally.complete(connection.intended_ns, connection.sent_ns, self.now_ns);
        if gone {
            self.reopen(index)?;
            // In the open loop another connection may be free for the next one before this is open again.
            if self.schedule.is_some() {
                return Ok(());
            }
        }
        self.free(index)
    }

    /// A connection has no request: it takes the next one, or waits for it.
    pub(super) fn free(&mut self, index: usize) -> Result<(), Fault> {
        if let Some(intended) = self.queue.pop_front() {
            return self.begin(index, intended);
        }
        if self.running && self.schedule.is_none() && self.now_ns < self.end_ns {
            self.tally.arrive(self.now_ns, self.now_ns);
            return self.begin(index, self.now_ns);
        }
        self.idle.push_back(index);
        Ok(())
    }

    /// A connection has ended, with an error or without.
    fn lost(&mut self, index: usize, error: Option<&io::Error>) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        if !connection.busy {
            self.idle.retain(|idle| *idle != index);
            return self.reopen(index);
        }
        if connection.progress.is_empty() && connection.used {
            return self.reopen(index);
        }
        let found = match error {
            Some(error) if connection.progress.is_empty() => {
                Err(Fault::Failed(format!("the connection broke before an answer: {error}")))
            }
            Some(error) => Err(Fault::Failed(format!(
                "the connection broke in the middle of the answer: {error}"
            ))),
            None if connection.progress.is_empty() => {
                Err(Fault::Failed("the connection was closed without an answer".into()))
            }
            None => self.requests[connection.request].close(&mut connection.progress),
        };
        match found {
            Ok(_) => self.complete(index, true),
            Err(fault) => self.wrong(index, fault),
        }
    }

    /// Connects anew. A request that the connection has is sent again.
    fn reopen(&mut self, index: usize) -> Result<(), Fault> {
        self.tally.reconnects += 1;
        let connection = &mut self.connections[index];
        (connection.open, connection.used, connection.written) = (false, false, 0);
        connection.progress.clear();
        let to = self.order.addresses[connection.address];
        match connect(to, self.poll.registry(), Token(FIRST + index)) {
            Ok(stream) => connection.stream = stream,
            Err(error) => return Err(self.placed(index, refused(&error, to))),
        }
        Ok(())
    }

    /// Says which requests the server has left without an answer for as long as it may.
    pub(super) fn check_answered(&self) -> Result<(), Fault> {
        let patience = self.order.patience_ns;
        let silent = |one: &&Connection| one.busy && self.now_ns - one.sent_ns >= patience;
        let count = self.connections.iter().filter(silent).count();
        let within = humantime::format_duration(Duration::from_nanos(patience));
        match self.connections.iter().position(|one| silent(&one)) {
            None => Ok(()),
            Some(first) => {
                let (requests, which) = if count == 1 {
                    ("request", "this one")
                } else {
                    ("requests", "this one first")
                };
                let fault = format!("{count} {requests} got no answer within {within}, {which}");
                let hint = if self.connections[first].progress.is_endless() {
                    "; one came without a length, which ends when the server closes the connection, and it does not"
                        .into()
                } else {
                    self.unserved()
                };
                Err(self.placed(first, Fault::Failed(fault + &hint)))
            }
        }
    }

    /// A hint, where some connections were served and others never.
    fn unserved(&self) -> String {
        let (mut served, all) = (
            self.connections.iter().enumerate().filter(|(_, one)| one.served),
            self.connections.len(),
        );
        match (served.next(), served.count() + 1) {
            (None, _) => String::new(),
            (Some(_), number) if number == all => String::new(),
            (Some((index, _)), 1) => format!(
                "; of {all} connections only connection {index} was served: the server may serve one at a time, try \
                 --connections 1"
            ),
            (Some(_), number) => format!(
                "; of {all} connections only {number} were served: the server may serve no more at a time, try \
                 --connections {number}"
            ),
        }
    }

    /// A fault, with the request and the connection that had it.
    fn placed(&self, index: usize, fault: Fault) -> Fault {
        let connection = &self.connections[index];
        let to = self.order.addresses[connection.address];
        let path = &self.requests[connection.request].path;
        let number = connection.number;
        if connection.busy {
            placed(&format!("request {number} (GET {path}) on connection {index} to {to}"), fault)
        } else {
            placed(&format!("connection {index} to {to}"), fault)
        }
    }
}

/// A fault, with the place where it happened.
pub(super) fn placed(place: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Invalid(message) => Fault::Invalid(format!("{place}: {message}")),
        Fault::Failed(message) => Fault::Failed(format!("{place}: {message}")),
    }
}
