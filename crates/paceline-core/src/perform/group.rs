//! Task groups: a child's failure ends at the group. Also counts the children that are still running when a group ends.

use std::{
    error::Error,
    fmt, io,
    pin::Pin,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Instant,
};

use super::{INSTRUMENTATION, StoragePolicy, perform};
use crate::{
    job::{Group, Receipt, Steps},
    model::Model,
};

/// The error of a `fail` step: expected, unlike every other error.
#[derive(Debug)]
struct ExpectedFailure;

impl fmt::Display for ExpectedFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it was told to fail")
    }
}

impl Error for ExpectedFailure {}

#[cold]
pub(super) fn expected_failure() -> io::Error {
    io::Error::other(ExpectedFailure)
}

fn is_expected(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<ExpectedFailure>)
}

/// Runs the children of `group` concurrently and combines their results. Boxed for the same reason as `gather`.
pub(super) fn group<M: Model, K: StoragePolicy>(
    model: M,
    group: &'static Group,
    mut parent: Receipt,
) -> Pin<Box<dyn Future<Output = io::Result<Receipt>> + Send>> {
    Box::pin(async move {
        let watched = INSTRUMENTATION.group();
        let child = move |index| {
            let (steps, seed) = (group.steps(index), parent.child_seed(index));
            member::<M, K>(model, steps, seed, INSTRUMENTATION.child(), watched)
        };
        let children = if group.cancels {
            model.gather_or_cancel(group.width, child).await
        } else {
            let mut children = model.gather(group.width, child).await;
            // An unexpected error takes precedence, wherever it occurs.
            match children.iter().position(|child| child.as_ref().is_err_and(|e| !is_expected(e))) {
                Some(index) => children.swap_remove(index).map(|_| vec![]),
                None => children.into_iter().collect(),
            }
        };
        if let Some(watched) = watched {
            INSTRUMENTATION.group_over(watched);
        }
        match children {
            Ok(children) => Ok(parent.join(children)),
            Err(error) if is_expected(&error) => {
                parent.contained(group.width);
                Ok(parent)
            }
            Err(error) => Err(error),
        }
    })
}

/// Runs a child of a group.
async fn member<M: Model, K: StoragePolicy>(
    model: M,
    steps: &'static Steps,
    seed: u64,
    place: u32,
    watched: Option<&'static Children>,
) -> io::Result<Receipt> {
    let _running = watched.map(Children::begin);
    let done = perform::<M, K>(model, steps, seed, place).await;
    if let (Err(_), Some(watched)) = (&done, watched) {
        watched.failed.get_or_init(|| INSTRUMENTATION.now());
    }
    done
}

/// Counts the children of one group.
#[derive(Default)]
pub(super) struct Children {
    begun: AtomicU32,
    gone: AtomicU32,
    /// When the first child failed.
    failed: OnceLock<Instant>,
}

impl Children {
    fn begin(&self) -> RunningChild<'_> {
        self.begun.fetch_add(1, SeqCst);
        RunningChild(self)
    }

    /// Returns how many children have started and neither ended nor been dropped.
    pub(super) fn left(&self) -> u32 {
        let gone = self.gone.load(SeqCst);
        self.begun.load(SeqCst).saturating_sub(gone)
    }

    pub(super) fn failed(&self) -> Option<Instant> {
        self.failed.get().copied()
    }
}

/// Guards a running child. It is dropped with the child, however that ends.
struct RunningChild<'a>(&'a Children);

impl Drop for RunningChild<'_> {
    fn drop(&mut self) {
        self.0.gone.fetch_add(1, SeqCst);
    }
}
