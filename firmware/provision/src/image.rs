use std::fmt::Write as _;

use anyhow::{Result, bail};
use configuration::{COPY_BYTES, Place, Settings, SettingsError, encode, read};

use crate::Board;

/// The file for `board`: both copies, in the first generation, as far apart as the board erases.
///
/// # Errors
///
/// The first of the settings that is out of its bounds.
pub fn image(settings: &Settings<'_>, board: Board) -> Result<Vec<u8>, SettingsError> {
    let mut copy = [0; COPY_BYTES];
    encode(settings, 1, &mut copy)?;
    let mut image = copy.to_vec();
    image.resize(board.erase_bytes(), 0xff);
    image.extend(copy);
    Ok(image)
}

/// What a file for `board` says, secrets left out; also what was read back from a board.
///
/// # Errors
///
/// The file is too short for two copies, or no copy in it is whole.
pub fn describe(image: &[u8], board: Board) -> Result<String> {
    let Some((first, second)) = image.split_at_checked(board.erase_bytes()) else {
        let (bytes, needed) = (image.len(), board.erase_bytes());
        bail!(
            "the file has {bytes} bytes; its second copy would begin at {needed}: is it of another board?"
        );
    };
    let found = read(first, second)?;
    let settings = found.settings;
    let mut text = format!(
        "id          {}\nnode        {}:{}\n",
        settings.id, settings.host, settings.port
    );
    if let Some(wifi) = settings.wifi {
        let lock = wifi.passphrase.map_or("open", |_| "with a passphrase");
        writeln!(text, "wifi        {} ({lock})", wifi.ssid)?;
    }
    if let Some(credentials) = settings.credentials {
        writeln!(text, "user        {}", credentials.user)?;
    }
    let (place, other) = match found.place {
        Place::First => ("first", "second"),
        Place::Second => ("second", "first"),
    };
    write!(
        text,
        "generation  {}, in the {place} copy; ",
        found.generation
    )?;
    match found.other {
        Ok(()) => writeln!(text, "the {other} is whole too")?,
        Err(error) => writeln!(text, "the {other} is {error}")?,
    }
    Ok(text)
}
