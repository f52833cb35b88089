use super::reader::Reader;
use super::{DecodeError, reasons};
use crate::mqtt::packet::{ConnAck, QoS, ReasonCode, Version};
use crate::mqtt::property;

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) fn decode(version: Version, body: &mut Reader<'_>) -> Result<ConnAck> {
    let flags = body.byte("flags")?;
    if flags > 1 {
        return Err(body.malformed("flags", "have reserved bits set"));
    }
    let mut connack = ConnAck {
        session_present: flags == 1,
        ..ConnAck::default()
    };
    match version {
        Version::V311 => connack.reason = return_code(body)?,
        Version::V5 => {
            connack.reason = body.reason(reasons::CONNACK)?;
            properties(&mut connack, body)?;
        }
    }
    if connack.session_present && connack.reason != ReasonCode::Success {
        return Err(body.protocol("session present", "is set in a refusal"));
    }
    Ok(connack)
}

fn return_code(body: &mut Reader<'_>) -> Result<ReasonCode> {
    match body.byte("return code")? {
        0 => Ok(ReasonCode::Success),
        1 => Ok(ReasonCode::UnsupportedProtocolVersion),
        2 => Ok(ReasonCode::ClientIdentifierNotValid),
        3 => Ok(ReasonCode::ServerUnavailable),
        4 => Ok(ReasonCode::BadUserNameOrPassword),
        5 => Ok(ReasonCode::NotAuthorized),
        _ => Err(body.malformed("return code", "is reserved")),
    }
}

fn properties(connack: &mut ConnAck, body: &mut Reader<'_>) -> Result<()> {
    body.properties(|identifier, block| match identifier {
        property::SESSION_EXPIRY_INTERVAL => block.once(
            &mut connack.session_expiry_interval,
            "session expiry interval",
            Reader::u32,
        ),
        property::RECEIVE_MAXIMUM => block.once(
            &mut connack.receive_maximum,
            "receive maximum",
            |block, field| block.non_zero_u16(field).map(u16::from),
        ),
        property::MAXIMUM_QOS => {
            block.once(&mut connack.maximum_qos, "maximum QoS", |block, field| {
                Ok(if block.bool(field)? {
                    QoS::AtLeastOnce
                } else {
                    QoS::AtMostOnce
                })
            })
        }
        property::RETAIN_AVAILABLE => block.once(
            &mut connack.retain_available,
            "retain available",
            Reader::bool,
        ),
        property::MAXIMUM_PACKET_SIZE => block.once(
            &mut connack.maximum_packet_size,
            "maximum packet size",
            |block, field| match block.u32(field)? {
                0 => Err(block.protocol(field, "is 0")),
                size => Ok(size),
            },
        ),
        property::ASSIGNED_CLIENT_IDENTIFIER => block.once(
            &mut connack.assigned_client_identifier,
            "assigned client identifier",
            Reader::string,
        ),
        property::TOPIC_ALIAS_MAXIMUM => block.once(
            &mut connack.topic_alias_maximum,
            "topic alias maximum",
            Reader::u16,
        ),
        property::REASON_STRING => {
            block.once(&mut connack.reason_string, "reason string", Reader::string)
        }
        property::USER_PROPERTY => block.user_property(&mut connack.user_properties),
        _ => more_properties(identifier, connack, block),
    })
}

fn more_properties(identifier: u32, connack: &mut ConnAck, block: &mut Reader<'_>) -> Result<()> {
    match identifier {
        property::WILDCARD_SUBSCRIPTION_AVAILABLE => {
            let slot = &mut connack.wildcard_subscription_available;
            block.once(slot, "wildcard subscription available", Reader::bool)
        }
        property::SUBSCRIPTION_IDENTIFIERS_AVAILABLE => {
            let slot = &mut connack.subscription_identifiers_available;
            block.once(slot, "subscription identifiers available", Reader::bool)
        }
        property::SHARED_SUBSCRIPTION_AVAILABLE => {
            let slot = &mut connack.shared_subscription_available;
            block.once(slot, "shared subscription available", Reader::bool)
        }
        property::SERVER_KEEP_ALIVE => block.once(
            &mut connack.server_keep_alive,
            "server keep alive",
            Reader::u16,
        ),
        property::RESPONSE_INFORMATION => block.once(
            &mut connack.response_information,
            "response information",
            Reader::string,
        ),
        property::SERVER_REFERENCE => block.once(
            &mut connack.server_reference,
            "server reference",
            Reader::string,
        ),
        property::AUTHENTICATION_METHOD => block.once(
            &mut connack.authentication_method,
            "authentication method",
            Reader::string,
        ),
        property::AUTHENTICATION_DATA => block.once(
            &mut connack.authentication_data,
            "authentication data",
            Reader::binary,
        ),
        _ => Err(block.unknown_property()),
    }
}
