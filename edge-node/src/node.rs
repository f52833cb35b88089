//! The composition root.
#![allow(missing_docs)]
pub mod handle;
pub mod replay;
pub mod status;
