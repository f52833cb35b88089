//! The command `edge-node`.

fn main() {}
