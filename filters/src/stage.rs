//! Stages: steps of a rule that remember. Pure state machines, each keyed, bounded in keys and bytes.
//!
//! ```text
//!              ┌ Gate ────▶ passes or is suppressed, at once      deadband, throttle, sample, dedupe, threshold
//!  event, key ─┼ Window, Debounce, Absence ──▶ later, something derived from many events or from their silence
//!              └ Work ────▶ later, what somebody else made of it
//! ```
//!
//! A [`Gate`] answers while an event is published. Its memory moves with the commit of that event: [`Gate::judge`] moves it
//! at once, so that the next event is judged by it, and gives an [`Undo`] that puts it back if the commit fails. Undos are
//! taken in the reverse order of their judgements.
//!
//! The others read what was committed, as a cursor does, and say what follows from it. What follows from events alone follows
//! again when they are read again. What follows from silence is decided in two steps, so that the node can write the decision
//! into the log before it acts on it: `due` names a key whose time is over, and `close` or its like acts.
//!
//! Times are given, never taken: a [`Moment`] of the node's clock says when something came, an [`EventTime`] when it happened.

mod absence;
mod debounce;
mod gate;
pub(crate) mod lineage;
mod reading;
mod table;
mod time;
mod watch;
mod window;
mod work;

pub use absence::{Absence, AbsenceChange, Presence};
pub use debounce::{Debounce, Held, Settled};
pub use gate::{
    Band, Deadband, Dedupe, Gate, GateError, GateInput, GateKind, GateMemory, Judgement, Sample,
    Side, Threshold, ThresholdState, Throttle, Undo, Verdict,
};
pub use reading::Reading;
pub use table::{Bounds, Table};
pub use time::{EventTime, Moment};
pub use window::{
    Aggregate, Emission, Function, KeyPanes, Placement, Span, Timing, Window, WindowError,
    WindowInput, WindowKind,
};
pub use work::{Job, Work};
