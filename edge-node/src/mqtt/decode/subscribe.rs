use super::reader::Reader;
use super::{DecodeError, reasons};
use crate::mqtt::packet::{
    QoS, ReasonCode, RetainHandling, SubAck, Subscribe, SubscriptionRequest, Unsubscribe,
};
use crate::mqtt::packet::{UserProperties, Version};
use crate::mqtt::property;

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) fn subscribe(version: Version, body: &mut Reader<'_>) -> Result<Subscribe> {
    let packet_id = body.packet_id()?;
    let mut subscription_identifier = None;
    let mut user_properties = UserProperties::new();
    if version == Version::V5 {
        body.properties(|identifier, block| match identifier {
            property::SUBSCRIPTION_IDENTIFIER => block.once(
                &mut subscription_identifier,
                "subscription identifier",
                |block, _| block.subscription_identifier(),
            ),
            property::USER_PROPERTY => block.user_property(&mut user_properties),
            _ => Err(block.unknown_property()),
        })?;
    }
    let mut requests = Vec::new();
    while !body.is_empty() {
        let filter = body.string("topic filter")?;
        requests.push(match version {
            Version::V311 => request_v311(filter, body)?,
            Version::V5 => request_v5(filter, body)?,
        });
    }
    if requests.is_empty() {
        return Err(body.protocol("payload", "names no topic filter"));
    }
    Ok(Subscribe {
        packet_id,
        subscription_identifier,
        user_properties,
        requests,
    })
}

fn request_v311(filter: String, body: &mut Reader<'_>) -> Result<SubscriptionRequest> {
    let Some(qos) = QoS::from_bits(body.byte("requested QoS")?) else {
        return Err(body.malformed("requested QoS", "is 3 or has reserved bits set"));
    };
    let retain_handling = RetainHandling::Send;
    Ok(SubscriptionRequest {
        filter,
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling,
    })
}

fn request_v5(filter: String, body: &mut Reader<'_>) -> Result<SubscriptionRequest> {
    let options = body.byte("subscription options")?;
    if options & 0b1100_0000 != 0 {
        return Err(body.malformed("subscription options", "have reserved bits set"));
    }
    let Some(qos) = QoS::from_bits(options & 0b11) else {
        return Err(body.protocol("maximum QoS", "is 3"));
    };
    let Some(retain_handling) = RetainHandling::from_bits((options >> 4) & 0b11) else {
        return Err(body.protocol("retain handling", "is 3"));
    };
    let no_local = options & 0b100 != 0;
    if no_local && filter.starts_with("$share/") {
        return Err(body.protocol("no local", "is set on a shared subscription"));
    }
    let retain_as_published = options & 0b1000 != 0;
    Ok(SubscriptionRequest {
        filter,
        qos,
        no_local,
        retain_as_published,
        retain_handling,
    })
}

pub(super) fn suback(version: Version, body: &mut Reader<'_>) -> Result<SubAck> {
    let allowed = if version == Version::V5 {
        reasons::SUBACK
    } else {
        reasons::SUBACK_V311
    };
    let packet_id = body.packet_id()?;
    let properties = if version == Version::V5 {
        body.reason_properties()?
    } else {
        None
    };
    Ok(SubAck {
        packet_id,
        reasons: reason_list(allowed, body)?,
        properties,
    })
}

pub(super) fn unsubscribe(version: Version, body: &mut Reader<'_>) -> Result<Unsubscribe> {
    let packet_id = body.packet_id()?;
    let mut user_properties = UserProperties::new();
    if version == Version::V5 {
        body.properties(|identifier, block| match identifier {
            property::USER_PROPERTY => block.user_property(&mut user_properties),
            _ => Err(block.unknown_property()),
        })?;
    }
    let mut filters = Vec::new();
    while !body.is_empty() {
        filters.push(body.string("topic filter")?);
    }
    if filters.is_empty() {
        return Err(body.protocol("payload", "names no topic filter"));
    }
    Ok(Unsubscribe {
        packet_id,
        user_properties,
        filters,
    })
}

pub(super) fn unsuback(version: Version, body: &mut Reader<'_>) -> Result<SubAck> {
    let packet_id = body.packet_id()?;
    if version == Version::V311 {
        return Ok(SubAck {
            packet_id,
            reasons: Vec::new(),
            properties: None,
        });
    }
    let properties = body.reason_properties()?;
    Ok(SubAck {
        packet_id,
        reasons: reason_list(reasons::UNSUBACK, body)?,
        properties,
    })
}

fn reason_list(allowed: &[ReasonCode], body: &mut Reader<'_>) -> Result<Vec<ReasonCode>> {
    let mut reasons = Vec::with_capacity(body.remaining());
    while !body.is_empty() {
        reasons.push(body.reason(allowed)?);
    }
    if reasons.is_empty() {
        return Err(body.protocol("payload", "holds no reason code"));
    }
    Ok(reasons)
}

impl Reader<'_> {
    pub(super) fn subscription_identifier(&mut self) -> Result<u32> {
        match self.variable("subscription identifier")? {
            0 => Err(self.protocol("subscription identifier", "is 0")),
            identifier => Ok(identifier),
        }
    }
}
