//! The command as its users meet it.

mod command_line;
#[cfg(feature = "jq")]
mod jq;
mod running_node;
