use super::writer::variable_property;
use super::writer::{
    Sink, binary_property, properties, text, text_property, u32_property, user_properties,
};
use super::{EncodeError, Result};
use crate::mqtt::packet::{
    Auth, Disconnect, ReasonCode, Subscribe, SubscriptionRequest, Unsubscribe, Version,
};
use crate::mqtt::property;

pub(super) fn subscribe(version: Version, subscribe: &Subscribe, out: &mut dyn Sink) -> Result<()> {
    if subscribe.requests.is_empty() {
        return Err(EncodeError::Invalid {
            field: "SUBSCRIBE",
            what: "names no topic filter",
        });
    }
    out.u16(subscribe.packet_id.get());
    if version == Version::V5 {
        properties(out, |out| {
            variable_property(
                property::SUBSCRIPTION_IDENTIFIER,
                subscribe.subscription_identifier,
                out,
            );
            user_properties(&subscribe.user_properties, out)
        })?;
    }
    for request in &subscribe.requests {
        text("topic filter", &request.filter, out)?;
        out.byte(options(version, request));
    }
    Ok(())
}

fn options(version: Version, request: &SubscriptionRequest) -> u8 {
    let qos = request.qos as u8;
    match version {
        Version::V311 => qos,
        Version::V5 => {
            let no_local = u8::from(request.no_local) << 2;
            let as_published = u8::from(request.retain_as_published) << 3;
            qos | no_local | as_published | (request.retain_handling as u8) << 4
        }
    }
}

pub(super) fn unsubscribe(
    version: Version,
    unsubscribe: &Unsubscribe,
    out: &mut dyn Sink,
) -> Result<()> {
    if unsubscribe.filters.is_empty() {
        return Err(EncodeError::Invalid {
            field: "UNSUBSCRIBE",
            what: "names no topic filter",
        });
    }
    out.u16(unsubscribe.packet_id.get());
    if version == Version::V5 {
        properties(out, |out| {
            user_properties(&unsubscribe.user_properties, out)
        })?;
    }
    unsubscribe
        .filters
        .iter()
        .try_for_each(|filter| text("topic filter", filter, out))
}

pub(super) fn disconnect(
    version: Version,
    disconnect: &Disconnect,
    out: &mut dyn Sink,
) -> Result<()> {
    let bare = Disconnect::new(disconnect.reason) == *disconnect;
    if version == Version::V311 || (bare && disconnect.reason == ReasonCode::Success) {
        return Ok(());
    }
    out.byte(disconnect.reason as u8);
    if bare {
        return Ok(());
    }
    properties(out, |out| {
        u32_property(
            property::SESSION_EXPIRY_INTERVAL,
            disconnect.session_expiry_interval,
            out,
        );
        text_property(
            property::REASON_STRING,
            "reason string",
            disconnect.reason_string.as_deref(),
            out,
        )?;
        user_properties(&disconnect.user_properties, out)?;
        text_property(
            property::SERVER_REFERENCE,
            "server reference",
            disconnect.server_reference.as_deref(),
            out,
        )
    })
}

pub(super) fn auth(auth: &Auth, out: &mut dyn Sink) -> Result<()> {
    if *auth == Auth::default() {
        return Ok(());
    }
    out.byte(auth.reason as u8);
    properties(out, |out| {
        let method = auth.authentication_method.as_deref();
        text_property(
            property::AUTHENTICATION_METHOD,
            "authentication method",
            method,
            out,
        )?;
        let data = auth.authentication_data.as_deref();
        binary_property(
            property::AUTHENTICATION_DATA,
            "authentication data",
            data,
            out,
        )?;
        text_property(
            property::REASON_STRING,
            "reason string",
            auth.reason_string.as_deref(),
            out,
        )?;
        user_properties(&auth.user_properties, out)
    })
}
