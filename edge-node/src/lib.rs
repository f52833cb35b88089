//! edge-node
pub mod mqtt;
