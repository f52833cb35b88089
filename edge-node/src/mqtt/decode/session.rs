use super::reader::Reader;
use super::{DecodeError, Sender, reasons};
use crate::mqtt::packet::{Auth, Disconnect, ReasonCode, Version};
use crate::mqtt::property;

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) fn disconnect(
    version: Version,
    sender: Sender,
    body: &mut Reader<'_>,
) -> Result<Disconnect> {
    let mut disconnect = Disconnect::default();
    if version == Version::V311 || body.is_empty() {
        return Ok(disconnect);
    }
    disconnect.reason = body.reason(match sender {
        Sender::Client => reasons::DISCONNECT_BY_CLIENT,
        Sender::Server => reasons::DISCONNECT_BY_SERVER,
    })?;
    if body.is_empty() {
        return Ok(disconnect);
    }
    body.properties(|identifier, block| match (identifier, sender) {
        (property::SESSION_EXPIRY_INTERVAL, Sender::Client) => block.once(
            &mut disconnect.session_expiry_interval,
            "session expiry interval",
            Reader::u32,
        ),
        (property::SESSION_EXPIRY_INTERVAL, Sender::Server) => {
            Err(block.protocol("session expiry interval", "is not sent by servers"))
        }
        (property::SERVER_REFERENCE, Sender::Server) => block.once(
            &mut disconnect.server_reference,
            "server reference",
            Reader::string,
        ),
        (property::SERVER_REFERENCE, Sender::Client) => {
            Err(block.protocol("server reference", "is not sent by clients"))
        }
        (property::REASON_STRING, _) => block.once(
            &mut disconnect.reason_string,
            "reason string",
            Reader::string,
        ),
        (property::USER_PROPERTY, _) => block.user_property(&mut disconnect.user_properties),
        _ => Err(block.unknown_property()),
    })?;
    Ok(disconnect)
}

pub(super) fn auth(sender: Sender, body: &mut Reader<'_>) -> Result<Auth> {
    let mut auth = Auth::default();
    let allowed = match sender {
        Sender::Client => reasons::AUTH_BY_CLIENT,
        Sender::Server => reasons::AUTH_BY_SERVER,
    };
    if body.is_empty() && allowed.contains(&ReasonCode::Success) {
        return Ok(auth);
    }
    auth.reason = body.reason(allowed)?;
    body.properties(|identifier, block| match identifier {
        property::AUTHENTICATION_METHOD => block.once(
            &mut auth.authentication_method,
            "authentication method",
            Reader::string,
        ),
        property::AUTHENTICATION_DATA => block.once(
            &mut auth.authentication_data,
            "authentication data",
            Reader::binary,
        ),
        property::REASON_STRING => {
            block.once(&mut auth.reason_string, "reason string", Reader::string)
        }
        property::USER_PROPERTY => block.user_property(&mut auth.user_properties),
        _ => Err(block.unknown_property()),
    })?;
    if auth.authentication_method.is_none() {
        return Err(body.protocol("authentication method", "is missing"));
    }
    Ok(auth)
}
