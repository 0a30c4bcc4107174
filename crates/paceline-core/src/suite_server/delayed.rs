//! Delayed replies.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use super::Peer;
use crate::clock::now;

/// The due time, a sequence number, the receiver and the bytes.
type Answer = (Instant, u64, Peer, Vec<u8>);

/// Bytes for connections, ordered by due time and then by arrival.
#[derive(Default)]
pub(super) struct Delayed {
    queue: BinaryHeap<Reverse<Answer>>,
    so_far: u64,
}

impl Delayed {
    /// Queues `bytes` for `peer` until `after` has elapsed.
    pub(super) fn keep(&mut self, peer: Peer, after: Duration, bytes: &[u8]) {
        self.so_far += 1;
        self.queue.push(Reverse((now() + after, self.so_far, peer, bytes.to_vec())));
    }

    /// Returns the time until the next reply is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse((due, ..))| due.saturating_duration_since(now()))
    }

    /// Removes and returns a reply that is due.
    pub(super) fn due(&mut self) -> Option<(Peer, Vec<u8>)> {
        let is_due = self.queue.peek().is_some_and(|Reverse((due, ..))| *due <= now());
        is_due.then(|| self.queue.pop()).flatten().map(|Reverse((_, _, peer, bytes))| (peer, bytes))
    }
}
