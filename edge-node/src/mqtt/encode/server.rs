use super::writer::{
    Sink, binary_property, bool_property, properties, reason_properties, text_property,
};
use super::writer::{u16_property, u32_property, user_properties};
use super::{EncodeError, Result};
use crate::mqtt::packet::{ConnAck, QoS, ReasonCode, SubAck, Version};
use crate::mqtt::property;

pub(super) fn connack(version: Version, connack: &ConnAck, out: &mut dyn Sink) -> Result<()> {
    let accepted = connack.reason == ReasonCode::Success;
    out.byte(u8::from(connack.session_present && accepted));
    match version {
        Version::V311 => {
            out.byte(
                return_code(connack.reason)
                    .ok_or(EncodeError::NotInVersion { packet: "CONNACK" })?,
            );
            Ok(())
        }
        Version::V5 => {
            out.byte(connack.reason as u8);
            properties(out, |out| connack_properties(connack, out))
        }
    }
}

/// The return code of 3.1.1 nearest to a reason code. Where there is none the connection is closed without a CONNACK
/// [MQTT-3.2.2-6].
fn return_code(reason: ReasonCode) -> Option<u8> {
    match reason {
        ReasonCode::Success => Some(0),
        ReasonCode::UnsupportedProtocolVersion => Some(1),
        ReasonCode::ClientIdentifierNotValid => Some(2),
        ReasonCode::ServerUnavailable
        | ReasonCode::ServerBusy
        | ReasonCode::ServerShuttingDown
        | ReasonCode::QuotaExceeded
        | ReasonCode::UseAnotherServer
        | ReasonCode::ServerMoved
        | ReasonCode::ConnectionRateExceeded => Some(3),
        ReasonCode::BadUserNameOrPassword | ReasonCode::BadAuthenticationMethod => Some(4),
        ReasonCode::NotAuthorized | ReasonCode::Banned => Some(5),
        _ => None,
    }
}

fn connack_properties(connack: &ConnAck, out: &mut dyn Sink) -> Result<()> {
    let maximum_qos = match connack.maximum_qos {
        None | Some(QoS::ExactlyOnce) => None,
        Some(qos) => Some(qos == QoS::AtLeastOnce),
    };
    u32_property(
        property::SESSION_EXPIRY_INTERVAL,
        connack.session_expiry_interval,
        out,
    );
    u16_property(property::RECEIVE_MAXIMUM, connack.receive_maximum, out);
    bool_property(property::MAXIMUM_QOS, maximum_qos, out);
    bool_property(property::RETAIN_AVAILABLE, connack.retain_available, out);
    u32_property(
        property::MAXIMUM_PACKET_SIZE,
        connack.maximum_packet_size,
        out,
    );
    let assigned = connack.assigned_client_identifier.as_deref();
    text_property(
        property::ASSIGNED_CLIENT_IDENTIFIER,
        "assigned client identifier",
        assigned,
        out,
    )?;
    u16_property(
        property::TOPIC_ALIAS_MAXIMUM,
        connack.topic_alias_maximum,
        out,
    );
    text_property(
        property::REASON_STRING,
        "reason string",
        connack.reason_string.as_deref(),
        out,
    )?;
    user_properties(&connack.user_properties, out)?;
    connack_offers(connack, out)
}

/// The rest of them: what the server has, and where to go on.
fn connack_offers(connack: &ConnAck, out: &mut dyn Sink) -> Result<()> {
    bool_property(
        property::WILDCARD_SUBSCRIPTION_AVAILABLE,
        connack.wildcard_subscription_available,
        out,
    );
    bool_property(
        property::SUBSCRIPTION_IDENTIFIERS_AVAILABLE,
        connack.subscription_identifiers_available,
        out,
    );
    bool_property(
        property::SHARED_SUBSCRIPTION_AVAILABLE,
        connack.shared_subscription_available,
        out,
    );
    u16_property(property::SERVER_KEEP_ALIVE, connack.server_keep_alive, out);
    let response = connack.response_information.as_deref();
    text_property(
        property::RESPONSE_INFORMATION,
        "response information",
        response,
        out,
    )?;
    text_property(
        property::SERVER_REFERENCE,
        "server reference",
        connack.server_reference.as_deref(),
        out,
    )?;
    let method = connack.authentication_method.as_deref();
    text_property(
        property::AUTHENTICATION_METHOD,
        "authentication method",
        method,
        out,
    )?;
    let data = connack.authentication_data.as_deref();
    binary_property(
        property::AUTHENTICATION_DATA,
        "authentication data",
        data,
        out,
    )
}

pub(super) fn suback(version: Version, suback: &SubAck, out: &mut dyn Sink) -> Result<()> {
    out.u16(suback.packet_id.get());
    if version == Version::V5 {
        reason_properties(&suback.properties, out)?;
    }
    for reason in &suback.reasons {
        let failed = version == Version::V311 && reason.is_error();
        out.byte(if failed { 0x80 } else { *reason as u8 });
    }
    Ok(())
}

pub(super) fn unsuback(version: Version, unsuback: &SubAck, out: &mut dyn Sink) -> Result<()> {
    match version {
        Version::V311 => out.u16(unsuback.packet_id.get()),
        Version::V5 => suback(version, unsuback, out)?,
    }
    Ok(())
}
