use crate::{
    Data,
    decode::as_json,
    stage::{
        Absence, Bounds, Debounce, EventTime, GateError, GateInput, GateKind, Verdict, Window,
        WindowError,
    },
    timestamp_millis,
    transform::Transform,
};

use super::{
    Arrival, Field, GateMove, Key, RuleMemory, StageId, Told, WindowReadings, emit::EmitTopic,
    field::Payload, working::sampledrate,
};

#[derive(Debug)]
pub(super) enum Step {
    Gate(GateStep),
    Window(WindowStep),
    Debounce(DebounceStep),
    Absence(AbsenceStep),
    Jq(JqStep),
    Transform(Transform),
}

#[derive(Debug)]
pub(super) struct GateStep {
    pub(super) kind: GateKind,
    pub(super) field: Option<Field>,
    pub(super) key: Key,
    pub(super) bounds: Bounds,
}

#[derive(Debug)]
pub(super) struct WindowStep {
    /// An empty one, to begin with.
    pub(super) window: Window,
    pub(super) fields: Vec<Field>,
    /// The names of what is derived, in the order of its aggregates.
    pub(super) names: Vec<String>,
    pub(super) key: Key,
    pub(super) consume: bool,
    pub(super) emit_topic: EmitTopic,
    pub(super) late_to: Option<EmitTopic>,
}

#[derive(Debug)]
pub(super) struct DebounceStep {
    pub(super) debounce: Debounce<Vec<u8>>,
    pub(super) key: Key,
    pub(super) emit_topic: EmitTopic,
}

#[derive(Debug)]
pub(super) struct AbsenceStep {
    pub(super) absence: Absence,
    pub(super) key: Key,
    pub(super) emit_topic: EmitTopic,
}

#[derive(Debug)]
pub(super) struct JqStep {
    pub(super) program: String,
    pub(super) key: Key,
    pub(super) bounds: Bounds,
    pub(super) consume: bool,
    pub(super) emit_topic: EmitTopic,
}

impl Step {
    /// Whether the rule of this name may derive what it says to, of events on this topic.
    pub(super) fn has_topics(&self, rule: &str, topic: Option<&str>) -> bool {
        let mut topics = self.topics().into_iter().flatten();
        topics.all(|it| it.is_valid(rule, topic))
    }

    /// On what it derives.
    fn topics(&self) -> [Option<&EmitTopic>; 2] {
        match self {
            Step::Gate(_) | Step::Transform(_) => [None, None],
            Step::Window(it) => [Some(&it.emit_topic), it.late_to.as_ref()],
            Step::Debounce(it) => [Some(&it.emit_topic), None],
            Step::Absence(it) => [Some(&it.emit_topic), None],
            Step::Jq(it) => [Some(&it.emit_topic), None],
        }
    }
}

impl GateStep {
    pub(super) fn judge(
        &self,
        gate: StageId,
        key: String,
        payload: Payload<'_>,
        memory: &mut RuleMemory,
        arrival: &Arrival<'_>,
    ) -> Result<(Verdict, Option<GateMove>), GateError> {
        let Some(state) = memory.gate(gate) else {
            return Ok((Verdict::Suppress, None));
        };
        let reading = self.field.as_ref().and_then(|it| it.reading(payload));
        let judgement = state.judge(&GateInput {
            key: &key,
            reading: reading.as_ref(),
            sampledrate: sampledrate(payload.event),
            at: arrival.at,
        })?;
        let stored = judgement.stores.then(|| state.memory(&key).cloned());
        let moved = judgement.undo.map(|undo| GateMove {
            gate,
            stored: stored.flatten(),
            key,
            undo,
        });
        Ok((judgement.verdict, moved))
    }
}

impl JqStep {
    pub(super) fn told(&self, payload: Payload<'_>, topic: Option<&str>) -> Told {
        let json = payload.decoded;
        let json = json.filter(|_| !matches!(payload.event.data, Some(Data::Json(_))));
        let event = match json {
            Some(json) => crate::json::encode(&as_json(payload.event, json)),
            None => crate::json::encode(payload.event),
        };
        Told {
            key: self.key.of(payload, topic),
            window: None,
            event: Some(event),
        }
    }
}

impl WindowStep {
    /// Asks the window whether it can take the event, so that one it cannot take fails its rule while it is published.
    pub(super) fn told(
        &self,
        payload: Payload<'_>,
        topic: Option<&str>,
    ) -> Result<Told, WindowError> {
        let readings: Vec<_> = self.fields.iter().map(|it| it.reading(payload)).collect();
        self.window.check(&readings)?;
        let time = payload.event.time.as_deref().and_then(timestamp_millis);
        let key = self.key.of(payload, topic);
        let window = WindowReadings {
            time: time.map(EventTime),
            readings,
        };
        // Whether it is late is known when it is told to the window.
        let event = self.late_to.as_ref();
        let event = event.map(|_| crate::json::encode(payload.event));
        Ok(Told {
            key,
            window: Some(window),
            event,
        })
    }
}
