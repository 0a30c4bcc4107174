//! Pooled connections: jobs take them in turn and return them open, as a service does with connections to the services
//! that it calls.
//!
//! Each step that uses a pool has its own, which outlives jobs and batches. Models need no code for it: free slots are
//! messages in a channel that any executor can wait on.

use std::{any::Any, cell::RefCell, collections::HashMap, io, ptr};

use smol::channel::{Receiver, Sender, bounded};

use super::talk;
use crate::{job::Pool, model::Model};

/// The free slots of a pool, each with or without a connection.
struct Slots<S> {
    give: Sender<Option<S>>,
    take: Receiver<Option<S>>,
}

impl<S> Slots<S> {
    fn of(size: usize) -> Self {
        let (give, take) = bounded(size);
        (0..size).for_each(|_| drop(give.try_send(None)));
        Slots { give, take }
    }
}

/// A pooled connection. Dropping it returns it to the pool.
pub(super) struct Lease<S: 'static> {
    stream: Option<S>,
    busy: bool,
    home: &'static Slots<S>,
}

impl<S> Lease<S> {
    /// Returns the connection and marks it as in use until [`settle`](Self::settle).
    pub(super) fn stream(&mut self) -> Option<&mut S> {
        self.busy = true;
        self.stream.as_mut()
    }

    /// Marks the connection as reusable: nothing is in transit on it.
    pub(super) fn settle(&mut self) {
        self.busy = false;
    }
}

impl<S> Drop for Lease<S> {
    fn drop(&mut self) {
        // A connection left in the middle of an exchange is closed, but its slot is still freed.
        let stream = self.stream.take().filter(|_| !self.busy);
        let _ = self.home.give.try_send(stream);
    }
}

/// Waits for a free slot of `pool`, and connects if it has no connection yet.
pub(super) async fn lease<M: Model>(
    model: M,
    pool: &'static Pool,
    checksum: u64,
) -> io::Result<Lease<M::Stream>> {
    let home = slots::<M>(pool);
    let place = if M::BLOCKS { home.take.recv_blocking() } else { home.take.recv().await };
    let stream = place.map_err(io::Error::other)?;
    let mut lease = Lease { stream, busy: false, home };
    if lease.stream.is_none() {
        lease.stream = Some(talk::connect(model, pool.server, checksum).await?);
    }
    Ok(lease)
}

fn slots<M: Model>(pool: &'static Pool) -> &'static Slots<M::Stream> {
    thread_local! {
        static HERE: RefCell<HashMap<usize, &'static dyn Any>> = RefCell::default();
    }
    let make = || Slots::of(pool.size);
    if !M::PER_CORE {
        return pool.kept.get_or_init(make);
    }
    // Leaked, because connections of such a runtime must not be dropped after it has ended.
    let leak = || -> &'static dyn Any { Box::leak(Box::new(make())) };
    let here =
        HERE.with_borrow_mut(|all| *all.entry(ptr::from_ref(pool).addr()).or_insert_with(leak));
    here.downcast_ref().expect("a process runs one model")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_left_in_the_middle_is_closed_and_its_place_is_free_all_the_same() {
        let home: &'static Slots<&str> = Box::leak(Box::new(Slots::of(2)));
        for settled in [true, false] {
            let mut lease = Lease { stream: home.take.try_recv().unwrap(), busy: false, home };
            lease.stream = Some("open");
            assert!(lease.stream().is_some());
            if settled {
                lease.settle();
            }
        }
        // Slots are reused in order: the first was returned with its connection, the second without.
        let next: Vec<_> = (0..2).map(|_| home.take.try_recv().unwrap()).collect();
        assert_eq!(next, [Some("open"), None]);
        assert!(home.take.try_recv().is_err(), "there are two slots");
    }
}
