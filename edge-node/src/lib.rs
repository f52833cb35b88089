//! edge-node
pub mod mqtt;
pub mod node;
