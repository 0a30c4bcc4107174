//! Connections that jobs take in turn and give back open, as a service keeps those to the services that it calls.
//!
//! Each step that asks for a pool has one of its own, which outlives jobs and batches. Models write nothing for it: free
//! places are messages in a channel that any executor can wait on.

use std::{any::Any, cell::RefCell, collections::HashMap, io, ptr};

use smol::channel::{Receiver, Sender, bounded};

use super::talk;
use crate::{job::Pool, model::Model};

/// The places of a pool that nobody has: with a connection, or yet without.
struct Places<S> {
    give: Sender<Option<S>>,
    take: Receiver<Option<S>>,
}

impl<S> Places<S> {
    fn of(size: usize) -> Self {
        let (give, take) = bounded(size);
        (0..size).for_each(|_| drop(give.try_send(None)));
        Places { give, take }
    }
}

/// A connection of a pool, until it is dropped.
pub(super) struct Lease<S: 'static> {
    stream: Option<S>,
    busy: bool,
    home: &'static Places<S>,
}

impl<S> Lease<S> {
    /// The connection, which is in disorder until [`settle`](Self::settle).
    pub(super) fn stream(&mut self) -> Option<&mut S> {
        self.busy = true;
        self.stream.as_mut()
    }

    /// Says that nothing is under way on it: the next job may have it.
    pub(super) fn settle(&mut self) {
        self.busy = false;
    }
}

impl<S> Drop for Lease<S> {
    fn drop(&mut self) {
        // One that was left in the middle of an exchange is closed, and its place is free all the same.
        let stream = self.stream.take().filter(|_| !self.busy);
        let _ = self.home.give.try_send(stream);
    }
}

/// Waits for a place of `pool`, and connects where it has no connection yet.
pub(super) async fn lease<M: Model>(
    model: M,
    pool: &'static Pool,
    checksum: u64,
) -> io::Result<Lease<M::Stream>> {
    let home = places::<M>(pool);
    let place = if M::BLOCKS { home.take.recv_blocking() } else { home.take.recv().await };
    let stream = place.map_err(io::Error::other)?;
    let mut lease = Lease { stream, busy: false, home };
    if lease.stream.is_none() {
        lease.stream = Some(talk::connect(model, pool.server, checksum).await?);
    }
    Ok(lease)
}

fn places<M: Model>(pool: &'static Pool) -> &'static Places<M::Stream> {
    thread_local! {
        static HERE: RefCell<HashMap<usize, &'static dyn Any>> = RefCell::default();
    }
    let make = || Places::of(pool.size);
    if !M::PER_CORE {
        return pool.kept.get_or_init(make);
    }
    // Leaked, as the connections of such a runtime must not be dropped once it has ended.
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
        let home: &'static Places<&str> = Box::leak(Box::new(Places::of(2)));
        for settled in [true, false] {
            let mut lease = Lease { stream: home.take.try_recv().unwrap(), busy: false, home };
            lease.stream = Some("open");
            assert!(lease.stream().is_some());
            if settled {
                lease.settle();
            }
        }
        // Places go round: the first came back with its connection, the second without.
        let next: Vec<_> = (0..2).map(|_| home.take.try_recv().unwrap()).collect();
        assert_eq!(next, [Some("open"), None]);
        assert!(home.take.try_recv().is_err(), "there are two places");
    }
}
