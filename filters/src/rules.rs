//! Rules: what the operator writes, compiled, and what a set of them makes of one event.
//!
//! ```text
//!  RuleDefinition … ─▶ RuleSet::compile ─▶ RuleSet (does not change)     RuleMemory (what its gates remember)
//!                                             │                             │
//!  event ─▶ which rules match (index) ─▶ each in turn: its steps ───────────┴──▶ Ruling
//!                                                                                 whether it is owed, to which sinks, in which lane, in
//!                                                                                 which form; what gates and windows have to keep of it
//! ```
//!
//! Conditions look at the event as it was ingested; steps see it as the steps before them left it. Rules apply in the order of their definitions. A rule whose step fails
//! leaves no trace: the event is what it was before that rule, and so is what its gates remember.
//!
//! Start reading at [`RuleSet::judge`].

mod compile;
mod definition;
mod duration;
mod emit;
mod field;
mod judge;
mod memory;
mod ruling;
mod run;
mod stages;
mod step;
#[cfg(test)]
mod tests;
mod text;
mod working;

pub use compile::{Known, RuleError, RuleProblem};
pub use definition::{OnError, RuleDefinition, RuleFile, TableDefinition};
pub use duration::HumanDuration;
pub use emit::{Derived, MAX_DERIVATIONS};
pub use field::{Field, Key, KeyPart};
pub use judge::{Arrival, RuleSet};
pub use memory::RuleMemory;
pub use ruling::{
    Cause, Failure, Fate, Form, GateMove, Owed, Ruling, StageInput, Told, WindowReadings,
};
pub use stages::{Answer, KeyMemory, RuleStages, StageUsage, Stored};
pub use step::{
    AbsenceDefinition, AggregateDefinition, AggregateError, DeadbandDefinition, DebounceDefinition,
    DedupeDefinition, JqDefinition, SampleDefinition, StageId, StepDefinition, ThresholdDefinition,
    ThrottleDefinition, WindowDefinition,
};
