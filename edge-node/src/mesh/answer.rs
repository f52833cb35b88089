//! Answers, in EventMesh's shape.

use std::time::SystemTime;

use cloud_uplink::eventmesh::{
    Malformed,
    attribute::{RESPONSE_MESSAGE, STATUS_CODE, TIME},
    now_attribute,
    proto::CloudEvent,
    status,
};

use crate::node::handle::PublishError;

/// Why a request is not done: a status code, and what it means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) detail: String,
}

impl Fault {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Fault {
        Fault {
            code,
            detail: detail.into(),
        }
    }

    /// The message of the answer: EventMesh's own words, then the detail.
    pub(super) fn message(&self) -> String {
        let words = match self.code {
            status::OVERLOAD => "eventMesh overload, try later, ",
            status::HEADER => "eventMesh CloudEvent[header] err, ",
            status::BODY => "eventMesh CloudEvent[body] err, ",
            status::STOPPING => "eventMesh will stop or had stopped, ",
            status::SEND => "eventMesh send async msg err,  ",
            status::SUBSCRIBE => "eventMesh subscribe err, ",
            status::REQUEST_REPLY => "eventMesh request reply msg err, ",
            status::RESUBSCRIBE => "client needs to resubscribe.",
            _ => "",
        };
        format!("{words}{}", self.detail)
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Fault {
        let code = match malformed {
            Malformed::Header(_) => status::HEADER,
            Malformed::Body(_) => status::BODY,
            Malformed::Name(_) | Malformed::Value(_) => status::SEND,
        };
        Fault::new(code, malformed.to_string())
    }
}

impl From<PublishError> for Fault {
    fn from(error: PublishError) -> Fault {
        let code = match error {
            PublishError::Full { .. } => status::OVERLOAD,
            PublishError::Refused { .. } | PublishError::TooLarge => status::BODY,
            PublishError::Stopping => status::STOPPING,
        };
        Fault::new(code, error.to_string())
    }
}

/// What a request became: its message if it was done.
pub(super) type Outcome = Result<String, Fault>;

/// An answer of its own, as to `publish`.
pub(super) fn fresh(outcome: &Outcome) -> CloudEvent {
    let mut answer = CloudEvent {
        id: id(),
        spec_version: "1.0".to_owned(),
        ..CloudEvent::default()
    };
    fill(&mut answer, outcome);
    answer
}

/// The request with the answer in it, as on `subscribeStream`.
pub(super) fn echo(mut request: CloudEvent, outcome: &Outcome) -> CloudEvent {
    fill(&mut request, outcome);
    request
}

fn fill(answer: &mut CloudEvent, outcome: &Outcome) {
    let (code, message) = match outcome {
        Ok(message) => (status::SUCCESS, message.clone()),
        Err(fault) => (fault.code, fault.message()),
    };
    answer.set_text(STATUS_CODE, code);
    answer.set_text(RESPONSE_MESSAGE, message);
    answer.set(TIME, now_attribute(SystemTime::now()));
}

/// A random UUID.
fn id() -> String {
    let random = fastrand::u128(..);
    let random = random & !(0xf << 76) | 0x4 << 76;
    let random = random & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{random:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}
