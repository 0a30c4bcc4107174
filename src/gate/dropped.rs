//! Connections that the machine dropped before they were accepted, by the side that opened them. Each is tried again a
//! second later, so the time is the queue's.

use crate::output::counted;

/// Connections that were dropped in the turns of each side.
pub(super) struct Dropped {
    /// The machine's count; `None` if no side connects, or the system does not count.
    so_far: Option<u64>,
    by_side: Vec<u64>,
}

impl Dropped {
    /// Begins with the machine's count for this number of sides.
    pub(super) fn new(so_far: Option<u64>, sides: usize) -> Self {
        Dropped { so_far, by_side: vec![0; sides] }
    }

    /// Adds those since the last turn to the side that had this one.
    pub(super) fn after_turn(&mut self, side: usize, so_far: Option<u64>) {
        if let Some((before, now)) = self.so_far.zip(so_far) {
            self.by_side[side] += now.saturating_sub(before);
        }
        self.so_far = so_far;
    }

    /// Returns the side in whose turns alone connections were dropped, and what is said of it. It opened them, so that is
    /// no disturbance by the machine.
    pub(super) fn by_one(&self) -> Option<(usize, String)> {
        let mut sides = self.by_side.iter().enumerate().filter(|(_, dropped)| **dropped > 0);
        let (side, dropped) = sides.next().filter(|_| sides.next().is_none())?;
        let connections = counted(*dropped as usize, "connection");
        let why = format!("{connections} dropped in its turns alone, before they were accepted");
        Some((side, why))
    }

    /// Returns what is said if several sides had such turns.
    pub(super) fn of_several(&self) -> Option<String> {
        let dropped: u64 = self.by_side.iter().sum();
        (dropped > 0 && self.by_one().is_none()).then(|| {
            let connections = counted(dropped as usize, "connection");
            format!("{connections} dropped before the echo server accepted them, in turns of several sides")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::trial::{BASE, COPY, HEAD};

    #[test]
    fn dropped_connections_are_the_fault_of_the_side_whose_turn_it_was() {
        let mut dropped = Dropped::new(Some(7), 3);
        for (side, so_far) in [(BASE, 7), (HEAD, 9), (COPY, 9), (HEAD, 10)] {
            dropped.after_turn(side, Some(so_far));
        }
        assert_eq!(dropped.by_side, [0, 3, 0]);
        let (side, why) = dropped.by_one().unwrap();
        assert!(side == HEAD && why.starts_with("3 connections dropped in its turns"), "{why}");
        assert_eq!(dropped.of_several(), None);
        // Where nothing is counted, nobody is blamed.
        dropped.after_turn(BASE, None);
        dropped.after_turn(BASE, Some(99));
        assert_eq!(dropped.by_side, [0, 3, 0]);
        // Several sides are hit by what is beside them.
        dropped.after_turn(COPY, Some(100));
        assert!(dropped.by_one().is_none());
        assert!(dropped.of_several().unwrap().starts_with("4 connections dropped before"));
    }
}
