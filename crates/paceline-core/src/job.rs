//! What a job is, its expected result, and its demand on a machine.
//!
//! A job is loaded once and lives as long as the process (`&'static`). Millions of jobs then share it without a
//! reference count, which would cost one contended write per job.

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
pub(crate) use receipt::room_messages;
pub use receipt::{Receipt, compute, mix, rounds_of};
pub use text::{did_you_mean, is_near, nearest};

use std::{net::SocketAddr, ops::Deref, time::Duration};

use serde::{Deserialize, Serialize};

use crate::job::{kept::Kept, receipt::child_seed};

/// One step of a job. The table in docs/jobs.md defines each for each kind of model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Waits on a timer, and yields to other jobs if the model can.
    Sleep(Duration),
    /// Waits while holding the OS thread: the classic mistake.
    Block(Duration),
    /// Runs this number of rounds of [`compute`], without yielding.
    Compute(u64),
    /// Runs `block` and `compute` steps where the model runs blocking and CPU-heavy work.
    Offload(Box<Steps>),
    /// Opens a connection to the suite's server, for the `Exchange`, `Say` and `Hear` steps that follow.
    Connect(Server),
    /// Takes a connection from a pool, waiting if all are taken. The job holds it until its list of steps ends or the
    /// next `Connect` or `Pool`.
    Pool(Pool),
    /// Sends `bytes` and receives as many back, `times` times.
    Exchange {
        /// The size of a message in bytes, at least 8.
        bytes: usize,
        /// The number of round trips.
        times: u64,
    },
    /// Starts a partner and passes a message to it and back this number of times.
    Hop(u64),
    /// Yields to other jobs this number of times.
    Yield(u64),
    /// Sends messages to a room, waiting after each until it is heard.
    Say(Messages),
    /// Receives messages that another job sends to a room.
    Hear(Messages),
    /// Starts children concurrently and waits for all of them.
    Gather(Box<Gather>),
    /// Starts children concurrently as a task group. A child that fails does not fail the job.
    Group(Box<Group>),
    /// Ends a child of a group with an error.
    Fail,
    /// Waits until the last job of the batch has started. It is always a job's first step, so that no earlier step can
    /// fail and leave the others waiting.
    Park,
}

/// How the suite's server treats a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Echoes what it receives.
    Echo,
    /// Echoes what it receives after this delay.
    Slow(Duration),
    /// Broadcasts a member's messages to all jobs of the batch, once all of them have joined.
    Room,
}

/// Connections that a step keeps open between jobs. Each process has its own, or each core in a model with one runtime
/// per core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The number of connections.
    pub size: usize,
    /// What they connect to.
    pub server: Server,
    /// The connections.
    pub(crate) kept: Kept,
}

/// Messages in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Messages {
    /// The size of each in bytes, at least 8.
    pub bytes: usize,
    /// The number of messages.
    pub times: u64,
}

/// How the children of a gather run on the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// As separate tasks, each spawned and then awaited.
    Tasks,
    /// As parts of one future within the parent's task.
    Future,
}

/// Children that are awaited together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gather {
    /// The number of children.
    pub width: usize,
    /// The steps of the children: one list for all, or one list each.
    pub of: Vec<Steps>,
    /// How the children run.
    pub join: Join,
}

impl Gather {
    /// Returns the steps of child `index`.
    #[inline]
    pub fn steps(&self, index: usize) -> &Steps {
        self.of.get(index).unwrap_or(&self.of[0])
    }

    /// Returns the distinct kinds of children, and the number of each.
    pub fn kinds(&self) -> impl Iterator<Item = (usize, &Steps)> {
        self.of.iter().map(|steps| (self.width / self.of.len(), steps))
    }
}

/// Children of a task group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The number of children.
    pub width: usize,
    /// The steps of each child.
    pub of: Steps,
    /// The steps that one child of each `nth` runs instead: see [`is_chosen`].
    pub every: Option<(usize, Steps)>,
    /// Whether the first failure cancels the other children; otherwise they run to completion.
    pub cancels: bool,
}

impl Group {
    /// Returns the steps of child `index`.
    #[inline]
    pub fn steps(&self, index: usize) -> &Steps {
        match &self.every {
            Some((nth, other)) if is_chosen(index, *nth) => other,
            _ => &self.of,
        }
    }

    /// Returns the distinct kinds of children, and the number of each.
    pub fn kinds(&self) -> Vec<(usize, &Steps)> {
        match &self.every {
            None => vec![(self.width, &self.of)],
            Some((nth, other)) => {
                let others = chosen_below(self.width, *nth);
                vec![(others, other), (self.width - others, &self.of)]
            }
        }
    }

    /// Returns whether any child fails.
    pub fn fails(&self) -> bool {
        self.kinds().iter().any(|(count, steps)| *count > 0 && steps.fail())
    }
}

impl Step {
    /// Returns the step's name in a workload file.
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

    /// Returns the name of this step's variant, if it is one that not every model with the step supports.
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

    /// Returns the lists of steps inside this step.
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

/// A list of steps. Jobs hold a thin pointer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    list: Vec<Step>,
    whole: bool,
    waits: Waits,
}

impl Steps {
    /// Returns whether this is a whole job, rather than the steps of a child or an offload.
    #[inline]
    pub fn is_whole_job(&self) -> bool {
        self.whole
    }

    /// Returns what running these steps waits for.
    #[inline]
    pub fn waits(&self) -> Waits {
        self.waits
    }

    /// Returns whether running these steps always reaches a step for which `is` returns true. Steps that a group may
    /// cancel do not count.
    pub fn always_reaches(&self, is: fn(&Step) -> bool) -> bool {
        self.iter().any(|step| match step {
            Step::Gather(gather) => gather.of.iter().any(|steps| steps.always_reaches(is)),
            Step::Group(group) if group.cancels && group.fails() => false,
            Step::Group(group) => {
                group.kinds().iter().any(|(count, steps)| *count > 0 && steps.always_reaches(is))
            }
            step => is(step),
        })
    }

    /// Returns whether running these steps fails.
    pub fn fail(&self) -> bool {
        self.list.last() == Some(&Step::Fail)
    }
}

impl From<Vec<Step>> for Steps {
    fn from(list: Vec<Step>) -> Self {
        let waits = Waits::of(&list);
        Steps { list, whole: false, waits }
    }
}

impl Deref for Steps {
    type Target = [Step];

    #[inline]
    fn deref(&self) -> &[Step] {
        &self.list
    }
}

/// What a job and its children wait for. It determines how their futures are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waits {
    /// Nothing: the job is a plain function call.
    #[default]
    Nothing,
    /// Timers, yields and other jobs.
    Timers,
    /// Sockets.
    Sockets,
    /// Partners.
    Partners,
    /// Offloaded work.
    Offloads,
    /// Several of these, children, or pooled connections.
    Mixed,
}

impl Waits {
    /// Returns what `steps` wait for.
    fn of(steps: &[Step]) -> Waits {
        let one = |step: &Step| match step {
            Step::Compute(_) | Step::Block(_) | Step::Fail => Waits::Nothing,
            Step::Sleep(_) | Step::Yield(_) | Step::Park => Waits::Timers,
            Step::Connect(_) | Step::Exchange { .. } | Step::Say(_) | Step::Hear(_) => {
                Waits::Sockets
            }
            Step::Hop(_) => Waits::Partners,
            Step::Offload(_) => Waits::Offloads,
            Step::Pool(_) | Step::Gather(_) | Step::Group(_) => Waits::Mixed,
        };
        steps.iter().map(one).fold(Waits::Nothing, Waits::and)
    }

    /// Returns what two jobs of one batch wait for together.
    #[must_use]
    pub fn and(self, other: Waits) -> Waits {
        match (self, other) {
            (Waits::Nothing, other) | (other, Waits::Nothing) => other,
            (a, b) if a == b => a,
            _ => Waits::Mixed,
        }
    }
}

/// The jobs of a cell: the usual steps, and those of one job in each `nth`.
#[derive(Clone, Copy, Debug)]
pub struct Jobs {
    usual: &'static Steps,
    nth: usize,
    other: &'static Steps,
}

impl Jobs {
    /// Loads the definition for the rest of the process's life.
    pub fn load(workload: &Workload) -> Self {
        let keep = |steps: &Steps| -> &'static Steps {
            Box::leak(Box::new(Steps { whole: true, ..steps.clone() }))
        };
        let usual = keep(&workload.job);
        match &workload.every {
            Some((nth, steps)) => Jobs { usual, nth: *nth, other: keep(steps) },
            None => Jobs { usual, nth: usize::MAX, other: usual },
        }
    }

    /// Returns the steps of job `index`: the other steps for one job in each `nth`, as [`is_chosen`] decides.
    #[inline]
    pub fn steps(self, index: usize) -> &'static Steps {
        if self.nth != usize::MAX && is_chosen(index, self.nth) { self.other } else { self.usual }
    }

    /// Returns whether each job waits until all have started.
    pub fn park(self) -> bool {
        self.usual.first() == Some(&Step::Park)
    }

    /// Returns what the jobs wait for.
    pub fn waits(self) -> Waits {
        self.usual.waits().and(self.other.waits())
    }

    /// Returns the seed of job `index`, from which its receipt starts.
    #[inline]
    pub fn seed(index: usize) -> u64 {
        child_seed(0, index)
    }

    /// Returns the receipt that job `index` must produce.
    pub fn expected(self, index: usize) -> Receipt {
        Receipt::expected(self.steps(index), Self::seed(index))
    }
}

/// The addresses of the suite's server. Jobs are spread over them by their seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// For [`Server::Echo`].
    #[serde(rename = "servers")]
    pub echo: Vec<SocketAddr>,
    /// For [`Server::Slow`].
    #[serde(default)]
    pub slow: Vec<SocketAddr>,
    /// For [`Server::Room`].
    #[serde(default)]
    pub rooms: Vec<SocketAddr>,
}

impl Addresses {
    /// Returns the addresses for this kind of server.
    #[inline]
    pub fn of(&self, server: Server) -> &[SocketAddr] {
        match server {
            Server::Echo => &self.echo,
            Server::Slow(_) => &self.slow,
            Server::Room => &self.rooms,
        }
    }
}
