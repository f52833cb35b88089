//! Lanes: priority classes that share the log, each with its own bound.

/// A priority class with its own bound; 0 is kept longest.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Lane(pub u8);

impl Lane {
    /// Lanes a log may have.
    pub const MOST: usize = 8;
}

/// What happens to an append for which the lane has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// `Full::Bound`; the publisher's acknowledgement is withheld until there is room.
    #[default]
    Refuse,
    /// `Full::Bound`; the publisher gets a negative acknowledgement.
    Reject,
    /// The lane's oldest live records go, in the ledger.
    DropOldest,
    /// The oldest live records of the lowest lane that has any go, in the ledger; never of a lane above the append's own.
    LowestLaneFirst,
}

/// One lane, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneOptions {
    /// Name in status, metrics and ledger.
    pub name: String,
    /// What happens when it has no room.
    pub when_full: WhenFull,
}
