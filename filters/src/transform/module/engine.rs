//! Modules on wasmi.

use wasmi::{
    Config, Engine, ExternType, Instance, Linker, Memory, Store, StoreLimits, StoreLimitsBuilder,
    TrapCode, ValType,
};

use super::{MAX_MODULE_BYTES, ModuleError, ModuleFailure, ModuleStep, TransformError};
use crate::{hash::hash, transform::MAX_RESULT_BYTES};

/// Entries of the tables of a module.
const MAX_TABLE_ELEMENTS: usize = 10_000;

/// A module of WebAssembly, ready to be run.
pub struct Module {
    module: wasmi::Module,
    /// Of what it was made of; two that differ share one with a probability of 2⁻¹²⁸.
    digest: [u64; 2],
}

impl Module {
    /// Reads a module in the binary format, and checks all that can be checked before it runs.
    ///
    /// # Errors
    ///
    /// No step can use it.
    pub fn parse(bytes: &[u8]) -> Result<Module, ModuleError> {
        if bytes.len() > MAX_MODULE_BYTES {
            return Err(ModuleError::TooLarge);
        }
        let mut config = Config::default();
        config.consume_fuel(true);
        let module = wasmi::Module::new(&Engine::new(&config), bytes)
            .map_err(|error| ModuleError::Invalid(in_one_line(&error)))?;
        if let Some(import) = module.imports().next() {
            let name = format!("{}.{}", import.module(), import.name());
            return Err(ModuleError::Import(name));
        }
        let digest = [0, 1].map(|seed| hash(seed, bytes));
        let module = Module { module, digest };
        match module.export("memory") {
            Some(ExternType::Memory(_)) => {}
            _ => return Err(ModuleError::Export("memory".to_owned())),
        }
        module.check_function("allocate", &[ValType::I32], ValType::I32)?;
        Ok(module)
    }

    pub(super) fn check_export(&self, name: &str) -> Result<(), ModuleError> {
        self.check_function(name, &[ValType::I32, ValType::I32], ValType::I64)
    }

    fn check_function(
        &self,
        name: &str,
        params: &[ValType],
        result: ValType,
    ) -> Result<(), ModuleError> {
        match self.export(name) {
            Some(ExternType::Func(it)) if it.params() == params && it.results() == [result] => {
                Ok(())
            }
            _ => Err(ModuleError::Export(format!(
                "{name} {params:?} -> {result:?}"
            ))),
        }
    }

    fn export(&self, name: &str) -> Option<ExternType> {
        let mut exports = self.module.exports();
        let found = exports.find(|it| it.name() == name);
        found.map(|it| it.ty().clone())
    }

    /// What the export that `step` names makes of an event; `None` leaves it as it is.
    pub(super) fn run(
        &self,
        step: &ModuleStep,
        event: &[u8],
    ) -> Result<Option<Vec<u8>>, TransformError> {
        let made = self.call(step, event);
        made.map_err(|error| match error.as_trap_code() {
            Some(TrapCode::OutOfFuel) => failed(ModuleFailure::Fuel(step.fuel)),
            _ => failed(ModuleFailure::Trap(in_one_line(&error))),
        })?
    }

    /// The outer error is the engine's.
    fn call(&self, step: &ModuleStep, event: &[u8]) -> Result<Made, wasmi::Error> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(step.memory_bytes)
            .table_elements(MAX_TABLE_ELEMENTS)
            .instances(1)
            .build();
        let engine = self.module.engine();
        let mut store = Store::new(engine, limits);
        store.limiter(|limits| limits);
        store.set_fuel(step.fuel)?;
        let linker = Linker::new(engine);
        let instance = linker.instantiate_and_start(&mut store, &self.module)?;
        let Some(memory) = instance.get_memory(&store, "memory") else {
            return Ok(Err(failed(ModuleFailure::Place)));
        };
        let Some(given) = give(&mut store, &instance, memory, event)? else {
            return Ok(Err(failed(ModuleFailure::Place)));
        };
        let export = instance.get_typed_func::<(u32, u32), u64>(&store, &step.export)?;
        let made = export.call(&mut store, given)?;
        Ok(taken(memory.data(&store), made))
    }
}

type Made = Result<Option<Vec<u8>>, TransformError>;

/// Puts the event where the module has room for it; `None` if that is outside its memory.
fn give(
    store: &mut Store<StoreLimits>,
    instance: &Instance,
    memory: Memory,
    event: &[u8],
) -> Result<Option<(u32, u32)>, wasmi::Error> {
    let Ok(bytes) = u32::try_from(event.len()) else {
        return Ok(None);
    };
    let allocate = instance.get_typed_func::<u32, u32>(&*store, "allocate")?;
    let address = allocate.call(&mut *store, bytes)?;
    let start = address as usize;
    let room = memory.data_mut(&mut *store);
    let room = room.get_mut(start..start.saturating_add(event.len()));
    Ok(room.map(|room| {
        room.copy_from_slice(event);
        (address, bytes)
    }))
}

/// What stands at the place that the module gave.
fn taken(memory: &[u8], place: u64) -> Made {
    if place == 0 {
        return Ok(None);
    }
    let (start, bytes) = ((place >> 32) as usize, (place & 0xFFFF_FFFF) as usize);
    if bytes > MAX_RESULT_BYTES {
        return Err(TransformError::TooLong);
    }
    let made = memory.get(start..start.saturating_add(bytes));
    made.map(|made| Some(made.to_vec()))
        .ok_or_else(|| failed(ModuleFailure::Place))
}

fn in_one_line(error: &wasmi::Error) -> String {
    let text = error.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn failed(failure: ModuleFailure) -> TransformError {
    TransformError::Module(failure)
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Module").field(&self.digest).finish()
    }
}

impl PartialEq for Module {
    fn eq(&self, other: &Module) -> bool {
        self.digest == other.digest
    }
}
