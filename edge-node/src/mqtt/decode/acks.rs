use super::DecodeError;
use super::reader::Reader;
use crate::mqtt::packet::{Ack, ReasonCode, Version};

/// PUBACK, PUBREC, PUBREL and PUBCOMP. MQTT 5 leaves out the reason code of a success without properties, and the
/// property length of a packet without properties.
pub(super) fn decode(
    version: Version,
    allowed: &[ReasonCode],
    body: &mut Reader<'_>,
) -> Result<Ack, DecodeError> {
    let mut ack = Ack::success(body.packet_id()?);
    if version == Version::V5 && !body.is_empty() {
        ack.reason = body.reason(allowed)?;
        if !body.is_empty() {
            ack.properties = body.reason_properties()?;
        }
    }
    Ok(ack)
}
