//! The composition root.
#![allow(missing_docs)]
pub mod core;
pub mod door;
pub mod handle;
pub mod replay;
pub mod source;
pub mod status;
pub mod view;
