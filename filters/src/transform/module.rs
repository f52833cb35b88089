//! Steps that run a module of WebAssembly: it makes of an event another, within bounds, and remembers nothing.
//!
//! ```text
//! imports   none: no clock, no randomness, no files, no network
//! exports   memory
//!           allocate (bytes: i32) -> (address: i32)       room for so many bytes
//!           transform (address: i32, bytes: i32) -> i64   what stands there is an event in the JSON format of CloudEvents;
//!                                                         gives address << 32 | bytes of the event it makes, 0 to leave it
//! ```
//!
//! A step may name another export than `transform`, so that one module serves many steps. Each event gets an instance of its own: the same event
//! always becomes the same. `id` and `source` stay what they are. A module that uses up its fuel or its memory, that traps, or that gives no event, fails
//! the step as any other that fails.
//!
//! `examples/rules/mask.wat` in the repository is one.

use std::{collections::BTreeMap, sync::Arc};

use super::{StepProblem, TransformError, WasmFile};
use crate::{Event, json};

#[cfg(not(feature = "wasm"))]
mod absent;
#[cfg(feature = "wasm")]
mod engine;
#[cfg(feature = "wasm")]
#[cfg(test)]
mod tests;

#[cfg(not(feature = "wasm"))]
pub use absent::Module;
#[cfg(feature = "wasm")]
pub use engine::Module;

/// Bytes of a module.
pub const MAX_MODULE_BYTES: usize = 4 << 20;
const MAX_FUEL: u64 = 100_000_000;
const PAGE_BYTES: u32 = 64 << 10;
const MAX_MEMORY_BYTES: u32 = 64 << 20;

/// Modules by the files that steps name.
pub type Modules = BTreeMap<String, Arc<Module>>;

/// A module, and what it may take for one event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModuleStep {
    module: Arc<Module>,
    export: String,
    fuel: u64,
    memory_bytes: usize,
}

/// Why no step can use a module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// This crate was built without what runs modules.
    #[error("this program runs no WebAssembly: build it with `--features wasm`")]
    NotBuilt,
    /// No WebAssembly, or of a kind that is not run.
    #[error("no module of WebAssembly in the binary format: {0}")]
    Invalid(String),
    /// More than [`MAX_MODULE_BYTES`].
    #[error("a module has at most {MAX_MODULE_BYTES} bytes")]
    TooLarge,
    /// It wants something of its host.
    #[error("it imports `{0}`; a module imports nothing")]
    Import(String),
    /// It does not have what is called.
    #[error("it does not export `{0}`")]
    Export(String),
    /// Whoever compiles rules was not given it.
    #[error("there is no module `{0}`")]
    Unknown(String),
    /// A bound of the step that is none.
    #[error("`fuel` is 1 to {MAX_FUEL}, and `memory-bytes` is {PAGE_BYTES} to {MAX_MEMORY_BYTES}")]
    Bounds,
}

/// Why a module made no event of this one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleFailure {
    /// It computed longer than its fuel lasts.
    #[error("used up its fuel of {0}")]
    Fuel(u64),
    /// It went wrong by itself: a trap, endless recursion, or more memory to begin with than it may have.
    #[error("failed: {0}")]
    Trap(String),
    /// It allocated room for the event, or made one, where it has no memory.
    #[error("names a place outside its memory")]
    Place,
    /// What it made cannot be read.
    #[error("made no event: {0}")]
    NoEvent(String),
    /// Another `id` or `source`.
    #[error("changed `id` or `source`, which say which event this is")]
    Identity,
}

impl ModuleStep {
    pub(super) fn new(file: &WasmFile, modules: &Modules) -> Result<ModuleStep, StepProblem> {
        let module = modules.get(&file.file).map(Arc::clone);
        let unknown = || ModuleError::Unknown(file.file.clone());
        let module = module.ok_or_else(unknown).map_err(StepProblem::Module)?;
        module
            .check_export(&file.export)
            .map_err(StepProblem::Module)?;
        let is_fuel = (1..=MAX_FUEL).contains(&file.fuel);
        if !is_fuel || !(PAGE_BYTES..=MAX_MEMORY_BYTES).contains(&file.memory_bytes) {
            return Err(StepProblem::Module(ModuleError::Bounds));
        }
        Ok(ModuleStep {
            module,
            export: file.export.clone(),
            fuel: file.fuel,
            memory_bytes: file.memory_bytes as usize,
        })
    }

    pub(super) fn apply(&self, event: &Event) -> Result<Event, TransformError> {
        let given = json::encode(event);
        let Some(made) = self.module.run(self, &given)? else {
            return Ok(event.clone());
        };
        let failed = |failure| Err(TransformError::Module(failure));
        match json::decode(&made) {
            Err(error) => failed(ModuleFailure::NoEvent(error.to_string())),
            Ok(made) if (&made.id, &made.source) != (&event.id, &event.source) => {
                failed(ModuleFailure::Identity)
            }
            Ok(made) => Ok(made),
        }
    }
}
