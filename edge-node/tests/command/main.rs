//! The command as its users meet it.

mod command_line;
mod running_node;
