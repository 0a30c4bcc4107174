//! Rooms: what one member says is sent to all of them, once all are there.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::Peer;
use crate::clock::now;

/// How long nothing may happen in a room. Longer than one sleep of a job may be: then somebody is missing, and who waits
/// for it is better told than left to wait.
const PATIENCE: Duration = Duration::from_secs(90);

/// All rooms. Those that wait for the same number of members are one: who comes is let into the one that fills.
#[derive(Default)]
pub(super) struct Rooms {
    /// Who waits, by the number of members that are waited for.
    filling: HashMap<u64, Room>,
    open: HashMap<usize, Room>,
    so_far: usize,
}

struct Room {
    members: Vec<Peer>,
    gone: usize,
    /// When something last happened.
    last: Instant,
}

impl Default for Room {
    fn default() -> Self {
        Room { members: vec![], gone: 0, last: now() }
    }
}

impl Rooms {
    /// Lets `peer` into a room of `size` members. Returns the room where it is full now.
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

    /// The members of a room, those that are gone too.
    pub(super) fn members(&self, room: usize) -> &[Peer] {
        self.open.get(&room).map_or(&[], |room| &room.members)
    }

    /// The same where something is said in it.
    pub(super) fn hear(&mut self, room: usize) -> &[Peer] {
        if let Some(room) = self.open.get_mut(&room) {
            room.last = now();
        }
        self.members(room)
    }

    /// `peer` is gone, from a room or from where it waited.
    pub(super) fn leave(&mut self, peer: Peer, from: Option<usize>) {
        let Some(room) = from else {
            for waiting in self.filling.values_mut() {
                waiting.members.retain(|one| *one != peer);
            }
            self.filling.retain(|_, waiting| !waiting.members.is_empty());
            return;
        };
        // Counted and not looked for: all leave a room of thousands at once.
        let Some(Room { members, gone, .. }) = self.open.get_mut(&room) else { return };
        *gone += 1;
        if *gone == members.len() {
            self.open.remove(&room);
        }
    }

    /// How long until patience with one of them is over; `None` where there is none.
    pub(super) fn patience(&self) -> Option<Duration> {
        let last = self.filling.values().chain(self.open.values()).map(|room| room.last).min()?;
        Some((last + PATIENCE).saturating_duration_since(now()))
    }

    /// The members of rooms in which nothing has happened for too long.
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
