use wire::Stream;

use crate::log::Region;

/// A class of events with an outbox and a sequence of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its number on the wire.
    pub stream: Stream,
    /// Its part of the flash, which no other class shares.
    pub region: Region,
    /// What happens when that is full.
    pub when_full: WhenFull,
    /// When events go from memory to flash.
    pub commit: Commit,
}

/// What happens when the outbox of a class is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// A new event is refused, and who publishes it learns of it. For alarms.
    Refuse,
    /// The oldest page of events is given up, counted, and announced as dropped. For telemetry.
    DropOldest,
}

/// When events of a class go from memory to flash. What the node acknowledged before then never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Before `publish` returns.
    Always,
    /// Before `publish` returns while the node cannot be reached, and as soon as the link breaks.
    Offline,
    /// At the latest so many milliseconds after the event was taken, many events at once.
    AfterMs(u32),
}

/// Where an event is when `publish` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// In flash: a reset does not lose it.
    Committed,
    /// In memory: a reset before its commit or acknowledgement loses it.
    Buffered,
}
