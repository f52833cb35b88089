# The recipes are the steps of ./test, which is the one definition of each.

# Everything CI runs.
default:
    ./test

# Before each commit.
check:
    ./test fmt lint docs deny unit

# What runs on microcontrollers: its own workspace, tested here and built for one.
firmware:
    ./test firmware

# Boards in QEMU publish to a node, through a reset and a cut link; needs qemu-system-arm (Debian: qemu-system-arm).
boards count="3":
    cargo run -p tests --features boards --example boards -- {{count}}

# The whole system beside mosquitto, paho and EventMesh's SDK.
e2e:
    ./test e2e

# Each fuzz target for so long.
fuzz seconds="60":
    EDGE_FUZZ_SECONDS={{seconds}} ./test fuzz

# kill -9 under load, as many rounds as wanted.
storm rounds="200":
    EDGE_STORM_ROUNDS={{rounds}} cargo test -p tests kill_storm -- --nocapture

# A static binary for a gateway; needs cross and a container engine.
cross target="aarch64-unknown-linux-musl":
    CROSS_CONFIG=cross.toml cross build --release -p edge-node --target {{target}}

# The same without a container engine; needs a C compiler for it. Debian: gcc-aarch64-linux-gnu, or gcc-arm-linux-gnueabihf for
# `just static armv7-unknown-linux-musleabihf arm-linux-gnueabihf-gcc`; musl-tools for `just static x86_64-unknown-linux-musl musl-gcc`.
static target="aarch64-unknown-linux-musl" cc="aarch64-linux-gnu-gcc":
    rustup target add {{target}}
    CC_{{replace(target, "-", "_")}}={{cc}} \
    CARGO_TARGET_{{uppercase(replace(target, "-", "_"))}}_LINKER=rust-lld \
    CARGO_TARGET_{{uppercase(replace(target, "-", "_"))}}_RUSTFLAGS="-C link-self-contained=yes" \
    cargo build --release -p edge-node --target {{target}}
