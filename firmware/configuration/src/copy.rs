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
/// A reader that does not know it works with the other copy.
const TRIAL_TAG: u8 = 128;

/// Which of the two copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the lower address.
    First,
    /// At the higher one.
    Second,
}

impl Place {
    pub(crate) fn other(self) -> Place {
        match self {
            Place::First => Place::Second,
            Place::Second => Place::First,
        }
    }
}

/// How far the settings of a copy are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The board works with them.
    Holds,
    /// They are to be tried.
    Trial,
    /// The board works with them, since the node could not be reached under those of this version.
    Undid(u32),
}

/// What one copy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    pub(crate) settings: Settings<'a>,
    pub(crate) version: u32,
    pub(crate) standing: Standing,
    pub(crate) generation: u32,
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
    /// The node's number of its settings; 0 for those that were provisioned.
    pub version: u32,
    /// How far they are.
    pub standing: Standing,
    /// Why the other copy could not be read. The board works without it, until the next write is cut short.
    pub other: Result<(), CopyError>,
}

impl Configuration<'_> {
    /// Where the next write goes, so that this copy stays whole meanwhile.
    #[must_use]
    pub fn spare(&self) -> Place {
        self.place.other()
    }
}

/// Reads the block: its two copies, in the order of their addresses. Bytes behind a copy are not looked at.
///
/// # Errors
///
/// [`Unreadable`] if no copy is whole.
pub fn read<'a>(first: &'a [u8], second: &'a [u8]) -> Result<Configuration<'a>, Unreadable> {
    let found = |place, said: Said<'a>, other| Configuration {
        settings: said.settings,
        place,
        generation: said.generation,
        version: said.version,
        standing: said.standing,
        other,
    };
    match (decode(first), decode(second)) {
        (Ok(first), Ok(second)) if second.generation > first.generation => {
            Ok(found(Place::Second, second, Ok(())))
        }
        (Ok(first), second) => Ok(found(Place::First, first, second.map(drop))),
        (Err(error), Ok(second)) => Ok(found(Place::Second, second, Err(error))),
        (Err(first), Err(second)) => Err(Unreadable { first, second }),
    }
}

/// Writes one copy of settings that hold. `generation` is at least 1, and one more than that of the copy it takes over from.
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
    let said = Said {
        settings: *settings,
        version: 0,
        standing: Standing::Holds,
        generation,
    };
    said.encode(copy);
    Ok(())
}

impl Said<'_> {
    /// Settings that were read, or checked, are within their bounds.
    #[inline(never)] // its frame is of no use to its callers, and the stack is short
    pub(crate) fn encode(&self, copy: &mut [u8; COPY_BYTES]) {
        let settings = &self.settings;
        copy.fill(0xff);
        let mut fields = Fields {
            bytes: copy,
            at: HEAD_BYTES,
        };
        fields.put(1, settings.id.as_bytes());
        fields.put(2, settings.host.as_bytes());
        fields.put(3, &settings.port.to_le_bytes());
        if let Some(Wifi { ssid, passphrase }) = settings.wifi {
            fields.put(4, ssid.as_bytes());
            if let Some(passphrase) = passphrase {
                fields.put(5, passphrase.as_bytes());
            }
        }
        if let Some(Credentials { user, password }) = settings.credentials {
            fields.put(6, user.as_bytes());
            fields.put(7, password);
        }
        if self.version > 0 {
            fields.put(8, &self.version.to_le_bytes());
        }
        match self.standing {
            Standing::Holds => {}
            Standing::Undid(version) => fields.put(9, &version.to_le_bytes()),
            Standing::Trial => fields.put(TRIAL_TAG, &[]),
        }
        fields.seal(self.generation);
    }
}

/// A copy that is being written.
struct Fields<'a> {
    bytes: &'a mut [u8; COPY_BYTES],
    at: usize,
}

impl Fields<'_> {
    #[inline(never)] // its callers are many, and flash is short
    fn put(&mut self, tag: u8, value: &[u8]) {
        // The bounds of the settings keep a value under 256 bytes and all of them under FIELDS_BYTES.
        let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
        for byte in [tag, length].iter().chain(value) {
            if let Some(slot) = self.bytes.get_mut(self.at) {
                *slot = *byte;
                self.at = self.at.saturating_add(1);
            }
        }
    }

    /// Puts the head before the fields, and the check behind them.
    fn seal(self, generation: u32) {
        let fields = u16::try_from(self.at.saturating_sub(HEAD_BYTES)).unwrap_or(u16::MAX);
        let head = MAGIC
            .into_iter()
            .chain([VERSION, 0])
            .chain(fields.to_le_bytes())
            .chain(generation.to_le_bytes());
        for (slot, byte) in self.bytes.iter_mut().zip(head) {
            *slot = byte;
        }
        let (covered, rest) = self.bytes.split_at_mut(self.at);
        for (slot, byte) in rest.iter_mut().zip(crc32(covered).to_le_bytes()) {
            *slot = byte;
        }
    }
}

/// What one copy says.
pub(crate) fn decode(bytes: &[u8]) -> Result<Said<'_>, CopyError> {
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
    said(u32::from_le_bytes([g0, g1, g2, g3]), fields)
}

/// The fields by tag. What the check covers may still be wrong: another tool may have written it.
fn said(generation: u32, mut fields: &[u8]) -> Result<Said<'_>, CopyError> {
    let mut values: [Option<&[u8]>; 10] = [None; 10];
    let (mut last, mut is_trial) = (0, false);
    while let [tag, length, rest @ ..] = fields {
        let (value, rest) = rest
            .split_at_checked(usize::from(*length))
            .ok_or(CopyError::Field(*tag))?;
        if *tag <= last {
            return Err(CopyError::Field(*tag));
        }
        match values.get_mut(usize::from(*tag)) {
            Some(slot) => *slot = Some(value),
            None if *tag == TRIAL_TAG && value.is_empty() => is_trial = true,
            None if *tag >= FIRST_STRICT_TAG => return Err(CopyError::Unknown(*tag)),
            None => {}
        }
        last = *tag;
        fields = rest;
    }
    if let [tag] = fields {
        return Err(CopyError::Field(*tag));
    }
    let [
        _,
        id,
        host,
        port,
        ssid,
        passphrase,
        user,
        password,
        version,
        undone,
    ] = values;
    let undone = number(9, undone)?;
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
    let checked = settings.check();
    checked.map_err(|error| CopyError::Field(tag_of(error)))?;
    Ok(Said {
        settings,
        version: number(8, version)?.unwrap_or(0),
        standing: match undone {
            _ if is_trial => Standing::Trial,
            Some(version) => Standing::Undid(version),
            None => Standing::Holds,
        },
        generation,
    })
}

fn number(tag: u8, value: Option<&[u8]>) -> Result<Option<u32>, CopyError> {
    value
        .map(|value| {
            let bytes = value.try_into().map_err(|_| CopyError::Field(tag))?;
            Ok(u32::from_le_bytes(bytes))
        })
        .transpose()
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
