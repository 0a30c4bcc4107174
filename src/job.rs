//! What a job is, what it must yield, and what it asks of a machine.
//!
//! A job is loaded once and lives as long as the process (`&'static`): jobs by the million then share it without a
//! reference count, which would be one contended write per job.

pub mod bounds;
mod demand;
mod read;
mod receipt;
mod text;
mod wire;

pub use bounds::Bound;
pub use demand::Demand;
pub use read::{ReadError, Workers, Workload};
pub use receipt::{Receipt, compute, mix};
pub(crate) use text::did_you_mean;

use std::{net::SocketAddr, ops::Deref, time::Duration};

use crate::job::receipt::child_seed;

/// One elementary act of a job. The README's table says what each means on each kind of model.
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
    /// Opens a connection to the suite's echo server, which is what `Exchange` then uses.
    Connect,
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
    /// Starts `width` children at once and waits for all.
    Gather {
        /// How many children.
        width: usize,
        /// What each of them does.
        of: Box<Steps>,
    },
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
            Step::Connect => "connect",
            Step::Exchange { .. } => "exchange",
            Step::Hop(_) => "hop",
            Step::Yield(_) => "yield",
            Step::Gather { .. } => "gather",
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
    /// Timers, and yields.
    Timers,
    /// Sockets.
    Sockets,
    /// A partner.
    Partners,
    /// More than one of these, or children.
    Mixed,
}

impl Waits {
    /// What `steps` wait for.
    #[must_use]
    pub fn of(steps: &[Step]) -> Waits {
        let one = |step: &Step| match step {
            Step::Compute(_) | Step::Block(_) => Waits::Nothing,
            Step::Sleep(_) | Step::Yield(_) => Waits::Timers,
            Step::Connect | Step::Exchange { .. } => Waits::Sockets,
            Step::Hop(_) => Waits::Partners,
            Step::Offload(_) | Step::Gather { .. } => Waits::Mixed,
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

    /// The steps of job `index`: of jobs 0, nth, 2 nth, … the unusual ones.
    #[inline]
    #[must_use]
    pub fn steps(self, index: usize) -> &'static Steps {
        if self.nth != usize::MAX && index.is_multiple_of(self.nth) {
            self.other
        } else {
            self.usual
        }
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

/// The echo server's addresses, in every process that runs jobs: jobs are dealt out to them by their seeds.
pub type Servers = &'static [SocketAddr];
