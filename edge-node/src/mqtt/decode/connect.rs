use super::DecodeError;
use super::reader::Reader;
use crate::mqtt::packet::{Connect, PublishProperties, PublishPropertySet, QoS, Version, Will};
use crate::mqtt::property;
use bytes::Bytes;
use std::num::NonZeroU32;

type Result<T> = std::result::Result<T, DecodeError>;

/// Protocol name and level: the part that says how to read the rest.
pub(super) fn version(body: &mut Reader<'_>) -> Result<Version> {
    let name = body.text("protocol name")?;
    if name != "MQTT" && name != "MQIsdp" {
        return Err(DecodeError::UnknownProtocol);
    }
    match (name, body.byte("protocol level")?) {
        ("MQTT", 4) => Ok(Version::V311),
        ("MQTT", 5) => Ok(Version::V5),
        (_, level) => Err(DecodeError::UnsupportedVersion { level }),
    }
}

/// All that follows the protocol level.
pub(super) fn decode(version: Version, body: &mut Reader<'_>) -> Result<Connect> {
    let flags = Flags::read(version, body)?;
    let mut connect = Connect::new(version, String::new());
    connect.clean_start = flags.clean_start;
    connect.keep_alive = body.u16("keep alive")?;
    if version == Version::V5 {
        properties(&mut connect, body)?;
    }
    connect.client_id = body.string("client identifier")?;
    if let Some((qos, retain)) = flags.will {
        connect.will = Some(will(version, qos, retain, body)?);
    }
    if flags.user_name {
        connect.user_name = Some(body.string("user name")?);
    }
    if flags.password {
        connect.password = Some(body.binary("password")?);
    }
    Ok(connect)
}

struct Flags {
    clean_start: bool,
    will: Option<(QoS, bool)>,
    password: bool,
    user_name: bool,
}

impl Flags {
    fn read(version: Version, body: &mut Reader<'_>) -> Result<Self> {
        let bits = body.byte("flags")?;
        let is_set = |bit: u8| bits & (1 << bit) != 0;
        if is_set(0) {
            return Err(body.malformed("flags", "have the reserved bit set"));
        }
        let Some(qos) = QoS::from_bits((bits >> 3) & 0b11) else {
            return Err(body.malformed("will QoS", "is 3"));
        };
        let will = is_set(2).then_some((qos, is_set(5)));
        if will.is_none() && (qos != QoS::AtMostOnce || is_set(5)) {
            return Err(body.malformed("flags", "speak of a will that is not there"));
        }
        if version == Version::V311 && is_set(6) && !is_set(7) {
            return Err(body.malformed("flags", "have a password without a user name"));
        }
        Ok(Self {
            clean_start: is_set(1),
            will,
            password: is_set(6),
            user_name: is_set(7),
        })
    }
}

fn properties(connect: &mut Connect, body: &mut Reader<'_>) -> Result<()> {
    let mut topic_alias_maximum = None;
    let mut request_response_information = None;
    let mut request_problem_information = None;
    body.properties(|identifier, block| match identifier {
        property::SESSION_EXPIRY_INTERVAL => block.once(
            &mut connect.session_expiry_interval,
            "session expiry interval",
            Reader::u32,
        ),
        property::RECEIVE_MAXIMUM => block.once(
            &mut connect.receive_maximum,
            "receive maximum",
            Reader::non_zero_u16,
        ),
        property::MAXIMUM_PACKET_SIZE => block.once(
            &mut connect.maximum_packet_size,
            "maximum packet size",
            |block, field| {
                NonZeroU32::new(block.u32(field)?).ok_or_else(|| block.protocol(field, "is 0"))
            },
        ),
        property::TOPIC_ALIAS_MAXIMUM => {
            block.once(&mut topic_alias_maximum, "topic alias maximum", Reader::u16)
        }
        property::REQUEST_RESPONSE_INFORMATION => block.once(
            &mut request_response_information,
            "request response information",
            Reader::bool,
        ),
        property::REQUEST_PROBLEM_INFORMATION => block.once(
            &mut request_problem_information,
            "request problem information",
            Reader::bool,
        ),
        property::USER_PROPERTY => block.user_property(&mut connect.user_properties),
        property::AUTHENTICATION_METHOD => block.once(
            &mut connect.authentication_method,
            "authentication method",
            Reader::string,
        ),
        property::AUTHENTICATION_DATA => block.once(
            &mut connect.authentication_data,
            "authentication data",
            Reader::binary,
        ),
        _ => Err(block.unknown_property()),
    })?;
    if connect.authentication_data.is_some() && connect.authentication_method.is_none() {
        return Err(body.protocol("authentication data", "comes without a method"));
    }
    connect.topic_alias_maximum = topic_alias_maximum.unwrap_or(0);
    connect.request_response_information = request_response_information.unwrap_or(false);
    connect.request_problem_information = request_problem_information.unwrap_or(true);
    Ok(())
}

fn will(version: Version, qos: QoS, retain: bool, body: &mut Reader<'_>) -> Result<Will> {
    let mut set = PublishPropertySet::default();
    let mut delay_interval = None;
    if version == Version::V5 {
        body.properties(|identifier, block| match identifier {
            property::WILL_DELAY_INTERVAL => {
                block.once(&mut delay_interval, "will delay interval", Reader::u32)
            }
            _ => block.message_property(identifier, &mut set),
        })?;
    }
    let topic = body.topic("will topic")?.to_owned();
    let payload: Bytes = body.binary("will payload")?;
    let delay_interval = delay_interval.unwrap_or(0);
    Ok(Will {
        topic,
        payload,
        qos,
        retain,
        delay_interval,
        properties: PublishProperties::from(set),
    })
}
