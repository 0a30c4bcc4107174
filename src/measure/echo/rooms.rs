//! Rooms: what one member says is sent to all of them, once all are there.

use std::collections::HashMap;

use super::Peer;

/// All rooms. Those that wait for the same number of members are one: who comes is let into the one that fills.
#[derive(Default)]
pub(super) struct Rooms {
    /// Who waits, by the number of members that are waited for.
    filling: HashMap<u64, Vec<Peer>>,
    open: HashMap<usize, Room>,
    so_far: usize,
}

struct Room {
    members: Vec<Peer>,
    gone: usize,
}

impl Rooms {
    /// Lets `peer` into a room of `size` members. Returns the room where it is full now.
    pub(super) fn join(&mut self, peer: Peer, size: u64) -> Option<usize> {
        let waiting = self.filling.entry(size).or_default();
        waiting.push(peer);
        if (waiting.len() as u64) < size {
            return None;
        }
        let members = self.filling.remove(&size).unwrap_or_default();
        self.so_far += 1;
        self.open.insert(self.so_far, Room { members, gone: 0 });
        Some(self.so_far)
    }

    /// The members of a room, those that are gone too.
    pub(super) fn members(&self, room: usize) -> &[Peer] {
        self.open.get(&room).map_or(&[], |room| &room.members)
    }

    /// `peer` is gone, from a room or from where it waited.
    pub(super) fn leave(&mut self, peer: Peer, from: Option<usize>) {
        let Some(room) = from else {
            for waiting in self.filling.values_mut() {
                waiting.retain(|one| *one != peer);
            }
            return;
        };
        // Counted and not looked for: all leave a room of thousands at once.
        let Some(Room { members, gone }) = self.open.get_mut(&room) else { return };
        *gone += 1;
        if *gone == members.len() {
            self.open.remove(&room);
        }
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
}
