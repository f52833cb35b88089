use super::publish::message_properties;
use super::writer::{
    Sink, binary, binary_property, bool_property, properties, text, text_property,
};
use super::writer::{u16_property, u32_property, user_properties};
use super::{EncodeError, Result};
use crate::mqtt::packet::{Connect, Version, Will};
use crate::mqtt::property;

/// CONNECT, in the version it names.
pub(super) fn connect(version: Version, connect: &Connect, out: &mut dyn Sink) -> Result<()> {
    if version != connect.version {
        return Err(EncodeError::Invalid {
            field: "version",
            what: "of the CONNECT is not the connection's",
        });
    }
    text("protocol name", "MQTT", out)?;
    out.byte(if version == Version::V5 { 5 } else { 4 });
    out.byte(flags(connect)?);
    out.u16(connect.keep_alive);
    if version == Version::V5 {
        properties(out, |out| connect_properties(connect, out))?;
    }
    text("client identifier", &connect.client_id, out)?;
    if let Some(message) = &connect.will {
        will(version, message, out)?;
    }
    if let Some(user_name) = &connect.user_name {
        text("user name", user_name, out)?;
    }
    if let Some(password) = &connect.password {
        binary("password", password, out)?;
    }
    Ok(())
}

fn flags(connect: &Connect) -> Result<u8> {
    if connect.version == Version::V311 && connect.password.is_some() && connect.user_name.is_none()
    {
        return Err(EncodeError::Invalid {
            field: "password",
            what: "needs a user name in MQTT 3.1.1",
        });
    }
    let will = connect.will.as_ref().map_or(0, |will| {
        0b100 | (will.qos as u8) << 3 | u8::from(will.retain) << 5
    });
    let user_name = u8::from(connect.user_name.is_some()) << 7;
    let password = u8::from(connect.password.is_some()) << 6;
    Ok(u8::from(connect.clean_start) << 1 | will | password | user_name)
}

fn connect_properties(connect: &Connect, out: &mut dyn Sink) -> Result<()> {
    let aliases = connect.topic_alias_maximum;
    u32_property(
        property::SESSION_EXPIRY_INTERVAL,
        connect.session_expiry_interval,
        out,
    );
    u16_property(
        property::RECEIVE_MAXIMUM,
        connect.receive_maximum.map(u16::from),
        out,
    );
    u32_property(
        property::MAXIMUM_PACKET_SIZE,
        connect.maximum_packet_size.map(u32::from),
        out,
    );
    u16_property(
        property::TOPIC_ALIAS_MAXIMUM,
        (aliases > 0).then_some(aliases),
        out,
    );
    bool_property(
        property::REQUEST_RESPONSE_INFORMATION,
        connect.request_response_information.then_some(true),
        out,
    );
    bool_property(
        property::REQUEST_PROBLEM_INFORMATION,
        (!connect.request_problem_information).then_some(false),
        out,
    );
    user_properties(&connect.user_properties, out)?;
    let method = connect.authentication_method.as_deref();
    text_property(
        property::AUTHENTICATION_METHOD,
        "authentication method",
        method,
        out,
    )?;
    let data = connect.authentication_data.as_deref();
    binary_property(
        property::AUTHENTICATION_DATA,
        "authentication data",
        data,
        out,
    )
}

fn will(version: Version, will: &Will, out: &mut dyn Sink) -> Result<()> {
    if version == Version::V5 {
        properties(out, |out| {
            u32_property(
                property::WILL_DELAY_INTERVAL,
                (will.delay_interval > 0).then_some(will.delay_interval),
                out,
            );
            will.properties
                .set()
                .map_or(Ok(()), |set| message_properties(set, out))
        })?;
    }
    text("will topic", &will.topic, out)?;
    binary("will payload", &will.payload, out)
}
