//! Tells the linker where the memory is, and the program whether the radio's firmware was fetched.

use std::{env, fs, path::Path};

/// What `fetch-radio` brings.
const PARTS: [&str; 3] = ["43439A0.bin", "43439A0_clm.bin", "nvram_rp2040.bin"];

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rustc-link-search={}", here.display());
    for script in ["link.x", "link-rp.x", "defmt.x"] {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rerun-if-changed=radio");

    let [firmware, clm, nvram] = PARTS.map(|part| here.join("radio").join(part));
    let radio = if firmware.exists() && clm.exists() && nvram.exists() {
        format!(
            "Some(Radio {{ firmware: cyw43::aligned_bytes!({firmware:?}), \
             nvram: cyw43::aligned_bytes!({nvram:?}), clm: include_bytes!({clm:?}) }})"
        )
    } else {
        println!(
            "cargo::warning=without the radio's firmware this image only says so: run ./fetch-radio"
        );
        String::from("None")
    };
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("radio.rs"), radio).expect("cargo made the folder");
}
