use std::convert::Infallible;

use super::{ModuleError, ModuleStep, TransformError};

/// A module of WebAssembly. There is none: this crate was built without the feature `wasm`.
#[derive(Clone, Debug, PartialEq)]
pub struct Module(Infallible);

impl Module {
    /// Refuses any bytes.
    ///
    /// # Errors
    ///
    /// [`ModuleError::NotBuilt`].
    pub fn parse(_: &[u8]) -> Result<Module, ModuleError> {
        Err(ModuleError::NotBuilt)
    }

    pub(super) fn check_export(&self, _: &str) -> Result<(), ModuleError> {
        match self.0 {}
    }

    pub(super) fn run(&self, _: &ModuleStep, _: &[u8]) -> Result<Option<Vec<u8>>, TransformError> {
        match self.0 {}
    }
}
