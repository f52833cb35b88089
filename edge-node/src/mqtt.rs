//! The MQTT codec.
#![allow(missing_docs)]
pub mod packet;
