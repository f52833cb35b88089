# The recipes are the steps of ./test, which is the one definition of each.

# Everything CI runs.
default:
    ./test

# Before each commit.
check:
    ./test fmt lint docs deny unit

firmware:
    ./test firmware

e2e:
    ./test e2e

fuzz seconds="60":
    EDGE_FUZZ_SECONDS={{seconds}} ./test fuzz

# kill -9 under load, as many rounds as wanted.
storm rounds="200":
    EDGE_STORM_ROUNDS={{rounds}} cargo test -p tests kill_storm -- --nocapture

# A static binary for a gateway; needs cross and a container engine.
cross target="aarch64-unknown-linux-musl":
    CROSS_CONFIG=cross.toml cross build --release -p edge-node --target {{target}}
