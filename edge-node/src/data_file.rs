//! Small files beside the log in the data directory, for commands on the same machine.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Puts `text` in place of the file of this name, for its owner alone. A reader sees the old file or the new one, never
/// half of one.
///
/// # Errors
/// The directory is not writable; nothing is left of the new file under its name.
pub(crate) fn replace(data: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let beside = data.join(format!("{name}.new"));
    let mut new = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    new.write_all(text)?;
    fs::rename(&beside, data.join(name))
}
