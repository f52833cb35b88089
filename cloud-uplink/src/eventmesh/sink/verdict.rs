//! What an answer of EventMesh means for the event, as runtimes 1.10 and 1.12 were seen to answer.

use tonic::{Code, Status};

use crate::{
    Outcome,
    eventmesh::{
        attribute::{RESPONSE_MESSAGE, STATUS_CODE},
        proto::CloudEvent,
        status,
    },
};

/// What a runtime accepts by default, encoded. Above it, a runtime that breaks off a call does so because of the size.
const USUAL_BOUND_BYTES: usize = 4_194_304;
/// What is kept of a message for status and the log.
const SHOWN_CHARS: usize = 300;

/// What became of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The mesh has spoken.
    Final(Outcome),
    /// Nobody spoke, or not for the mesh: the next endpoint may.
    Unreachable(String),
}

/// The status of the call was OK.
pub(super) fn of_answer(answer: &CloudEvent) -> Verdict {
    let Some(code) = answer.text(STATUS_CODE) else {
        return Verdict::Unreachable(
            "the answer has no status code; this is no EventMesh".to_owned(),
        );
    };
    let message = answer.text(RESPONSE_MESSAGE).unwrap_or_default();
    let error = || format!("{code}: {}", shown(message));
    Verdict::Final(match code {
        status::SUCCESS => Outcome::Accepted,
        status::OVERLOAD | status::RATE => Outcome::Overloaded {
            retry_after: None,
            error: error(),
        },
        status::STOPPING => return Verdict::Unreachable(error()),
        status::HEADER | status::BODY => Outcome::Refused { error: error() },
        status::SEND if is_permanent(message) => Outcome::Refused { error: error() },
        // 14 above all: a topic without subscribers, a store that failed, or anything about this event; 20 is asked of
        // each topic.
        _ => Outcome::Doubtful { error: error() },
    })
}

/// Which of the messages under code 14 say that the event itself is at fault.
fn is_permanent(message: &str) -> bool {
    message.contains("Invalid extensions name")
        || message.contains("Invalid attribute/extension value")
        // A missing `protocoltype`: the runtime's message ends in the text of a null pointer.
        || message.contains("err,  null")
}

/// The call failed. `bytes`: size of the message.
pub(super) fn of_status(status: &Status, bytes: usize) -> Verdict {
    let error = format!("{:?}: {}", status.code(), shown(status.message()));
    let over_size = bytes > USUAL_BOUND_BYTES;
    let of_transport = std::error::Error::source(status).is_some();
    Verdict::Final(match status.code() {
        Code::ResourceExhausted | Code::OutOfRange
            if over_size || is_about_size(status.message()) =>
        {
            Outcome::TooLarge { error }
        }
        // 1.10 resets the stream of a message that is too large.
        Code::Cancelled if over_size => Outcome::TooLarge { error },
        Code::ResourceExhausted => Outcome::Overloaded {
            retry_after: None,
            error,
        },
        Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unimplemented => {
            return Verdict::Unreachable(error);
        }
        Code::Unauthenticated => Outcome::Unavailable {
            retry_after: None,
            error,
        },
        _ if of_transport => return Verdict::Unreachable(error),
        _ => Outcome::Doubtful { error },
    })
}

/// The words in which gRPC servers (Java, Go, Rust) refuse a message for its size.
fn is_about_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "exceeds maximum size",
        "larger than max",
        "message too large",
        "message length too large",
    ]
    .iter()
    .any(|words| message.contains(words))
}

fn shown(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.chars().take(SHOWN_CHARS).collect()
}
