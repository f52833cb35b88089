//! What a cursor acknowledged while losses were counted that the ledger on disk does not tell of.
//!
//! Whoever counts a message as lost acknowledges it next. Its record stays until the loss is on disk: a crash would take both
//! back, and then the record is given again.

use super::Cursor;
use crate::Lane;

/// How far a cursor had come in each lane before it acknowledged behind so many losses.
#[derive(Debug)]
struct Hold {
    losses: u64,
    lows: [u64; Lane::MOST],
}

/// The first ends once its losses are on disk; the second gathers what came since and then is the first, so that each ends
/// however many losses keep coming.
#[derive(Debug, Default)]
pub(super) struct Holds(Vec<Hold>);

impl Cursor {
    /// Has stay what is acknowledged from here on, until so many losses are `stored` as are `counted`.
    pub(crate) fn hold(&mut self, counted: u64, stored: u64) {
        let lows = self.lows();
        let holds = &mut self.holds.0;
        holds.retain(|hold| hold.losses > stored);
        match holds.as_mut_slice() {
            _ if counted <= stored => {}
            [.., last] if last.losses == counted => {}
            [_, gathering] => gathering.losses = counted,
            _ => holds.push(Hold {
                losses: counted,
                lows,
            }),
        }
    }

    /// Of each lane: nothing up to here is kept for it, where so many losses are on disk.
    pub(crate) fn kept_behind(&self, stored: u64) -> [u64; Lane::MOST] {
        let held = self.first_hold(stored);
        held.map_or_else(|| self.lows(), |hold| hold.lows)
    }

    pub(crate) fn is_holding(&self, stored: u64) -> bool {
        self.first_hold(stored).is_some()
    }

    fn first_hold(&self, stored: u64) -> Option<&Hold> {
        self.holds.0.iter().find(|hold| hold.losses > stored)
    }

    /// Whether a record that is owed to it, or was, may be all that tells of a loss.
    pub(crate) fn holds(&self, lane: Lane, seq: u64, stored: u64) -> bool {
        let held = self.first_hold(stored);
        let low = held.and_then(|hold| hold.lows.get(usize::from(lane.0)));
        low.is_some_and(|&low| seq > low)
    }

    fn lows(&self) -> [u64; Lane::MOST] {
        std::array::from_fn(|lane| self.lanes.get(lane).map_or(0, |lane| lane.low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::CursorRecord;

    #[test]
    fn what_is_acknowledged_behind_a_loss_stays_until_that_is_on_disk_however_many_follow() {
        let mut cursor = Cursor::new(CursorRecord {
            id: 1,
            name: String::new(),
            low: 0,
            history_until: 0,
            bound_bytes: None,
        });
        let mut ack = |counted: u64, stored: u64| {
            cursor.hold(counted, stored);
            let lanes = cursor.lanes.iter_mut();
            lanes.for_each(|lane| lane.low = counted * 10);
            let kept = cursor.kept_behind(stored)[0];
            assert!(cursor.holds(Lane(0), kept + 1, stored) || counted == stored);
            assert!(!cursor.holds(Lane(0), kept, stored));
            kept
        };
        assert_eq!(ack(1, 1), 10, "it is on disk");
        assert_eq!(ack(2, 1), 10);
        assert_eq!(ack(3, 1), 10);
        assert_eq!(ack(4, 1), 10);
        // A commit had begun when three were counted.
        assert_eq!(ack(5, 3), 20);
        assert_eq!(ack(6, 4), 40);
        assert_eq!(ack(7, 5), 50);
        assert_eq!(ack(7, 7), 70);
    }
}
