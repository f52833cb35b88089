//! Commands that events bring, and the events in reply to them.

use filters::{Data, Event, Value, timestamp_text};
use serde_json::json;
use spool::{Full, LossReason, NodeTime, Seq};
use wire::topic::DeviceId;

use super::super::{
    Broker,
    carried::Carried,
    journal::Journal,
    publish::{Arrival, NoRoom},
};
use crate::{
    device::{Asker, Command, CommandState, CommandStep},
    node::{devices::CommandOrder, order_body::OrderBody, view},
    record::{Change, PublishRecord},
    rules::Crowded,
};

/// The level of a topic on which events order commands; the device follows.
const ORDERS: &str = "command";
/// That of the events in reply.
const REPLIES: &str = "reply";
/// The type of these.
const REPLY_TYPE: &str = "edge.command.reply.v1";
/// The most bytes of the source and the id of an event that orders.
const MOST_NAME_BYTES: usize = 1024;

/// An event that ordered nothing, since what it says cannot be done.
pub(super) struct Refusal {
    device: String,
    /// What the event is called, and by whom.
    source: String,
    event: String,
    reason: String,
}

impl Broker {
    /// Orders what an event that was taken in says, if its topic is one for that; what has to be committed before the event is
    /// acknowledged.
    pub(in crate::broker) fn follow_order(
        &mut self,
        journal: &mut Journal<'_>,
        record: &PublishRecord<'_>,
    ) -> Seq {
        let Some(device) = self.ordered_device(record.topic) else {
            return Seq::ZERO;
        };
        let Some(event) = view::of_record(record) else {
            return Seq::ZERO; // nobody else can read it either
        };
        let (source, id) = (event.source.clone(), event.id.clone());
        let ordered = order_of(event).and_then(|order| {
            let ordered = self.handle_command(journal, device, order);
            ordered.map_err(|error| error.to_string())
        });
        match ordered {
            Ok((_, seq)) => seq,
            Err(reason) => {
                tracing::debug!(device, event = id, reason, "an event orders nothing");
                self.devices.refusals.push(Refusal {
                    device: device.to_owned(),
                    source,
                    event: id,
                    reason,
                });
                journal.appended()
            }
        }
    }

    /// The device whose commands are ordered on this topic.
    fn ordered_device<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let served = self.devices.served.as_ref()?;
        if !served.takes_orders {
            return None;
        }
        let rest = match served.prefix.as_str() {
            "" => topic,
            prefix => topic.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        let device = rest.strip_prefix(ORDERS)?.strip_prefix('/')?;
        DeviceId::new(device).map(DeviceId::as_str)
    }

    /// Whether an event that ordered something waits for its reply.
    pub(in crate::broker) fn has_replies(&self) -> bool {
        let commands = &self.devices.registry.commands;
        !self.devices.refusals.is_empty() || commands.first_unanswered().is_some()
    }

    /// Publishes the replies to events whose commands are over, each in the transaction that says so. What finds no room waits.
    pub(in crate::broker) fn publish_replies(
        &mut self,
        journal: &mut Journal<'_>,
    ) -> Result<(), Full> {
        let time_ms = journal.plausible_time();
        for refusal in std::mem::take(&mut self.devices.refusals) {
            let reply = reply(
                refusal.reply_id(),
                &refusal.device,
                refusal.event,
                time_ms,
                &json!({ "state": "refused", "reason": refusal.reason }),
            );
            if self
                .publish_reply(journal, &refusal.device, &reply)
                .is_err()
            {
                self.lose_reply(&refusal.device, journal.now);
            }
        }
        while let Some((seq, command, event)) = self.devices.registry.commands.first_unanswered() {
            let (device, event) = (command.device.clone(), event.to_owned());
            let status = self.command_status(seq, command, journal.now);
            let id = reply_id(&status.id, command);
            let said = json!({
                "command": status.id,
                "name": status.name,
                "state": status.state,
                "outcome": status.outcome,
                "data_base64": status.data_base64,
            });
            let reply = reply(id, &device, event, time_ms, &said);
            let is_alone = journal.is_empty();
            match self.publish_reply(journal, &device, &reply) {
                // It would never fit.
                Err(Full::TooLarge) if is_alone => self.lose_reply(&device, journal.now),
                replied => replied?,
            }
            let command = seq;
            let step = CommandStep::Answered;
            self.change(journal, Change::CommandMoved { command, step })?;
        }
        Ok(())
    }

    fn lose_reply(&mut self, device: &str, now: NodeTime) {
        let scope = format!("replies of {device}");
        self.lose(LossReason::Rejected, scope, 1, 0, now);
    }

    fn publish_reply(
        &mut self,
        journal: &mut Journal<'_>,
        device: &str,
        reply: &Event,
    ) -> Result<(), Full> {
        let prefix = self.devices.served.as_ref().map(|it| it.prefix.as_str());
        let topic = match prefix {
            None | Some("") => format!("{REPLIES}/{device}"),
            Some(prefix) => format!("{prefix}/{REPLIES}/{device}"),
        };
        let carried = Carried::mint(journal, &topic, reply);
        let arrival = Arrival {
            crowded: Crowded::Waits,
            ..Arrival::of(carried.record("", &topic), carried.lane)
        };
        let taken = self.take(journal, &arrival);
        taken.map(drop).map_err(|NoRoom { full, .. }| full)
    }
}

impl Refusal {
    /// The same however often the event comes, and another for each source: the ids of two that order know nothing of each
    /// other.
    fn reply_id(&self) -> String {
        format!("refused-{:016x}-{}", fnv(&self.source), self.event)
    }
}

/// What the reply to the event of a command is called: another way where the event was told of the command before.
fn reply_id(called: &str, command: &Command) -> String {
    match command.state {
        CommandState::EndedLate { .. } => format!("{called}-late"),
        _ => called.to_owned(),
    }
}

/// FNV-1a of 64 bits: the same on every node and in every release.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What an event orders: its data is what a request over HTTP has as its body.
fn order_of(event: Event) -> Result<CommandOrder, String> {
    if event.source.len() + event.id.len() > MOST_NAME_BYTES {
        return Err(format!(
            "source and id of an event that orders have at most {MOST_NAME_BYTES} bytes"
        ));
    }
    let body = serde_json::from_slice::<OrderBody>(event.data_bytes());
    let body = body.map_err(|error| format!("its data is no command: {error}"))?;
    body.order(Some(Asker::Event {
        source: event.source,
        id: event.id,
    }))
}

/// The event in reply to one of this id.
fn reply(
    id: String,
    device: &str,
    asked: String,
    time_ms: Option<u64>,
    said: &serde_json::Value,
) -> Event {
    let source = format!("urn:edge-device:{device}");
    let mut event = Event::new(id, source, REPLY_TYPE.to_owned());
    let data = said.to_string().into_bytes();
    event.datacontenttype = Some("application/json".to_owned());
    event
        .extensions
        .insert("correlationid".to_owned(), Value::String(asked));
    event.time = time_ms.map(timestamp_text);
    event.data = Some(Data::Json(data));
    event
}
