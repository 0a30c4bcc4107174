//! The event loop: starts requests when they are due, handles answers when they arrive, and does nothing else.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream, unix::SourceFd};

use super::{
    Drive, OPENING, Order,
    answer::Rendered,
    busy_wait::BusyWait,
    connection::{Connection, connect, reach, register},
    failure::Failure,
    interval::{Counted, Intervals},
    loaded::Loaded,
    pace::Pace,
    request::Turns,
    schedule::{Course, Schedule},
    split::Split,
    start::Start,
    tally::Tally,
};
use crate::{
    clock::{nanoseconds, now},
    prepared::Fault,
    quantity::{count, counted},
    usage::waited_for_cpu,
};

const CONTROL: Token = Token(0);
const TIMER: Token = Token(1);
/// The token of the first connection.
pub(super) const FIRST: usize = 2;
/// The most requests that may wait for a connection.
const MOST_QUEUED: usize = 1 << 20;
/// How many connections are opened at once, and how long the server then has to accept them: a full queue drops
/// connections, which are retried only after a second.
const AT_ONCE: usize = 32;
const PAUSE: Duration = Duration::from_millis(1);
/// The least time without a new connection after which opening fails, for any patience: a connection that a full queue
/// dropped is retried after 1 s and after 3 s.
const LEAST_PROGRESS: Duration = Duration::from_secs(4);
/// The time slice that the thread asks for: the shortest that Linux grants. To start a request takes a tenth of it.
#[cfg(target_os = "linux")]
const TIME_SLICE_NS: u64 = 100_000;
/// The size of a read. Most answers are shorter and need no second read.
const CHUNK: usize = 64 << 10;

/// Runs a checked order, and sends each interval when it is complete.
pub(super) fn run(order: &Order, give: mpsc::Sender<Counted>) -> Result<Loaded, Fault> {
    // Beside busy programs, a thread with the usual slice of milliseconds starts requests late. Where it cannot have
    // another, it is as late as it says.
    #[cfg(target_os = "linux")]
    let _ = crate::models::set_time_slice(TIME_SLICE_NS);
    if !order.same_server || order.addresses.len() == 1 {
        return carry_out(order, None, give);
    }
    let name = order.host.as_deref().unwrap_or("the server");
    let patience = Duration::from_nanos(order.patience_ns).min(OPENING);
    let (address, first) = reach(name, &order.addresses, patience)?;
    carry_out(&Order { addresses: vec![address], ..order.clone() }, Some(first), give)
}

/// `first` is the first connection, if it is already open.
fn carry_out(
    order: &Order,
    first: Option<TcpStream>,
    give: mpsc::Sender<Counted>,
) -> Result<Loaded, Fault> {
    let mut events = Events::with_capacity(1024);
    let mut driver = Driver::new(order, give).map_err(|error| system(&error))?;
    let registry = driver.poll.registry();
    let control = registry.register(&mut SourceFd(&0), CONTROL, Interest::READABLE);
    control.map_err(|error| system(&error))?;
    driver.open(&mut events, first)?;
    driver.drive(&mut events)
}

/// How far a load has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connections are being opened.
    Opening,
    /// All were opened, and the start has not come.
    Waiting,
    /// Requests are sent.
    Running,
}

/// A load in progress.
pub(super) struct Driver<'a> {
    pub(super) order: &'a Order,
    pub(super) requests: Vec<Rendered>,
    pub(super) poll: Poll,
    pace: Pace,
    busy_wait: BusyWait,
    /// When to start, once the parent has said so.
    pub(super) start: Option<Start>,
    origin: Instant,
    /// The last reading of the clock, in nanoseconds since the origin.
    pub(super) now_ns: u64,
    pub(super) end_ns: u64,
    pub(super) phase: Phase,
    pub(super) connections: Vec<Connection>,
    /// Connections without a request; the one idle for longest goes first, so that all are used.
    pub(super) idle: VecDeque<usize>,
    /// The intended starts of requests that wait for a connection.
    pub(super) queue: VecDeque<u64>,
    /// `None` in the closed loop.
    pub(super) schedule: Option<Schedule>,
    /// The next arrival; never, if there is none.
    next_ns: u64,
    /// The number of the next request in the whole load.
    pub(super) count: u64,
    /// Which requests of the whole load this generator sends.
    pub(super) split: Split,
    pub(super) turns: Turns,
    /// No request times out before this moment.
    pub(super) deadline_ns: u64,
    /// The connections that could not be opened, and when to retry each.
    pub(super) retries: VecDeque<(u64, usize)>,
    pub(super) tally: Tally,
    pub(super) buffer: Vec<u8>,
}

impl<'a> Driver<'a> {
    pub(super) fn new(order: &'a Order, give: mpsc::Sender<Counted>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let end_ns = order.warm_up_ns + order.duration_ns;
        let window = (order.warm_up_ns, end_ns);
        let split = Split::of(order);
        let schedule = match order.drive {
            Drive::Open { rate, arrivals } => {
                Some(Schedule::new(Course::steady(rate), arrivals, order.seed, split))
            }
            Drive::Ramp { from, to, arrivals } => {
                Some(Schedule::new(Course::ramp(from, to, window), arrivals, order.seed, split))
            }
            Drive::Closed => None,
        };
        let intervals = order.interval_ns.map(|length| Intervals::new(window, length, give));
        let (is_open, parts) = (schedule.is_some(), order.options.weights.len());
        Ok(Driver {
            order,
            requests: order.render(),
            pace: Pace::new(poll.registry(), TIMER)?,
            busy_wait: BusyWait::new(order.options.share.of.into()),
            poll,
            start: None,
            origin: now(),
            now_ns: 0,
            end_ns,
            phase: Phase::Opening,
            connections: Vec::with_capacity(order.connections),
            idle: VecDeque::with_capacity(order.connections),
            queue: VecDeque::with_capacity(if schedule.is_some() { MOST_QUEUED } else { 0 }),
            schedule,
            next_ns: u64::MAX,
            count: split.from(0),
            split,
            turns: Turns::of(order),
            deadline_ns: u64::MAX,
            retries: VecDeque::new(),
            tally: Tally::new(window, is_open, parts, intervals),
            buffer: vec![0; CHUNK],
        })
    }

    /// Opens all connections, some at a time.
    fn open(&mut self, events: &mut Events, mut first: Option<TcpStream>) -> Result<(), Fault> {
        self.start_clock();
        let patience = Duration::from_nanos(self.order.patience_ns).clamp(LEAST_PROGRESS, OPENING);
        let (mut open, mut progress_ns) = (0, 0);
        while self.idle.len() < self.order.connections {
            let opened = self.connections.len();
            if self.idle.len() == opened {
                thread::sleep(PAUSE);
                for index in opened..self.order.connections.min(opened + AT_ONCE) {
                    let address = index % self.order.addresses.len();
                    let to = self.order.addresses[address];
                    let (registry, token) = (self.poll.registry(), Token(FIRST + index));
                    let stream = match first.take() {
                        Some(mut open) => register(&mut open, registry, token).map(|()| open),
                        None => connect(to, registry, token),
                    };
                    let place = |error| {
                        Failure::connect(&error, to).at(&format!("connection {index} to {to}"))
                    };
                    self.connections.push(Connection::new(stream.map_err(place)?, address));
                }
            }
            let until = nanoseconds(OPENING).min(progress_ns + nanoseconds(patience));
            self.wait(events, until)?;
            if self.idle.len() > open {
                (open, progress_ns) = (self.idle.len(), self.now_ns);
            } else if self.now_ns >= until {
                let (open, all) = (count(open), counted(self.order.connections, "connection"));
                let after =
                    humantime::format_duration(Duration::from_millis(self.now_ns / 1_000_000));
                return Err(Fault::Failed(format!(
                    "{open} of {all} could be opened, and after {after} the server accepts no more: its \
                     queue is full, or it has stopped; try fewer --connections"
                )));
            }
        }
        Ok(())
    }

    /// Runs the load and returns its results.
    fn drive(mut self, events: &mut Events) -> Result<Loaded, Fault> {
        self.phase = Phase::Waiting;
        self.await_start(events)?;
        // The server may have closed connections until now.
        self.tally.reconnects = 0;
        self.phase = Phase::Running;
        if self.schedule.is_some() {
            self.plan();
        } else {
            while let Some(index) = self.idle.pop_front() {
                self.free(index)?;
            }
        }
        let patient_until = self.end_ns + self.order.patience_ns;
        loop {
            self.expire()?;
            self.retry()?;
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
            self.wait(events, self.next_ns.min(border).min(self.due_ns()))?;
        }
        Ok(self.tally.loaded(self.connections.len() as u64))
    }

    fn start_clock(&mut self) {
        self.origin = now();
        self.now_ns = 0;
        // After the clock, so that no alarm rings early by the clock.
        self.pace.start();
    }

    /// Moves zero of the clock to a later moment.
    pub(super) fn shift_clock(&mut self, by_ns: u64) {
        self.origin += Duration::from_nanos(by_ns);
        self.pace.shift(by_ns);
        self.read_clock();
    }

    pub(super) fn read_clock(&mut self) {
        self.now_ns = nanoseconds(now().saturating_duration_since(self.origin));
    }

    /// Waits for events until a moment at most, and handles all of them.
    pub(super) fn wait(&mut self, events: &mut Events, until_ns: u64) -> Result<(), Fault> {
        let slept_ns = self.now_ns;
        // Only a start is worth to be awake for.
        let lead = if until_ns == self.next_ns { self.busy_wait.lead_ns(slept_ns) } else { 0 };
        let awake = lead > 0 && until_ns.saturating_sub(slept_ns) <= lead;
        let timeout = if awake {
            Some(Duration::ZERO)
        } else {
            self.busy_wait.was_busy();
            self.pace.wake_at(until_ns - lead, slept_ns).map_err(|error| system(&error))?
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
            other => other.map_err(|error| system(&error))?,
        }
        if events.is_empty() {
            if awake {
                // A thread of the server that waits for this CPU comes first.
                thread::yield_now();
            }
            self.read_clock();
            if awake {
                let now_ns = self.now_ns;
                self.tally.awake_ns +=
                    self.busy_wait.polled_in_vain(slept_ns, now_ns, waited_for_cpu);
            }
        } else {
            self.busy_wait.was_busy();
        }
        for event in &*events {
            match event.token() {
                CONTROL => {
                    self.hear()?;
                    // Its last line and its end are one event.
                    if event.is_read_closed() {
                        std::process::exit(0);
                    }
                }
                TIMER => {
                    let due_ns = self.pace.rang();
                    self.read_clock();
                    // One that rang before the thread slept was not late.
                    if let Some(due_ns) = due_ns.filter(|due_ns| *due_ns > slept_ns) {
                        self.busy_wait.timer_rang(self.now_ns.saturating_sub(due_ns));
                    }
                }
                Token(connection) => self.ready(connection - FIRST, event)?,
            }
            // A start that is due does not wait until all answers are read.
            self.arrive()?;
        }
        Ok(())
    }

    /// Finds the next arrival before the end.
    pub(super) fn plan(&mut self) {
        let next = self.schedule.as_mut().map_or(u64::MAX, Schedule::next);
        self.next_ns = if next < self.end_ns { next } else { u64::MAX };
    }

    /// Starts the requests that are due.
    pub(super) fn arrive(&mut self) -> Result<(), Fault> {
        while self.next_ns <= self.now_ns {
            let intended = self.next_ns;
            self.busy_wait.was_busy();
            self.tally.arrive(intended, self.now_ns);
            self.plan();
            if let Some(index) = self.idle.pop_front() {
                self.begin(index, intended)?;
                // Sending took time: the next request must not appear earlier than it is.
                if self.next_ns <= self.now_ns {
                    self.read_clock();
                }
            } else if self.queue.len() < MOST_QUEUED {
                self.queue.push_back(intended);
                self.watch(intended);
            } else {
                return Err(Fault::Failed(format!(
                    "over {MOST_QUEUED} requests wait for a connection: the rate is far above what the server does"
                )));
            }
        }
        Ok(())
    }
}

pub(super) fn system(error: &io::Error) -> Fault {
    Fault::Failed(format!("the load generator cannot work: {error}"))
}
