use crate::{CopyError, Credentials, Settings, SettingsError, Unreadable, Wifi};

/// Bytes of one copy, written and read whole. A multiple of every write size of the boards' flash.
pub const COPY_BYTES: usize = 512;

const MAGIC: [u8; 4] = *b"EDGC";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 12;
const CHECK_BYTES: usize = 4;
const FIELDS_BYTES: usize = 492;
/// From here on a tag that is not known is refused.
const FIRST_STRICT_TAG: u8 = 128;

/// Which of the two copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the lower address.
    First,
    /// At the higher one.
    Second,
}

/// What the block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration<'a> {
    /// The settings that hold.
    pub settings: Settings<'a>,
    /// The copy they were read from.
    pub place: Place,
    /// Its generation.
    pub generation: u32,
    /// Why the other copy could not be read. The board works without it, until the next write is cut short.
    pub other: Result<(), CopyError>,
}

impl Configuration<'_> {
    /// Where the next write goes, so that this copy stays whole meanwhile.
    #[must_use]
    pub fn spare(&self) -> Place {
        match self.place {
            Place::First => Place::Second,
            Place::Second => Place::First,
        }
    }
}

/// Reads the block: its two copies, in the order of their addresses. Bytes behind a copy are not looked at.
///
/// # Errors
///
/// [`Unreadable`] if no copy is whole.
pub fn read<'a>(first: &'a [u8], second: &'a [u8]) -> Result<Configuration<'a>, Unreadable> {
    let found = |place, (generation, settings), other| Configuration {
        settings,
        place,
        generation,
        other,
    };
    match (decode(first), decode(second)) {
        (Ok(first), Ok(second)) if second.0 > first.0 => Ok(found(Place::Second, second, Ok(()))),
        (Ok(first), second) => Ok(found(Place::First, first, second.map(drop))),
        (Err(error), Ok(second)) => Ok(found(Place::Second, second, Err(error))),
        (Err(first), Err(second)) => Err(Unreadable { first, second }),
    }
}

/// Writes one copy. `generation` is at least 1, and one more than that of the copy it takes over from.
///
/// # Errors
///
/// The first of the settings that is out of its bounds; `copy` is then as it was.
pub fn encode(
    settings: &Settings<'_>,
    generation: u32,
    copy: &mut [u8; COPY_BYTES],
) -> Result<(), SettingsError> {
    settings.check()?;
    let mut bytes = [0xff; COPY_BYTES];
    let mut at = HEAD_BYTES;
    let mut put = |tag, value: &[u8]| {
        // The bounds of the settings keep a value under 256 bytes and all of them under FIELDS_BYTES.
        let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
        for byte in [tag, length].iter().chain(value) {
            if let Some(slot) = bytes.get_mut(at) {
                *slot = *byte;
                at = at.saturating_add(1);
            }
        }
    };
    put(1, settings.id.as_bytes());
    put(2, settings.host.as_bytes());
    put(3, &settings.port.to_le_bytes());
    if let Some(Wifi { ssid, passphrase }) = settings.wifi {
        put(4, ssid.as_bytes());
        if let Some(passphrase) = passphrase {
            put(5, passphrase.as_bytes());
        }
    }
    if let Some(Credentials { user, password }) = settings.credentials {
        put(6, user.as_bytes());
        put(7, password);
    }
    let fields = u16::try_from(at.saturating_sub(HEAD_BYTES)).unwrap_or(u16::MAX);
    let head = MAGIC
        .into_iter()
        .chain([VERSION, 0])
        .chain(fields.to_le_bytes())
        .chain(generation.to_le_bytes());
    for (slot, byte) in bytes.iter_mut().zip(head) {
        *slot = byte;
    }
    let (covered, rest) = bytes.split_at_mut(at);
    for (slot, byte) in rest.iter_mut().zip(crc32(covered).to_le_bytes()) {
        *slot = byte;
    }
    *copy = bytes;
    Ok(())
}

/// One copy: its generation and what it says.
fn decode(bytes: &[u8]) -> Result<(u32, Settings<'_>), CopyError> {
    let bytes = bytes.get(..COPY_BYTES).unwrap_or(bytes);
    if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0xff) {
        return Err(CopyError::Blank);
    }
    let (head, rest) = bytes
        .split_first_chunk::<HEAD_BYTES>()
        .ok_or(CopyError::Length)?;
    let [m0, m1, m2, m3, version, _, n0, n1, g0, g1, g2, g3] = *head;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(CopyError::Foreign);
    }
    if version != VERSION {
        return Err(CopyError::Version(version));
    }
    let length = usize::from(u16::from_le_bytes([n0, n1]));
    if length > FIELDS_BYTES {
        return Err(CopyError::Length);
    }
    let (fields, rest) = rest.split_at_checked(length).ok_or(CopyError::Length)?;
    let check = rest.first_chunk::<CHECK_BYTES>().ok_or(CopyError::Length)?;
    let covered = bytes
        .get(..HEAD_BYTES.saturating_add(length))
        .ok_or(CopyError::Length)?;
    if crc32(covered) != u32::from_le_bytes(*check) {
        return Err(CopyError::Check);
    }
    Ok((u32::from_le_bytes([g0, g1, g2, g3]), settings(fields)?))
}

/// The fields by tag. What the check covers may still be wrong: another tool may have written it.
fn settings(mut fields: &[u8]) -> Result<Settings<'_>, CopyError> {
    let mut values: [Option<&[u8]>; 8] = [None; 8];
    let mut last = 0;
    while let [tag, length, rest @ ..] = fields {
        let (value, rest) = rest
            .split_at_checked(usize::from(*length))
            .ok_or(CopyError::Field(*tag))?;
        if *tag <= last {
            return Err(CopyError::Field(*tag));
        }
        match values.get_mut(usize::from(*tag)) {
            Some(slot) => *slot = Some(value),
            None if *tag >= FIRST_STRICT_TAG => return Err(CopyError::Unknown(*tag)),
            None => {}
        }
        last = *tag;
        fields = rest;
    }
    if let [tag] = fields {
        return Err(CopyError::Field(*tag));
    }
    let [_, id, host, port, ssid, passphrase, user, password] = values;
    let settings = Settings {
        id: text(1, id)?.ok_or(CopyError::Field(1))?,
        host: text(2, host)?.ok_or(CopyError::Field(2))?,
        port: port
            .and_then(|value| value.try_into().ok())
            .map(u16::from_le_bytes)
            .ok_or(CopyError::Field(3))?,
        wifi: match (text(4, ssid)?, text(5, passphrase)?) {
            (Some(ssid), passphrase) => Some(Wifi { ssid, passphrase }),
            (None, Some(_)) => return Err(CopyError::Field(4)),
            (None, None) => None,
        },
        credentials: match (text(6, user)?, password) {
            (Some(user), Some(password)) => Some(Credentials { user, password }),
            (Some(_), None) => return Err(CopyError::Field(7)),
            (None, Some(_)) => return Err(CopyError::Field(6)),
            (None, None) => None,
        },
    };
    match settings.check() {
        Ok(()) => Ok(settings),
        Err(error) => Err(CopyError::Field(tag_of(error))),
    }
}

fn text(tag: u8, value: Option<&[u8]>) -> Result<Option<&str>, CopyError> {
    value
        .map(|value| core::str::from_utf8(value).map_err(|_| CopyError::Field(tag)))
        .transpose()
}

fn tag_of(error: SettingsError) -> u8 {
    match error {
        SettingsError::Id => 1,
        SettingsError::Host => 2,
        SettingsError::Port => 3,
        SettingsError::Ssid => 4,
        SettingsError::Passphrase => 5,
        SettingsError::User => 6,
        SettingsError::Password => 7,
    }
}

/// CRC-32 as in IEEE 802.3, bit by bit: it runs over one copy at boot, and a table would cost a kilobyte of flash.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn the_check_is_the_crc_of_ethernet() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
