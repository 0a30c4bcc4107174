//! Rooms: a message of one member is sent to all members, once all have joined.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::Peer;
use crate::clock::now;

/// How long a room may be inactive. This is longer than the longest sleep of a job. After that a member must be
/// missing, and closing the connections of the others is better than letting them wait.
const PATIENCE: Duration = Duration::from_secs(90);

/// All rooms. Peers that request rooms of the same size join the same one until it is full.
#[derive(Default)]
pub(super) struct Rooms {
    /// Incomplete rooms, by their size.
    filling: HashMap<u64, Room>,
    open: HashMap<usize, Room>,
    so_far: usize,
}

struct Room {
    members: Vec<Peer>,
    gone: usize,
    /// The time of the last activity.
    last: Instant,
}

impl Default for Room {
    fn default() -> Self {
        Room { members: vec![], gone: 0, last: now() }
    }
}

impl Rooms {
    /// Adds `peer` to a room of `size` members. Returns the room if it is now complete.
    pub(super) fn join(&mut self, peer: Peer, size: u64) -> Option<usize> {
        let waiting = self.filling.entry(size).or_default();
        waiting.members.push(peer);
        waiting.last = now();
        if (waiting.members.len() as u64) < size {
            return None;
        }
        self.so_far += 1;
        self.open.insert(self.so_far, self.filling.remove(&size).unwrap_or_default());
        Some(self.so_far)
    }

    /// Returns the members of a room, including those that have left.
    pub(super) fn members(&self, room: usize) -> &[Peer] {
        self.open.get(&room).map_or(&[], |room| &room.members)
    }

    /// Records activity in a room, and returns its members.
    pub(super) fn hear(&mut self, room: usize) -> &[Peer] {
        if let Some(room) = self.open.get_mut(&room) {
            room.last = now();
        }
        self.members(room)
    }

    /// Removes `peer` from its room, or from the incomplete room in which it waits.
    pub(super) fn leave(&mut self, peer: Peer, from: Option<usize>) {
        let Some(room) = from else {
            for waiting in self.filling.values_mut() {
                waiting.members.retain(|one| *one != peer);
            }
            self.filling.retain(|_, waiting| !waiting.members.is_empty());
            return;
        };
        // Counted rather than removed: all members of a room of thousands leave at once.
        let Some(Room { members, gone, .. }) = self.open.get_mut(&room) else { return };
        *gone += 1;
        if *gone == members.len() {
            self.open.remove(&room);
        }
    }

    /// Returns the time until the next room expires; `None` if there are no rooms.
    pub(super) fn patience(&self) -> Option<Duration> {
        let last = self.filling.values().chain(self.open.values()).map(|room| room.last).min()?;
        Some((last + PATIENCE).saturating_duration_since(now()))
    }

    /// Removes rooms that were inactive for too long, and returns their members.
    pub(super) fn given_up(&mut self) -> Vec<Peer> {
        if self.patience() != Some(Duration::ZERO) {
            return vec![];
        }
        let given_up = |room: &Room| room.last + PATIENCE <= now();
        let filling = self.filling.extract_if(|_, room| given_up(room)).map(|(_, room)| room);
        let mut rooms: Vec<Room> = filling.collect();
        rooms.extend(self.open.extract_if(|_, room| given_up(room)).map(|(_, room)| room));
        rooms.into_iter().flat_map(|room| room.members).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(index: usize) -> Peer {
        Peer { index, generation: 0 }
    }

    #[test]
    fn a_room_opens_when_it_is_full_and_the_next_is_another() {
        let mut rooms = Rooms::default();
        assert_eq!(rooms.join(peer(0), 2), None);
        assert_eq!(rooms.join(peer(7), 1), Some(1));
        assert_eq!(rooms.join(peer(1), 2), Some(2));
        assert_eq!(rooms.join(peer(2), 2), None);
        assert_eq!(rooms.members(2), [peer(0), peer(1)]);
    }

    #[test]
    fn who_leaves_while_it_waits_is_no_member() {
        let mut rooms = Rooms::default();
        rooms.join(peer(0), 2);
        rooms.leave(peer(0), None);
        assert_eq!(rooms.join(peer(1), 2), None);
        assert_eq!(rooms.join(peer(2), 2), Some(1));
        rooms.leave(peer(1), Some(1));
        assert_eq!(rooms.members(1), [peer(1), peer(2)]);
        rooms.leave(peer(2), Some(1));
        assert!(rooms.members(1).is_empty() && rooms.open.is_empty());
    }

    #[test]
    fn a_room_in_which_nothing_happens_is_given_up() {
        let mut rooms = Rooms::default();
        rooms.join(peer(0), 2);
        rooms.join(peer(1), 1);
        assert!(rooms.given_up().is_empty() && rooms.patience().unwrap() > PATIENCE / 2);
        rooms.filling.get_mut(&2).unwrap().last -= PATIENCE;
        assert_eq!(rooms.given_up(), [peer(0)]);
        assert_eq!(rooms.members(1), [peer(1)]);
        rooms.open.get_mut(&1).unwrap().last -= PATIENCE;
        rooms.hear(1);
        assert!(rooms.given_up().is_empty());
        rooms.leave(peer(1), Some(1));
        assert_eq!(rooms.patience(), None);
    }
}
