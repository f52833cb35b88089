//! The attributes that are EventMesh's own, and how an extension that has one of their names travels.

use std::borrow::Cow;

use super::proto::{
    CloudEvent,
    cloud_event::{CloudEventAttributeValue, cloud_event_attribute_value::Attr},
};

/// Deployment environment of the sender.
pub const ENV: &str = "env";
/// Data centre of the sender.
pub const IDC: &str = "idc";
/// Address of the sender.
pub const IP: &str = "ip";
/// Process of the sender, digits.
pub const PID: &str = "pid";
/// System of the sender.
pub const SYS: &str = "sys";
/// Name of the sender.
pub const USERNAME: &str = "username";
/// Password of the sender, which EventMesh shows every subscriber.
pub const PASSWD: &str = "passwd";
/// Language the sender is written in.
pub const LANGUAGE: &str = "language";
/// `cloudevents`.
pub const PROTOCOL_TYPE: &str = "protocoltype";
/// `1.0`.
pub const PROTOCOL_VERSION: &str = "protocolversion";
/// `grpc-cloud-event`.
pub const PROTOCOL_DESC: &str = "protocoldesc";
/// Unique for each event.
pub const UNIQUE_ID: &str = "uniqueid";
/// Unique for each event.
pub const SEQ_NUM: &str = "seqnum";
/// Milliseconds, digits.
pub const TTL: &str = "ttl";
/// Group of publishers.
pub const PRODUCER_GROUP: &str = "producergroup";
/// Group of subscribers.
pub const CONSUMER_GROUP: &str = "consumergroup";
/// 2 for a subscriber.
pub const CLIENT_TYPE: &str = "clienttype";
/// Webhook of a subscriber.
pub const URL: &str = "url";
/// `subscription_reply` marks a reply on a stream.
pub const SUB_MESSAGE_TYPE: &str = "submessagetype";
/// Of an answer; see [`super::status`].
pub const STATUS_CODE: &str = "statuscode";
/// Of an answer, for people.
pub const RESPONSE_MESSAGE: &str = "responsemessage";
/// When the mesh took a delivered event out of its store, milliseconds since 1970.
pub const REQ_MQ_TO_MESH: &str = "reqmq2eventmeshtimestamp";
/// When the mesh gave it to the subscriber, milliseconds since 1970.
pub const REQ_MESH_TO_CLIENT: &str = "reqeventmesh2ctimestamp";

/// The mesh topic.
pub const SUBJECT: &str = "subject";
/// When the event happened; of an answer, when it was given.
pub const TIME: &str = "time";
/// Media type of the data.
pub const DATA_CONTENT_TYPE: &str = "datacontenttype";
/// Schema of the data.
pub const DATA_SCHEMA: &str = "dataschema";

/// The event's own `subject`.
pub const CE_SUBJECT: &str = "cesubject";
/// The MQTT topic on which the event entered the mesh.
pub const MQTT_TOPIC: &str = "mqtttopic";
/// `true` where the JSON `null` that travels stands for no data.
pub const NO_DATA: &str = "nodata";
/// The event's own `datacontenttype`, where the data travels under another.
pub const CE_DATA_CONTENT_TYPE: &str = "cedatacontenttype";
/// `true` where data that travels as bytes is text.
pub const TEXT_DATA: &str = "textdata";
/// The topic under which a mesh carried an event to a node, kept there for those who subscribe to it.
pub const MESH_TOPIC: &str = "meshtopic";
/// What a publisher said of itself, kept in a node for those who get the event over gRPC.
pub const MESH_SENDER: &str = "meshsender";

/// Names that are EventMesh's own on events: what it requires, what it reads, and what it or one of its stores adds on
/// the way. Sorted. None begins with `x`, which makes [`escape`] reversible.
const RESERVED: [&str; 65] = [
    "arrive99time",
    "bizseqno",
    "bornhost",
    "borntimestamp",
    "clienttype",
    "cluster",
    "consumergroup",
    "contenttype",
    "destination",
    "env",
    "eventdata",
    "eventmeshdendbacktimes",
    "eventmeshsendbackip",
    "idc",
    "ip",
    "keys",
    "language",
    "leave99time",
    "messageid",
    "msgtype",
    "passwd",
    "pid",
    "producergroup",
    "protocoldesc",
    "protocoltype",
    "protocolversion",
    "queueid",
    "queueoffset",
    "req0group",
    "req0idc",
    "req0ip",
    "req0sys",
    "reqc2eventmeshtimestamp",
    "reqeventmesh2ctimestamp",
    "reqeventmesh2mqtimestamp",
    "reqmq2eventmeshtimestamp",
    "reqreceiveeventmeship",
    "reqsendeventmeship",
    "responsemessage",
    "rmbuniqid",
    "rsp0group",
    "rsp0idc",
    "rsp0ip",
    "rsp0sys",
    "rsp0url",
    "rspc2eventmeshtimestamp",
    "rspeventmesh2ctimestamp",
    "rspeventmesh2mqtimestamp",
    "rspmq2eventmeshtimestamp",
    "rspreceiveeventmeship",
    "rspsendeventmeship",
    "searchkeys",
    "seqnum",
    "statuscode",
    "store99time",
    "storehost",
    "storetimestamp",
    "submessagetype",
    "sys",
    "tag",
    "timeout",
    "ttl",
    "uniqueid",
    "url",
    "username",
];

/// Names that this mapping gives a meaning.
const MARKERS: [&str; 4] = [CE_SUBJECT, NO_DATA, CE_DATA_CONTENT_TYPE, TEXT_DATA];

/// Whether an attribute of this name is EventMesh's own.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.binary_search(&name).is_ok()
}

/// The name under which an extension travels: `x` is put before a name that is taken, and before one that could be
/// read as the result of that.
pub fn escape(name: &str) -> Cow<'_, str> {
    let bare = name.trim_start_matches('x');
    if is_reserved(bare) || MARKERS.contains(&bare) {
        format!("x{name}").into()
    } else {
        name.into()
    }
}

/// Undoes [`escape`].
pub fn unescape(name: &str) -> &str {
    let bare = name.trim_start_matches('x');
    match name.strip_prefix('x') {
        Some(shorter) if is_reserved(bare) || MARKERS.contains(&bare) => shorter,
        _ => name,
    }
}

impl CloudEvent {
    /// An attribute that is text; `None` where it is absent or of another type.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name)?.attr.as_ref()? {
            Attr::CeString(text) => Some(text),
            _ => None,
        }
    }

    /// Sets an attribute to text.
    pub fn set_text(&mut self, name: &str, text: impl Into<String>) {
        self.set(name, Attr::CeString(text.into()));
    }

    /// Sets an attribute.
    pub fn set(&mut self, name: &str, attr: Attr) {
        let value = CloudEventAttributeValue { attr: Some(attr) };
        self.attributes.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_is_undone_for_every_taken_name_however_many_x_stand_before_it() {
        for bare in RESERVED.into_iter().chain(MARKERS) {
            for count in 0..4 {
                let name = format!("{}{bare}", "x".repeat(count));
                let sent = escape(&name);
                assert_eq!(sent, format!("x{name}"));
                assert_eq!(unescape(&sent), name);
            }
        }
    }

    #[test]
    fn names_that_are_free_travel_as_they_are() {
        for name in [
            "x",
            "xx",
            "xray",
            "hops",
            "partitionkey",
            "tt",
            "ttls",
            "mqtttopic",
        ] {
            assert_eq!(escape(name), name);
            assert_eq!(unescape(name), name);
        }
    }

    #[test]
    fn taken_names_are_sorted_and_none_begins_with_the_mark_of_escaping() {
        assert!(RESERVED.is_sorted());
        assert!(
            RESERVED
                .iter()
                .chain(&MARKERS)
                .all(|name| !name.starts_with('x') && filters::is_attribute_name(name))
        );
    }
}
