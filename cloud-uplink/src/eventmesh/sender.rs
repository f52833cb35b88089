use std::{collections::BTreeMap, fmt::Write};

use super::attribute::{
    self, ENV, IDC, IP, LANGUAGE, PASSWD, PID, PRODUCER_GROUP, PROTOCOL_DESC, PROTOCOL_TYPE,
    PROTOCOL_VERSION, SYS, TTL, USERNAME,
};

const DEFAULT_ENV: &str = "edge";
const DEFAULT_IDC: &str = "default";
const DEFAULT_NAME: &str = "edge-node";
/// What EventMesh's own SDK sends.
const DEFAULT_TTL: &str = "4000";

/// What a publisher says of itself on every event. EventMesh refuses an event that lacks any of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Deployment environment.
    pub env: String,
    /// Data centre.
    pub idc: String,
    /// Its address.
    pub ip: String,
    /// Its process.
    pub pid: u32,
    /// The system it belongs to.
    pub sys: String,
    /// Its name. There is no password beside it: EventMesh shows every subscriber what a publisher sends as one, so a
    /// placeholder goes in its place.
    pub username: String,
    /// The group of publishers it is one of.
    pub producer_group: String,
    /// Milliseconds for which EventMesh tries to deliver, in decimal digits.
    pub ttl: String,
}

impl Default for Sender {
    fn default() -> Sender {
        Sender {
            env: DEFAULT_ENV.to_owned(),
            idc: DEFAULT_IDC.to_owned(),
            ip: "127.0.0.1".to_owned(),
            pid: std::process::id(),
            sys: DEFAULT_NAME.to_owned(),
            username: DEFAULT_NAME.to_owned(),
            producer_group: DEFAULT_NAME.to_owned(),
            ttl: DEFAULT_TTL.to_owned(),
        }
    }
}

impl Sender {
    /// Its attributes, by name.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        [
            (ENV, self.env.clone()),
            (IDC, self.idc.clone()),
            (IP, self.ip.clone()),
            (PID, self.pid.to_string()),
            (SYS, self.sys.clone()),
            (USERNAME, self.username.clone()),
            (PRODUCER_GROUP, self.producer_group.clone()),
            (TTL, self.ttl.clone()),
        ]
        .into_iter()
        .chain(CONSTANTS.map(|(name, value)| (name, value.to_owned())))
    }
}

/// The same from every sender of this project. Without `protocoldesc` EventMesh acknowledges an event and never
/// delivers it.
pub(super) const CONSTANTS: [(&str, &str); 5] = [
    (PASSWD, "none"),
    (LANGUAGE, "RUST"),
    (PROTOCOL_TYPE, "cloudevents"),
    (PROTOCOL_VERSION, "1.0"),
    (PROTOCOL_DESC, "grpc-cloud-event"),
];

/// Whether a node of default settings says the same of itself.
pub(super) fn is_usual(name: &str, value: &str) -> bool {
    let usual = match name {
        ENV => DEFAULT_ENV,
        IDC => DEFAULT_IDC,
        SYS | USERNAME | PRODUCER_GROUP => DEFAULT_NAME,
        TTL => DEFAULT_TTL,
        _ => return CONSTANTS.contains(&(name, value)),
    };
    value == usual
}

/// Attributes of a publisher as one text, `name=value` joined by `&`, values percent-encoded.
pub(super) fn pack(attributes: &BTreeMap<String, String>) -> String {
    let mut packed = String::new();
    for (name, value) in attributes {
        if !packed.is_empty() {
            packed.push('&');
        }
        packed.push_str(name);
        packed.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~:/@".contains(&byte) {
                packed.push(char::from(byte));
            } else {
                let _ = write!(packed, "%{byte:02X}"); // writing to a String does not fail
            }
        }
    }
    packed
}

/// Undoes [`pack`]. What is not of that form, no attribute that EventMesh keeps for itself, or nothing EventMesh would
/// accept of a publisher, is left out: the text may come from a device.
pub(super) fn unpack(packed: &str) -> impl Iterator<Item = (&str, String)> {
    packed.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let kept = attribute::is_reserved(name) && name != PASSWD;
        let value = percent_decoded(value).filter(|it| kept && !it.is_empty())?;
        let digits = || value.bytes().all(|it| it.is_ascii_digit());
        (name != PID || digits()).then_some((name, value))
    })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            rest = tail;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}
