use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Aggregate, Emission, Span, WindowInput, WindowKind, accumulator::Accumulator};
use crate::stage::{EventTime, Reading};

/// One window of one key, open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pane {
    pub(super) span: Span,
    pub(super) count: u64,
    /// The times of the first and the last event.
    times: Option<(EventTime, EventTime)>,
    positions: (u64, u64),
    fields: Vec<Accumulator>,
}

impl Pane {
    pub(super) fn new(span: Span, fields: usize, aggregates: &[Aggregate]) -> Pane {
        let accumulator = |field| {
            let of_field = aggregates.iter().filter(move |it| it.field == Some(field));
            Accumulator::new(of_field.map(|it| &it.function))
        };
        Pane {
            span,
            count: 0,
            times: None,
            positions: (u64::MAX, 0),
            fields: (0..fields).map(accumulator).collect(),
        }
    }

    pub(super) fn add(&mut self, time: EventTime, input: &WindowInput<'_>) {
        self.count += 1;
        self.times = Some(joined(self.times, (time, time)));
        self.positions = (
            self.positions.0.min(input.position),
            self.positions.1.max(input.position),
        );
        for (field, reading) in self.fields.iter_mut().zip(input.readings) {
            if let Some(reading) = reading {
                field.add(reading, time, input.position);
            }
        }
    }

    pub(super) fn widen(&mut self, span: Span) {
        self.span.start = self.span.start.min(span.start);
        self.span.end = self.span.end.max(span.end);
    }

    pub(super) fn merge(mut self, other: Pane) -> Pane {
        self.widen(other.span);
        self.count += other.count;
        self.times = match other.times {
            Some(times) => Some(joined(self.times, times)),
            None => self.times,
        };
        self.positions = (
            self.positions.0.min(other.positions.0),
            self.positions.1.max(other.positions.1),
        );
        for (field, others) in self.fields.iter_mut().zip(other.fields) {
            field.merge(others);
        }
        self
    }

    pub(super) fn emission(
        &self,
        key: Arc<str>,
        kind: &WindowKind,
        aggregates: &[Aggregate],
        partial: bool,
    ) -> Emission {
        let value = |aggregate: &Aggregate| match aggregate.field {
            Some(field) => self.fields.get(field)?.value(&aggregate.function),
            None => Some(Reading::Integer(self.count.cast_signed())),
        };
        let span = match (kind, self.times) {
            (WindowKind::Count(_), Some((start, end))) => Span { start, end },
            _ => self.span,
        };
        Emission {
            key,
            span,
            count: self.count,
            positions: self.positions,
            partial,
            values: aggregates.iter().map(value).collect(),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(Accumulator::heap_bytes).sum();
        size_of::<Pane>() + self.fields.len() * size_of::<Accumulator>() + fields
    }
}

fn joined(
    times: Option<(EventTime, EventTime)>,
    others: (EventTime, EventTime),
) -> (EventTime, EventTime) {
    times.map_or(others, |it| (it.0.min(others.0), it.1.max(others.1)))
}
