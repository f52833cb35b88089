//! Has esp-hal's linker script used; it knows the chip's memory.

fn main() {
    println!("cargo::rustc-link-arg-bins=-Tlinkall.x");
}
