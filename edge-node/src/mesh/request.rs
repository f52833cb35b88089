//! What consumers ask: who they are and what they want. The requests may come from anyone.

use std::net::SocketAddr;

use cloud_uplink::eventmesh::{
    attribute::{CONSUMER_GROUP, IP, PID},
    check_header,
    proto::{CloudEvent, cloud_event::Data},
    status,
};
use filters::TopicFilter;
use serde::Deserialize;

use super::{
    answer::Fault,
    core::{Client, Item, Mode},
    key::Identity,
};

/// Bytes of a group, an address or a topic.
const NAME_MAX: usize = 1024;

/// The client that sends a request.
pub(super) fn client(request: &CloudEvent, peer: Option<SocketAddr>) -> Result<Client, Fault> {
    check_header(request)?;
    Ok(Client {
        group: name(request, CONSUMER_GROUP)?,
        identity: Identity {
            ip: name(request, IP)?,
            pid: name(request, PID)?,
        },
        peer,
    })
}

/// The topics a subscription or its end is about.
pub(super) fn items(request: &CloudEvent) -> Result<Vec<Item>, Fault> {
    let Some(Data::TextData(text)) = &request.data else {
        return Err(body(
            "the data is no text; send [{\"topic\":…,\"mode\":…,\"type\":…}]",
        ));
    };
    let wanted: Vec<Wanted> = serde_json::from_str(text).map_err(|error| {
        body(format!(
            "the data is no list of topics ({error}); send [{{\"topic\":…,\"mode\":…,\"type\":…}}]"
        ))
    })?;
    if wanted.is_empty() {
        return Err(body("the list of topics is empty"));
    }
    wanted.into_iter().map(item).collect()
}

#[derive(Deserialize)]
struct Wanted {
    topic: String,
    #[serde(default)]
    mode: Option<String>,
}

fn item(wanted: Wanted) -> Result<Item, Fault> {
    let Wanted { topic, mode } = wanted;
    if topic.len() > NAME_MAX || topic.starts_with("$share/") {
        return Err(body(
            "a topic is at most 1024 bytes long and does not begin with `$share/`",
        ));
    }
    let mode = match mode.as_deref() {
        Some("CLUSTERING") | None => Mode::Clustering,
        Some("BROADCASTING") => Mode::Broadcasting,
        Some(_) => return Err(body("the mode is neither CLUSTERING nor BROADCASTING")),
    };
    let topic = TopicFilter::parse(&topic).map_err(|error| body(format!("topic: {error}")))?;
    Ok(Item { topic, mode })
}

fn name(request: &CloudEvent, attribute: &str) -> Result<String, Fault> {
    match request.text(attribute) {
        Some(text)
            if !text.is_empty() && text.len() <= NAME_MAX && !text.contains(char::is_control) =>
        {
            Ok(text.to_owned())
        }
        _ => Err(body(format!(
            "`{attribute}` is missing, or not text of at most {NAME_MAX} bytes"
        ))),
    }
}

fn body(detail: impl Into<String>) -> Fault {
    Fault::new(status::BODY, detail)
}
