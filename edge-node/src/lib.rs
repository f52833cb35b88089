//! edge-node
pub mod config;
pub mod mqtt;
pub mod node;
