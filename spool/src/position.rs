//! Where a record stands: its position, and when it was appended.

/// Position of a record in the log: assigned at append, never changed, never reused once committed. The first is 1;
/// `Seq::ZERO` stands before all.
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
pub struct Seq(pub u64);

impl Seq {
    /// Before the first record.
    pub const ZERO: Seq = Seq(0);
}

/// Milliseconds on the node clock, which only advances, since 1970 as far as the node knows.
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
pub struct NodeTime(pub u64);
