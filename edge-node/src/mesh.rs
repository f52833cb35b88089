//! mesh
mod core;
mod key;
