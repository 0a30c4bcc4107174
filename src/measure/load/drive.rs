//! The loop: arrivals when they are due, answers when they come, and nothing else in between.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read},
    thread,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, event::Event, unix::SourceFd};

use super::{
    Drive, OPENING, Order,
    answer::{Rendered, Step},
    connection::{Connection, connect, refused},
    loaded::Loaded,
    pace::Pace,
    schedule::Schedule,
    tally::Tally,
};
use crate::measure::{
    Fault,
    clock::{nanoseconds, now},
};

const CONTROL: Token = Token(0);
const TIMER: Token = Token(1);
/// The token of the first connection.
const FIRST: usize = 2;
/// How many requests may wait for a connection.
const MOST_QUEUED: usize = 1 << 20;
/// How many connections are opened at once, and how long the server then has to accept them: a queue that overflows
/// drops connections, and each comes again after a second only.
const AT_ONCE: usize = 32;
const PAUSE: Duration = Duration::from_millis(1);
/// How much is read at a time. More than most answers: one that does not fill it needs no second read.
const CHUNK: usize = 64 << 10;

/// Carries out a checked order.
pub(super) fn run(order: &Order) -> Result<Loaded, Fault> {
    let mut events = Events::with_capacity(1024);
    let mut driver = Driver::new(order).map_err(|error| system(&error))?;
    driver.open(&mut events)?;
    driver.drive(&mut events)
}

struct Driver<'a> {
    order: &'a Order,
    requests: Vec<Rendered>,
    poll: Poll,
    pace: Pace,
    origin: Instant,
    /// The clock when it was last read, in nanoseconds since the origin.
    now_ns: u64,
    end_ns: u64,
    running: bool,
    connections: Vec<Connection>,
    /// Those without a request; the one that has been so for longest goes first, so that all are used.
    idle: VecDeque<usize>,
    /// When those that wait for a connection were meant to start.
    queue: VecDeque<u64>,
    /// `None` in the closed loop.
    schedule: Option<Schedule>,
    /// The next arrival; never, where there is none.
    next_ns: u64,
    /// How many requests there were.
    count: u64,
    tally: Tally,
    buffer: Vec<u8>,
}

impl<'a> Driver<'a> {
    fn new(order: &'a Order) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&0), CONTROL, Interest::READABLE)?;
        let end_ns = order.warm_up_ns + order.duration_ns;
        let schedule = match order.drive {
            Drive::Open { rate, arrivals } => Some(Schedule::new(rate, arrivals, order.seed)),
            Drive::Closed => None,
        };
        Ok(Driver {
            order,
            requests: order.render(),
            pace: Pace::new(poll.registry(), TIMER)?,
            poll,
            origin: now(),
            now_ns: 0,
            end_ns,
            running: false,
            connections: Vec::with_capacity(order.connections),
            idle: VecDeque::with_capacity(order.connections),
            queue: VecDeque::with_capacity(if schedule.is_some() { MOST_QUEUED } else { 0 }),
            schedule,
            next_ns: u64::MAX,
            count: 0,
            tally: Tally::new(order.warm_up_ns, end_ns),
            buffer: vec![0; CHUNK],
        })
    }

    /// Opens all connections, some at a time.
    fn open(&mut self, events: &mut Events) -> Result<(), Fault> {
        self.start_clock();
        while self.idle.len() < self.order.connections {
            let opened = self.connections.len();
            if self.idle.len() == opened {
                thread::sleep(PAUSE);
                for index in opened..self.order.connections.min(opened + AT_ONCE) {
                    let address = index % self.order.addresses.len();
                    let to = self.order.addresses[address];
                    let stream = connect(to, self.poll.registry(), Token(FIRST + index));
                    let place =
                        |error| placed(&format!("connection {index} to {to}"), refused(&error));
                    self.connections.push(Connection::new(stream.map_err(place)?, address));
                }
            }
            self.wait(events, nanoseconds(OPENING))?;
            if self.now_ns >= nanoseconds(OPENING) {
                let (open, all) = (self.idle.len(), self.order.connections);
                let within = humantime::format_duration(OPENING);
                return Err(Fault::Failed(format!(
                    "{open} of {all} connections could be opened within {within}"
                )));
            }
        }
        self.tally.reconnects = 0;
        Ok(())
    }

    /// Drives the load and returns what came of it.
    fn drive(mut self, events: &mut Events) -> Result<Loaded, Fault> {
        self.start_clock();
        self.running = true;
        if self.schedule.is_some() {
            self.plan();
        } else {
            while let Some(index) = self.idle.pop_front() {
                self.free(index)?;
            }
        }
        let patient_until = self.end_ns + self.order.patience_ns;
        loop {
            self.arrive()?;
            self.tally.look(self.now_ns);
            if self.now_ns >= self.end_ns && self.tally.in_flight() == 0 {
                break;
            }
            if self.now_ns >= patient_until {
                self.check_answered()?;
                break;
            }
            let border = if self.now_ns < self.end_ns { self.end_ns } else { patient_until };
            self.wait(events, self.next_ns.min(border))?;
        }
        self.tally.loaded(self.connections.len() as u64, self.schedule.is_some())
    }

    fn start_clock(&mut self) {
        self.pace.start();
        self.origin = now();
        self.now_ns = 0;
    }

    fn read_clock(&mut self) {
        self.now_ns = nanoseconds(now().saturating_duration_since(self.origin));
    }

    /// Waits for events, until a moment at most, and handles all there are.
    fn wait(&mut self, events: &mut Events, until_ns: u64) -> Result<(), Fault> {
        let timeout = self.pace.wake_at(until_ns, self.now_ns).map_err(|error| system(&error))?;
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
            other => other.map_err(|error| system(&error))?,
        }
        if events.is_empty() {
            self.read_clock();
        }
        for event in &*events {
            match event.token() {
                CONTROL => end_with_parent(),
                TIMER => self.read_clock(),
                Token(connection) => self.ready(connection - FIRST, event)?,
            }
        }
        Ok(())
    }

    /// Finds the next arrival that is before the end.
    fn plan(&mut self) {
        let next = self.schedule.as_mut().map_or(u64::MAX, Schedule::next);
        self.next_ns = if next < self.end_ns { next } else { u64::MAX };
    }

    /// Starts the requests that are due.
    fn arrive(&mut self) -> Result<(), Fault> {
        while self.next_ns <= self.now_ns {
            let intended = self.next_ns;
            self.tally.arrive(intended, self.now_ns);
            self.plan();
            if let Some(index) = self.idle.pop_front() {
                self.begin(index, intended)?;
                // Sending took time: the one after must not look earlier than it is.
                if self.next_ns <= self.now_ns {
                    self.read_clock();
                }
            } else if self.queue.len() < MOST_QUEUED {
                self.queue.push_back(intended);
            } else {
                return Err(Fault::Failed(format!(
                    "over {MOST_QUEUED} requests wait for a connection: the rate is far above what the server does"
                )));
            }
        }
        Ok(())
    }

    /// Gives a connection the next request.
    fn begin(&mut self, index: usize, intended_ns: u64) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        connection.busy = true;
        connection.number = self.count;
        connection.request = (self.count % self.requests.len() as u64) as usize;
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
    fn ready(&mut self, index: usize, event: &Event) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        if !connection.open {
            return match connection.connected() {
                Ok(false) => Ok(()),
                Ok(true) => self.opened(index),
                Err(error) => Err(self.placed(index, refused(&error))),
            };
        }
        let request = &self.requests[connection.request].bytes[connection.address];
        if connection.busy && connection.written < request.len() {
            self.write(index)?;
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
                let fault = format!("{read} bytes came that no request asked for");
                return Err(self.placed(index, Fault::Invalid(fault)));
            }
            let request = &mut self.requests[connection.request];
            match request.take(&mut connection.progress, &self.buffer[..read]) {
                Ok(Step::Done { close }) => return self.complete(index, close || ends),
                // A read that did not fill the buffer emptied the socket: what comes later is a new event.
                Ok(Step::More) if read < self.buffer.len() && !ends => return Ok(()),
                Ok(Step::More) => {}
                Err(fault) => return Err(self.placed(index, fault)),
            }
        }
    }

    /// A request is answered. `gone` says that the connection takes no other.
    fn complete(&mut self, index: usize, gone: bool) -> Result<(), Fault> {
        let connection = &mut self.connections[index];
        connection.busy = false;
        connection.used = true;
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
    fn free(&mut self, index: usize) -> Result<(), Fault> {
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
            Err(fault) => Err(self.placed(index, fault)),
        }
    }

    /// Connects anew. A request that the connection has is sent again.
    fn reopen(&mut self, index: usize) -> Result<(), Fault> {
        self.tally.reconnects += 1;
        let connection = &mut self.connections[index];
        (connection.open, connection.used, connection.written) = (false, false, 0);
        let to = self.order.addresses[connection.address];
        match connect(to, self.poll.registry(), Token(FIRST + index)) {
            Ok(stream) => connection.stream = stream,
            Err(error) => return Err(self.placed(index, refused(&error))),
        }
        Ok(())
    }

    /// Says which requests the server has left without an answer for as long as it may.
    fn check_answered(&self) -> Result<(), Fault> {
        let patience = self.order.patience_ns;
        let silent = |one: &&Connection| one.busy && self.now_ns - one.sent_ns >= patience;
        let count = self.connections.iter().filter(silent).count();
        let within = humantime::format_duration(Duration::from_nanos(patience));
        match self.connections.iter().position(|one| silent(&one)) {
            None => Ok(()),
            Some(first) => {
                let fault =
                    format!("{count} requests got no answer within {within}, this one first");
                Err(self.placed(first, Fault::Failed(fault)))
            }
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

fn placed(place: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Invalid(message) => Fault::Invalid(format!("{place}: {message}")),
        Fault::Failed(message) => Fault::Failed(format!("{place}: {message}")),
    }
}

fn system(error: &io::Error) -> Fault {
    Fault::Failed(format!("the load generator cannot work: {error}"))
}

/// Ends the process if its standard input has ended, which its parent holds.
fn end_with_parent() {
    if matches!(io::stdin().read(&mut [0; 64]), Ok(0)) {
        std::process::exit(0);
    }
}
