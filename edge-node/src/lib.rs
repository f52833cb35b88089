//! edge-node
pub mod config;
pub mod ingest;
pub mod mqtt;
pub mod node;
