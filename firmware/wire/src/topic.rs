//! Which topics a device and the node use: `<prefix/>d/<id>` and its three siblings.

use core::fmt;

use crate::EncodeError;

/// What comes in front of every topic of devices: nothing, or levels of an MQTT topic without wildcards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix<'a>(&'a str);

impl<'a> Prefix<'a> {
    /// The longest prefix, in bytes.
    pub const MAX_LEN: usize = 64;
    /// No prefix.
    pub const NONE: Prefix<'static> = Prefix("");

    /// `None` for what is too long, begins or ends with `/` or begins with `$`, or holds a wildcard or control character.
    #[must_use]
    pub fn new(prefix: &'a str) -> Option<Self> {
        let sound = prefix.len() <= Self::MAX_LEN
            && !prefix.starts_with(['/', '$'])
            && !prefix.ends_with('/')
            && !prefix.contains(['+', '#'])
            && !prefix.contains(char::is_control);
        sound.then_some(Prefix(prefix))
    }

    /// The prefix itself.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// What a topic is under this prefix; `None` for one that is no device's.
    #[must_use]
    pub fn split<'t>(self, topic: &'t str) -> Option<(Channel, DeviceId<'t>)> {
        let rest = topic.strip_prefix(self.0)?;
        let rest = if self.0.is_empty() {
            rest
        } else {
            rest.strip_prefix('/')?
        };
        let (channel, id) = rest.split_once('/')?;
        Some((Channel::named(channel)?, DeviceId::new(id)?))
    }
}

/// The name of a device, which is its MQTT client id: one level of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId<'a>(&'a str);

impl<'a> DeviceId<'a> {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 64;

    /// `None` for what is empty or too long, or holds `/`, a wildcard or a control character.
    #[must_use]
    pub fn new(id: &'a str) -> Option<Self> {
        let sound = !id.is_empty()
            && id.len() <= Self::MAX_LEN
            && !id.contains(['/', '+', '#'])
            && !id.contains(char::is_control);
        sound.then_some(DeviceId(id))
    }

    /// The id itself.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// One of a device's four topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// `d`: events, from the device, QoS 1.
    Data,
    /// `b`: birth and what else the device says of itself, from the device, QoS 1.
    Birth,
    /// `a`: answers, from the node, QoS 0.
    Answer,
    /// `c`: commands and configurations, from the node, QoS 0.
    Command,
}

impl Channel {
    const ALL: [Channel; 4] = [
        Channel::Data,
        Channel::Birth,
        Channel::Answer,
        Channel::Command,
    ];

    const fn name(self) -> &'static str {
        match self {
            Channel::Data => "d",
            Channel::Birth => "b",
            Channel::Answer => "a",
            Channel::Command => "c",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }

    /// Whether only the device publishes here; the node alone publishes on the others.
    #[must_use]
    pub const fn is_up(self) -> bool {
        matches!(self, Channel::Data | Channel::Birth)
    }
}

/// A device's topic; [`fmt::Display`] writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// What the installation puts in front.
    pub prefix: Prefix<'a>,
    /// Which of the four.
    pub channel: Channel,
    /// Whose.
    pub device: DeviceId<'a>,
}

impl Topic<'_> {
    /// The longest topic, in bytes.
    pub const MAX_LEN: usize = Prefix::MAX_LEN + DeviceId::MAX_LEN + 3;

    /// Writes it; the part of `into` that holds it.
    ///
    /// # Errors
    ///
    /// `into` is too small; [`Topic::MAX_LEN`] is enough.
    pub fn write<'b>(&self, into: &'b mut [u8]) -> Result<&'b str, EncodeError> {
        let mut writer = crate::writer::Writer::new(into);
        if !self.prefix.0.is_empty() {
            writer.raw(self.prefix.0.as_bytes()).u8(b'/');
        }
        writer
            .raw(self.channel.name().as_bytes())
            .u8(b'/')
            .raw(self.device.0.as_bytes());
        core::str::from_utf8(writer.finish()?).map_err(|_| EncodeError::Bound)
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.prefix.0.is_empty() { "" } else { "/" };
        write!(
            f,
            "{}{slash}{}/{}",
            self.prefix.0,
            self.channel.name(),
            self.device.0
        )
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_topic_is_split_into_what_it_was_made_of() {
        for prefix in ["", "plant/7"] {
            for channel in Channel::ALL {
                let prefix = Prefix::new(prefix).unwrap();
                let device = DeviceId::new("pump-7").unwrap();
                let topic = Topic {
                    prefix,
                    channel,
                    device,
                };
                let mut buffer = [0; Topic::MAX_LEN];
                assert_eq!(topic.write(&mut buffer).unwrap(), topic.to_string());
                assert_eq!(prefix.split(&topic.to_string()), Some((channel, device)));
            }
        }
        let plant = Prefix::new("plant").unwrap();
        assert_eq!(plant.split("plant/b/pump-7").unwrap().0, Channel::Birth);
    }

    #[test]
    fn a_topic_of_another_sort_is_nobodys() {
        let plant = Prefix::new("plant").unwrap();
        for topic in [
            "d/x",
            "plant/d",
            "plant/d/",
            "plant/e/x",
            "plants/d/x",
            "plant/d/x/y",
            "plant/d/+",
        ] {
            assert_eq!(plant.split(topic), None, "{topic}");
        }
        assert_eq!(Prefix::NONE.split("/d/x"), None);
    }

    #[test]
    fn prefix_and_id_are_levels_of_a_topic() {
        for prefix in ["/a", "a/", "$SYS", "a/+", "#", "a\nb"] {
            assert_eq!(Prefix::new(prefix), None, "{prefix}");
        }
        for id in ["", "a/b", "+", "a#", "a\0"] {
            assert_eq!(DeviceId::new(id), None, "{id}");
        }
        let long = "x".repeat(65);
        assert_eq!(Prefix::new(&long), None);
        assert_eq!(DeviceId::new(&long), None);
    }
}
