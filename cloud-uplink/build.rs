//! Compiles `proto/` in pure Rust, so that a build needs no system package.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["eventmesh.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // Attributes have a stable order, so that the same event has the same bytes.
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
