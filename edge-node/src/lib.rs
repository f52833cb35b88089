//! edge-node
pub mod bench;
pub mod broker;
pub mod cli;
pub mod config;
pub mod endpoints;
pub mod http;
pub mod ingest;
pub mod logging;
pub mod mesh;
pub mod mqtt;
pub mod node;
pub mod record;
pub mod run;
