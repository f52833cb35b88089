use core::fmt;

/// A value that the block cannot hold. Nothing was written; the operator mends the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// The device id.
    Id,
    /// The host of the node.
    Host,
    /// The port of the node.
    Port,
    /// The name of the Wi-Fi.
    Ssid,
    /// The passphrase of the Wi-Fi.
    Passphrase,
    /// The user.
    User,
    /// The password.
    Password,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SettingsError::Id => {
                "the device id is 1 to 64 letters, digits, dots, hyphens or underscores"
            }
            SettingsError::Host => {
                "the node's host is a name or an IPv4 address: 1 to 63 letters, digits, dots or hyphens"
            }
            SettingsError::Port => "the node's port is 1 to 65535",
            SettingsError::Ssid => "the name of the Wi-Fi is 1 to 32 bytes",
            SettingsError::Passphrase => {
                "the passphrase of the Wi-Fi is 8 to 63 printable ASCII characters"
            }
            SettingsError::User => "the user is 1 to 64 bytes",
            SettingsError::Password => "the password is 1 to 64 bytes",
        })
    }
}

impl core::error::Error for SettingsError {}

/// Why a copy is not used. The other copy may hold; if none does, the board is provisioned anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyError {
    /// Erased flash: nothing was ever written, or it was erased.
    Blank,
    /// Something else is there.
    Foreign,
    /// The bytes end within the copy, or its length field says more than a copy can have.
    Length,
    /// The check does not match: a write was cut short, or the flash lost bits.
    Check,
    /// A later version of the format, written by a newer tool.
    Version(u8),
    /// A field this firmware does not know and must not ignore.
    Unknown(u8),
    /// A field that is missing, out of its bounds, out of order, or there twice.
    Field(u8),
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyError::Blank => f.write_str("blank"),
            CopyError::Foreign => f.write_str("no configuration"),
            CopyError::Length => f.write_str("cut short"),
            CopyError::Check => f.write_str("damaged"),
            CopyError::Version(version) => write!(f, "of a later format, version {version}"),
            CopyError::Unknown(tag) => write!(f, "needs newer firmware for its field {tag}"),
            CopyError::Field(tag) => write!(f, "wrong in its field {tag}"),
        }
    }
}

impl core::error::Error for CopyError {}

/// No copy holds: why each does not. The device cannot know its node; it says so and waits to be provisioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The first copy.
    pub first: CopyError,
    /// The second copy.
    pub second: CopyError,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unreadable { first, second } = self;
        write!(
            f,
            "the configuration block cannot be read (first copy: {first}; second: {second}): \
             write one with `provision` and flash it"
        )
    }
}

impl core::error::Error for Unreadable {}

/// Why a board does not know what to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError<E> {
    /// The flash failed.
    Flash(E),
    /// No copy is whole: the board waits to be provisioned.
    Unreadable(Unreadable),
}

impl<E: fmt::Debug> fmt::Display for OpenError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Flash(error) => write!(f, "the flash cannot be read: {error:?}"),
            OpenError::Unreadable(unreadable) => unreadable.fmt(f),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for OpenError<E> {}
