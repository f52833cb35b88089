//! The spool's own records: what changes routes, cursors, floors and the ledger, in the log like everything else.

use serde::{Deserialize, Serialize};

use crate::{CursorId, Loss, LossReason, damage::Known, route::Amount};

/// One such change. Each may be applied again, and to a state that already has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Control {
    Route {
        id: u32,
        cursors: Vec<CursorId>,
        terms: Vec<u8>,
    },
    CursorCreated(CursorRecord),
    CursorRemoved {
        id: u32,
        reason: Option<LossReason>,
    },
    Marks(Vec<Mark>),
    Acks(Vec<(u32, u64)>),
    /// Of each lane: everything up to here was given up.
    Floors(Vec<u64>),
    Ledger(Vec<Loss>),
    /// Damage that the ledger counts, and up to where ids may have been given out by what is lost.
    Damage {
        known: Known,
        next_cursor: u32,
        last_route: u32,
    },
}

/// A cursor as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CursorRecord {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) low: u64,
    /// Events up to here are offered whatever their route.
    pub(crate) history_until: u64,
    pub(crate) bound_bytes: Option<u64>,
}

/// How far a cursor has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) id: u32,
    pub(crate) lanes: Vec<LaneMark>,
    pub(crate) acknowledged: u64,
}

/// How far a cursor has come in a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaneMark {
    pub(crate) low: u64,
    /// First and last position of runs of owed records above `low` that are all acknowledged.
    pub(crate) runs: Vec<(u64, u64)>,
    /// What was owed and is acknowledged or given up, but for the runs.
    pub(crate) consumed: Amount,
}

impl Control {
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        if let Ok(encoded) = postcard::to_stdvec(self) {
            bytes.extend_from_slice(&encoded);
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Control> {
        postcard::from_bytes(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_comes_back() {
        let lane = LaneMark {
            low: 9,
            runs: vec![(11, 12)],
            consumed: Amount {
                records: 4,
                bytes: 5,
            },
        };
        let mark = Mark {
            id: 3,
            lanes: vec![lane],
            acknowledged: 6,
        };
        let change = Control::Marks(vec![mark]);
        let mut bytes = Vec::new();
        change.encode(&mut bytes);
        assert_eq!(Control::decode(&bytes), Some(change));
        assert_eq!(Control::decode(&[0xff; 9]), None);
    }
}
