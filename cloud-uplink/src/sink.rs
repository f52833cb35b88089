//! The seam to a receiver: what a sink is asked, and what it may answer.

use std::{sync::Arc, time::Duration};

use crate::Outgoing;

/// A receiver of events, over whatever protocol. A sink keeps no queue: what it is given and does not acknowledge stays
/// in the spool.
pub trait Sink: Send + Sync + 'static {
    /// An event in the form in which it is sent, so that a repeat costs no second encoding.
    type Item: Send + Sync + 'static;

    /// Encodes an event. Called on a blocking thread, in the order of the log. `scratch` is empty and keeps its capacity
    /// from event to event.
    ///
    /// # Errors
    /// The event cannot be sent in this form, and no repeat can change that: it becomes a dead letter.
    fn prepare(
        &self,
        outgoing: Outgoing,
        scratch: &mut Vec<u8>,
    ) -> Result<Prepared<Self::Item>, Unsendable>;

    /// Sends a batch of one target and says what became of it. Never panics and needs no timer around it: a sink bounds
    /// its own waiting and answers [`Outcome::Unavailable`]. Dropping the future leaves it open whether the batch
    /// arrived.
    fn send(&self, batch: Batch<Self::Item>) -> impl Future<Output = Answer> + Send;
}

/// Events to be sent together, in this order.
#[derive(Debug)]
pub struct Batch<I> {
    /// Their common [`Prepared::target`].
    pub target: Arc<str>,
    /// At least one, at most [`Limits::batch_events`](crate::Limits), no more than `batch_bytes` unless it is one alone.
    pub items: Vec<Arc<I>>,
}

/// An event ready to be sent.
#[derive(Debug)]
pub struct Prepared<I> {
    /// Where at the receiver it goes (the mesh's topic); empty where a receiver has one place only. A batch has one
    /// target, and refusals are judged by what else was accepted for the same target.
    pub target: Arc<str>,
    /// Encoded size, which counts towards `batch_bytes` and the memory bound.
    pub bytes: usize,
    /// What [`Sink::send`] is given.
    pub item: I,
}

/// The event has no form this sink could send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsendable(pub String);

/// What the receiver said of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The same for every event. A refusal of several events says that at least one is at fault: the batch is split.
    All(Outcome),
    /// One outcome for each event, in the order of the batch. One that is shorter leaves the rest unanswered; those
    /// are sent again.
    Each(Vec<Outcome>),
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has stored it. The only outcome that moves the cursor.
    Accepted,
    /// The receiver is there and asks for less: the rate falls, nothing is held against the event.
    Overloaded {
        /// How long it asks to be left alone; at most an hour is believed.
        retry_after: Option<Duration>,
        /// What it said.
        error: String,
    },
    /// Nothing is known, or nothing can be sent at all (no connection, no answer in time, credentials refused, wrong
    /// endpoint): the whole sink backs off, nothing is held against the event, however often.
    Unavailable {
        /// How long it asks to be left alone; at most an hour is believed.
        retry_after: Option<Duration>,
        /// What it said.
        error: String,
    },
    /// Refused as it is; a repeat is refused again. A dead letter at once.
    Refused {
        /// What it said.
        error: String,
    },
    /// Refused, but it may not be the event's fault. A dead letter after [`Limits::refused_tries`](crate::Limits), and
    /// only if another event for the same target was accepted since the first refusal.
    Doubtful {
        /// What it said.
        error: String,
    },
    /// Too large: a batch is split, an event alone is a dead letter.
    TooLarge {
        /// What it said.
        error: String,
    },
}

impl Outcome {
    /// Whether the receiver is there and will not take the event as it is.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Outcome::Refused { .. } | Outcome::Doubtful { .. } | Outcome::TooLarge { .. }
        )
    }

    /// What went wrong; empty if nothing did.
    pub(crate) fn error(&self) -> &str {
        match self {
            Outcome::Accepted => "",
            Outcome::Overloaded { error, .. }
            | Outcome::Unavailable { error, .. }
            | Outcome::Refused { error }
            | Outcome::Doubtful { error }
            | Outcome::TooLarge { error } => error,
        }
    }
}
