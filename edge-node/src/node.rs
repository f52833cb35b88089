//! The composition root.
#![allow(missing_docs)]
pub mod handle;
