//! Modules of WebAssembly that steps of rules name.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use filters::{
    rules::RuleDefinition,
    transform::{MAX_MODULE_BYTES, Module, Modules},
};

use super::{ConfigError, Document, Fault};

/// Different modules of all files of rules.
const MAX_MODULES: usize = 100;

/// Reads the modules that these rules name, and names each by its path in the definition too.
pub(super) fn load(
    rules: &mut [RuleDefinition],
    folder: &Path,
    document: &Document<'_>,
    modules: &mut Modules,
) -> Result<(), ConfigError> {
    for (rule, definition) in rules.iter_mut().enumerate() {
        for (step, it) in definition.step.iter_mut().enumerate() {
            let Some(wasm) = &mut it.wasm else { continue };
            let path = folder.join(&wasm.file);
            wasm.file = path.display().to_string();
            if modules.contains_key(&wasm.file) {
                continue;
            }
            let module = read(&path).and_then(|it| match modules.len() < MAX_MODULES {
                true => Ok(it),
                false => Err(format!("rules name at most {MAX_MODULES} modules")),
            });
            let module = module.map_err(|what| ConfigError::At {
                place: document.place(&format!("rule.{rule}.step.{step}.wasm.file")),
                fault: Fault::Wrong { what },
            })?;
            modules.insert(wasm.file.clone(), Arc::new(module));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Module, String> {
    let mut bytes = Vec::new();
    let bound = MAX_MODULE_BYTES as u64 + 1;
    File::open(path)
        .and_then(|file| file.take(bound).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Module::parse(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}
