use super::Id;

pub(super) const NAMESPACE: &str = "spBv1.0";

/// A topic of Sparkplug B: `spBv1.0/GROUP/MESSAGE/NODE` and, for a device, `/DEVICE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// The group.
    pub group: &'a str,
    /// What is said on it.
    pub message: Message,
    /// The node.
    pub node: &'a str,
    /// The device, where it is about one.
    pub device: Option<&'a str>,
}

/// The messages of nodes and devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the specification")]
pub enum Message {
    NodeBirth,
    NodeDeath,
    NodeData,
    NodeCommand,
    DeviceBirth,
    DeviceDeath,
    DeviceData,
    DeviceCommand,
}

impl<'a> Topic<'a> {
    /// `None` for a topic of something else, and for that of a host's state, whose payload is JSON.
    pub fn parse(topic: &'a str) -> Option<Topic<'a>> {
        let mut levels = topic.split('/');
        let namespace = levels.next()?;
        let (group, message, node) = (levels.next()?, levels.next()?, levels.next()?);
        let device = levels.next();
        let message = Message::parse(message)?;
        let is_whole = namespace == NAMESPACE
            && levels.next().is_none()
            && device.is_some() == message.is_of_device();
        is_whole.then_some(Topic {
            group,
            message,
            node,
            device,
        })
    }

    pub(super) fn id(&self) -> Id {
        Id {
            group: self.group.into(),
            node: self.node.into(),
            device: self.device.map(Into::into),
        }
    }

    pub(super) fn node_key(&self) -> (Box<str>, Box<str>) {
        (self.group.into(), self.node.into())
    }
}

impl Message {
    const ALL: [Message; 8] = [
        Message::NodeBirth,
        Message::NodeDeath,
        Message::NodeData,
        Message::NodeCommand,
        Message::DeviceBirth,
        Message::DeviceDeath,
        Message::DeviceData,
        Message::DeviceCommand,
    ];

    fn parse(text: &str) -> Option<Message> {
        Message::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// As topics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Message::NodeBirth => "NBIRTH",
            Message::NodeDeath => "NDEATH",
            Message::NodeData => "NDATA",
            Message::NodeCommand => "NCMD",
            Message::DeviceBirth => "DBIRTH",
            Message::DeviceDeath => "DDEATH",
            Message::DeviceData => "DDATA",
            Message::DeviceCommand => "DCMD",
        }
    }

    pub(super) fn is_birth(self) -> bool {
        matches!(self, Message::NodeBirth | Message::DeviceBirth)
    }

    pub(super) fn is_death(self) -> bool {
        matches!(self, Message::NodeDeath | Message::DeviceDeath)
    }

    /// Whether the node counts it.
    pub(super) fn has_seq(self) -> bool {
        use Message::{DeviceCommand, NodeCommand, NodeDeath};
        !matches!(self, NodeDeath | NodeCommand | DeviceCommand)
    }

    fn is_of_device(self) -> bool {
        self.as_str().starts_with('D')
    }
}
