//! edge-node
pub mod broker;
pub mod config;
pub mod http;
pub mod ingest;
pub mod mqtt;
pub mod node;
pub mod record;
pub mod run;
