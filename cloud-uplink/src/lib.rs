//! cloud-uplink
