//! From the settings of a device, as its operator writes them, to the file that is flashed.
//!
//! ```text
//!  pump-7.toml ──▶ SettingsFile ──▶ configuration::encode ──▶ pump-7.bin ──▶ QEMU · probe-rs · picotool · espflash
//! ```
//!
//! The bytes of the block are the crate [`configuration`]'s; where a board keeps it is [`Board`]'s.

mod board;
mod image;
mod settings;

pub use board::Board;
pub use image::{describe, image};
pub use settings::SettingsFile;
