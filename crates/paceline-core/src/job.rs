//! What a job is, what it must yield, and what it asks of a machine.
//!
//! A job is loaded once and lives as long as the process (`&'static`): jobs by the million then share it without a
//! reference count, which would be one contended write per job.

pub mod bounds;
mod demand;
mod every;
mod kept;
mod read;
mod receipt;
mod text;
mod wire;

pub use bounds::Bound;
pub use demand::Demand;
pub use every::{chosen_below, is_chosen};
pub use read::{ReadError, Workers, Workload};
pub(crate) use receipt::said;
pub use receipt::{Receipt, compute, mix, rounds_of};
pub use text::did_you_mean;

use std::{net::SocketAddr, ops::Deref, time::Duration};

use serde::{Deserialize, Serialize};

use crate::job::{kept::Kept, receipt::child_seed};

/// One elementary act of a job. The table in docs/jobs.md says what each means on each kind of model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Waits on a timer, giving way to other jobs where the model can.
    Sleep(Duration),
    /// Waits, holding the OS thread: the classic mistake.
    Block(Duration),
    /// So many rounds of [`compute`]; never yields.
    Compute(u64),
    /// Hands `block` and `compute` steps to where the model puts blocking and CPU-heavy work.
    Offload(Box<Steps>),
    /// Opens a connection to the suite's server, which is what `Exchange`, `Say` and `Hear` then use.
    Connect(Server),
    /// Takes a connection of a pool until the list ends or connects anew, and waits where all are taken.
    Pool(Pool),
    /// Sends `bytes` and receives as many back, `times` times.
    Exchange {
        /// The size of a message in bytes, at least 8.
        bytes: usize,
        /// How many round trips.
        times: u64,
    },
    /// Starts a partner and passes a message to it and back so many times.
    Hop(u64),
    /// Gives way so many times.
    Yield(u64),
    /// Says something to a room, and waits until it is heard, so many times.
    Say(Messages),
    /// Hears what somebody says in a room, so many times.
    Hear(Messages),
    /// Starts children at once and waits for all.
    Gather(Box<Gather>),
    /// Starts children at once, as a task group: whether one fails is its own affair, and not the job's.
    Group(Box<Group>),
    /// Ends a child of a group with an error.
    Fail,
    /// Waits until the last job of the batch has begun. It is a job's first step, so that nothing can fail before it
    /// and keep the others waiting.
    Park,
}

/// What the suite's server is to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// It returns what it is sent.
    Echo,
    /// It returns what it is sent, so much later.
    Slow(Duration),
    /// It sends on what one says to all jobs of the batch, once all of them are there.
    Room,
}

/// Connections that a step keeps open from one job to the next: so many in a process, or on each core of a runtime of
/// one core each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// How many.
    pub size: usize,
    /// To what.
    pub server: Server,
    /// The connections.
    pub(crate) kept: Kept,
}

/// Messages in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Messages {
    /// The size of each in bytes, at least 8.
    pub bytes: usize,
    /// How many.
    pub times: u64,
}

/// What the children of a gather are to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Tasks of their own, each spawned and then awaited.
    Tasks,
    /// Parts of one future, which is part of their parent's task.
    Future,
}

/// Children that are waited for together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gather {
    /// How many children.
    pub width: usize,
    /// What each of them does: one list for all, or one list each.
    pub of: Vec<Steps>,
    /// What they are to the model.
    pub join: Join,
}

impl Gather {
    /// What child `index` does.
    #[inline]
    #[must_use]
    pub fn steps(&self, index: usize) -> &Steps {
        self.of.get(index).unwrap_or(&self.of[0])
    }

    /// Its sorts of children, and how many of each there are.
    pub fn sorts(&self) -> impl Iterator<Item = (usize, &Steps)> {
        self.of.iter().map(|steps| (self.width / self.of.len(), steps))
    }
}

/// Children that end together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How many children.
    pub width: usize,
    /// What each of them does.
    pub of: Steps,
    /// What one child of each `nth` does instead: see [`is_chosen`].
    pub every: Option<(usize, Steps)>,
    /// Whether the first that fails ends the others; else they run to their ends.
    pub cancels: bool,
}

impl Group {
    /// What child `index` does.
    #[inline]
    #[must_use]
    pub fn steps(&self, index: usize) -> &Steps {
        match &self.every {
            Some((nth, other)) if is_chosen(index, *nth) => other,
            _ => &self.of,
        }
    }

    /// Its sorts of children, and how many of each there are.
    #[must_use]
    pub fn sorts(&self) -> Vec<(usize, &Steps)> {
        match &self.every {
            None => vec![(self.width, &self.of)],
            Some((nth, other)) => {
                let others = chosen_below(self.width, *nth);
                vec![(others, other), (self.width - others, &self.of)]
            }
        }
    }

    /// Whether some child of it fails.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.sorts().iter().any(|(count, steps)| *count > 0 && steps.fail())
    }
}

impl Step {
    /// The name of the step in a workload file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Step::Sleep(_) => "sleep",
            Step::Block(_) => "block",
            Step::Compute(_) => "compute",
            Step::Offload(_) => "offload",
            Step::Connect(_) | Step::Pool(_) => "connect",
            Step::Exchange { .. } => "exchange",
            Step::Hop(_) => "hop",
            Step::Yield(_) => "yield",
            Step::Say(_) => "say",
            Step::Hear(_) => "hear",
            Step::Gather(_) => "gather",
            Step::Group(_) => "group",
            Step::Fail => "fail",
            Step::Park => "park",
        }
    }

    /// The name of what not every model can do that knows the step, if this is it.
    #[must_use]
    pub fn variant(&self) -> Option<&'static str> {
        match self {
            Step::Connect(Server::Slow(_)) => Some("connect.slow"),
            Step::Connect(Server::Room) => Some("connect.room"),
            Step::Pool(_) => Some("connect.pool"),
            Step::Gather(gather) if gather.join == Join::Future => Some("gather.future"),
            Step::Gather(gather) if gather.of.len() > 1 => Some("gather.each"),
            Step::Group(group) if group.cancels => Some("group.cancel"),
            _ => None,
        }
    }

    /// The lists of steps within it.
    #[must_use]
    pub fn inner(&self) -> Vec<&Steps> {
        match self {
            Step::Offload(of) => vec![of],
            Step::Gather(gather) => gather.of.iter().collect(),
            Step::Group(group) => {
                let other = group.every.as_ref().map(|(_, steps)| steps);
                [&group.of].into_iter().chain(other).collect()
            }
            _ => vec![],
        }
    }
}

/// Steps, in order. Jobs hold a thin pointer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    list: Vec<Step>,
    whole: bool,
}

impl Steps {
    /// Whether these are the steps of a whole job, and not of a child or of an offload.
    #[inline]
    #[must_use]
    pub fn is_whole_job(&self) -> bool {
        self.whole
    }

    /// Whether whoever does them comes to a step that `is`. What a group may cancel does not count.
    #[must_use]
    pub fn surely(&self, is: fn(&Step) -> bool) -> bool {
        self.iter().any(|step| match step {
            Step::Gather(gather) => gather.of.iter().any(|steps| steps.surely(is)),
            Step::Group(group) if group.cancels && group.fails() => false,
            Step::Group(group) => {
                group.sorts().iter().any(|(count, steps)| *count > 0 && steps.surely(is))
            }
            step => is(step),
        })
    }

    /// Whether who does them fails.
    #[must_use]
    pub fn fail(&self) -> bool {
        self.list.last() == Some(&Step::Fail)
    }
}

impl From<Vec<Step>> for Steps {
    fn from(list: Vec<Step>) -> Self {
        Steps { list, whole: false }
    }
}

impl Deref for Steps {
    type Target = [Step];

    #[inline]
    fn deref(&self) -> &[Step] {
        &self.list
    }
}

/// What a job and its children wait for: it decides how their futures are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// Nothing: such a job is a plain function call.
    Nothing,
    /// Timers, yields, and the other jobs.
    Timers,
    /// Sockets.
    Sockets,
    /// A partner.
    Partners,
    /// More than one of these, or children, or connections of a pool.
    Mixed,
}

impl Waits {
    /// What `steps` wait for.
    #[must_use]
    pub fn of(steps: &[Step]) -> Waits {
        let one = |step: &Step| match step {
            Step::Compute(_) | Step::Block(_) | Step::Fail => Waits::Nothing,
            Step::Sleep(_) | Step::Yield(_) | Step::Park => Waits::Timers,
            Step::Connect(_) | Step::Exchange { .. } | Step::Say(_) | Step::Hear(_) => {
                Waits::Sockets
            }
            Step::Hop(_) => Waits::Partners,
            Step::Pool(_) | Step::Offload(_) | Step::Gather(_) | Step::Group(_) => Waits::Mixed,
        };
        steps.iter().map(one).fold(Waits::Nothing, Waits::and)
    }

    /// What two jobs of one batch wait for, both.
    #[must_use]
    pub fn and(self, other: Waits) -> Waits {
        match (self, other) {
            (Waits::Nothing, other) | (other, Waits::Nothing) => other,
            (a, b) if a == b => a,
            _ => Waits::Mixed,
        }
    }
}

/// The jobs of a cell: the steps of the usual one, and of one in every so many.
#[derive(Clone, Copy, Debug)]
pub struct Jobs {
    usual: &'static Steps,
    nth: usize,
    other: &'static Steps,
}

impl Jobs {
    /// Keeps the definition for as long as the process lives.
    #[must_use]
    pub fn load(workload: &Workload) -> Self {
        let keep = |steps: &Steps| -> &'static Steps {
            Box::leak(Box::new(Steps { list: steps.list.clone(), whole: true }))
        };
        let usual = keep(&workload.job);
        match &workload.every {
            Some((nth, steps)) => Jobs { usual, nth: *nth, other: keep(steps) },
            None => Jobs { usual, nth: usize::MAX, other: usual },
        }
    }

    /// The steps of job `index`: for one of each `nth` the unusual ones, as [`is_chosen`] says.
    #[inline]
    #[must_use]
    pub fn steps(self, index: usize) -> &'static Steps {
        if self.nth != usize::MAX && is_chosen(index, self.nth) { self.other } else { self.usual }
    }

    /// Whether each waits until all have begun.
    #[must_use]
    pub fn park(self) -> bool {
        self.usual.first() == Some(&Step::Park)
    }

    /// What any of them waits for.
    #[must_use]
    pub fn waits(self) -> Waits {
        Waits::of(self.usual).and(Waits::of(self.other))
    }

    /// The seed of job `index`: what its receipt starts from.
    #[inline]
    #[must_use]
    pub fn seed(index: usize) -> u64 {
        child_seed(0, index)
    }

    /// The receipt that job `index` must return.
    #[must_use]
    pub fn expected(self, index: usize) -> Receipt {
        Receipt::expected(self.steps(index), Self::seed(index))
    }
}

/// Where the suite's server listens: jobs are dealt out to the addresses by their seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// As [`Server::Echo`].
    #[serde(rename = "servers")]
    pub echo: Vec<SocketAddr>,
    /// As [`Server::Slow`].
    #[serde(default)]
    pub slow: Vec<SocketAddr>,
    /// As [`Server::Room`].
    #[serde(default)]
    pub rooms: Vec<SocketAddr>,
}

impl Addresses {
    /// Those of a server of this sort.
    #[inline]
    #[must_use]
    pub fn of(&self, server: Server) -> &[SocketAddr] {
        match server {
            Server::Echo => &self.echo,
            Server::Slow(_) => &self.slow,
            Server::Room => &self.rooms,
        }
    }
}
