//! Windows: many events of a key become one derived from them.
//!
//! An event belongs to the windows around the time at which it happened. A window closes when the key's watermark (its latest event time, less the
//! lateness) has reached its end, or when the key has been silent; what comes for it after that is late, unless it closed before its time.

mod accumulator;
mod definition;
mod emission;
mod pane;
mod quantile;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use definition::{Aggregate, Function, Timing, WindowKind};
pub use emission::{Emission, Span};

use super::{
    Bounds, EventTime, Moment, Reading, Table,
    watch::{Watch, Watched},
};
use pane::Pane;

/// Windows open for one key at once; the oldest closes when there is one more.
const MAX_PANES: usize = 1024;

/// A stage that sums up.
#[derive(Clone, Debug)]
pub struct Window {
    kind: WindowKind,
    timing: Timing,
    fields: usize,
    aggregates: Vec<Aggregate>,
    watch: Watch<KeyPanes>,
    emissions: VecDeque<Emission>,
}

/// What a window is told of an event.
#[derive(Clone, Copy, Debug)]
pub struct WindowInput<'a> {
    /// Which of its keys it belongs to.
    pub key: &'a str,
    /// When the event says that it happened.
    pub time: Option<EventTime>,
    /// When it was stored, by the wall clock.
    pub stored: EventTime,
    /// When it was stored, by the node's clock.
    pub at: Moment,
    /// Where it stands in the log.
    pub position: u64,
    /// The readings of the fields, in their order; a missing one counts for nothing.
    pub readings: &'a [Option<Reading>],
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It is in a window.
    Counted,
    /// Every window it belongs to was closed.
    Late,
}

/// Why an event is in no window. Nothing moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// The event has none of the fields.
    #[error("none of the fields it sums up is there")]
    Missing,
    /// What is to be summed is no number.
    #[error("a field it sums up is not a number")]
    NotANumber,
}

/// What a window keeps for one key, for checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyPanes {
    /// The latest time of its events.
    latest: EventTime,
    /// What ends at or before this is closed, whatever the watermark says.
    closed_to: EventTime,
    /// When it had its last event.
    at: Moment,
    /// Boxed, since most keys have one.
    panes: BTreeMap<EventTime, Box<Pane>>,
}

impl Window {
    /// A window over so many fields that has seen nothing.
    pub fn new(
        kind: WindowKind,
        timing: Timing,
        fields: usize,
        aggregates: Vec<Aggregate>,
        bounds: Bounds,
    ) -> Window {
        Window {
            kind,
            timing,
            fields,
            aggregates,
            watch: Watch::new(bounds),
            emissions: VecDeque::new(),
        }
    }

    /// Adds an event.
    ///
    /// # Errors
    ///
    /// It has not what is to be summed up.
    pub fn handle_event(&mut self, input: &WindowInput<'_>) -> Result<Placement, WindowError> {
        self.check(input.readings)?;
        let newest = input.stored.plus(self.timing.max_ahead);
        let time = input.time.filter(|it| *it <= newest);
        let time = time.unwrap_or(input.stored);
        let mut panes = self
            .watch
            .take(input.key)
            .unwrap_or_else(|| KeyPanes::new(time, input.at));
        panes.at = panes.at.max(input.at);
        let key = Arc::from(input.key);
        if panes.latest.max(panes.closed_to) > newest {
            self.set_back(&key, &mut panes, time, newest);
        }
        let spans = self.spans_of(time, &panes);
        let placement = if spans.is_empty() {
            Placement::Late
        } else {
            Placement::Counted
        };
        for span in spans {
            self.add(&mut panes, span, time, input);
        }
        panes.latest = panes.latest.max(time);
        self.close_due(&key, &mut panes);
        self.put(&key, panes);
        Ok(placement)
    }

    /// Whether it could take an event with these readings.
    ///
    /// # Errors
    ///
    /// As [`Window::handle_event`].
    pub fn check(&self, readings: &[Option<Reading>]) -> Result<(), WindowError> {
        if self.fields > 0 && readings.iter().all(Option::is_none) {
            return Err(WindowError::Missing);
        }
        let bad = self.aggregates.iter().any(|aggregate| {
            let reading = aggregate.field.and_then(|it| readings.get(it)?.as_ref());
            aggregate.function.needs_numbers() && reading.is_some_and(|it| it.number().is_none())
        });
        if bad {
            Err(WindowError::NotANumber)
        } else {
            Ok(())
        }
    }

    /// The first key that has been silent for so long that it closes.
    pub fn due(&self, now: Moment) -> Option<&Arc<str>> {
        self.watch.due(now, self.timing.idle)
    }

    /// When the next key closes for silence.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.watch.next_deadline(self.timing.idle)
    }

    /// Closes all windows of a key that has been silent. One whose end had not come by then is partial, and may open once more.
    pub fn close(&mut self, key: &str) {
        let Some(mut panes) = self.watch.take(key) else {
            return;
        };
        let key: Arc<str> = Arc::from(key);
        let until = panes.latest.plus(self.timing.idle);
        while let Some((_, pane)) = panes.panes.pop_first() {
            let is_over = pane.span.end <= until && !matches!(self.kind, WindowKind::Count(_));
            if is_over {
                panes.closed_to = panes.closed_to.max(pane.span.end);
            }
            self.emit(&key, &pane, !is_over);
        }
        self.put(&key, panes);
    }

    /// The node was down for so long: that was no silence of anybody.
    pub fn handle_downtime(&mut self, downtime: Duration) {
        self.watch.change_all(|it| it.at = it.at.after(downtime));
    }

    /// Gives all it holds as partial and forgets it: the stage is changed or gone.
    pub fn release(&mut self) {
        for key in self.watch.names() {
            if let Some(panes) = self.watch.take(&key) {
                self.emit_partial(&Arc::from(key), &panes);
            }
        }
    }

    /// What was derived, in the order in which it was.
    pub fn poll_emission(&mut self) -> Option<Emission> {
        self.emissions.pop_front()
    }

    /// What it keeps, for a checkpoint.
    pub fn keys(&self) -> &Table<KeyPanes> {
        self.watch.keys()
    }

    /// Puts back what a checkpoint kept.
    pub fn recover(&mut self, key: &str, panes: KeyPanes) {
        self.watch.take(key);
        self.put(&Arc::from(key), panes);
    }

    /// Keys that went at a bound; their windows were given as partial.
    pub fn evicted(&self) -> u64 {
        self.watch.evicted()
    }

    /// The open windows an event of that time belongs to.
    fn spans_of(&self, time: EventTime, panes: &KeyPanes) -> Vec<Span> {
        let horizon = self.horizon(panes);
        match self.kind {
            WindowKind::Tumbling { size } => {
                span(time.floor(size), size, horizon).into_iter().collect()
            }
            WindowKind::Sliding { size, every } => {
                let overlapping = size.as_nanos().div_ceil(every.as_nanos().max(1));
                let last = time.floor(every);
                let starts = (0..u32::try_from(overlapping).unwrap_or(u32::MAX))
                    .rev()
                    .map(|back| last.minus(every.saturating_mul(back)));
                starts
                    .filter(|start| start.plus(size) > time)
                    .filter_map(|start| span(start, size, horizon))
                    .collect()
            }
            WindowKind::Session { gap } => span(time, gap, horizon).into_iter().collect(),
            WindowKind::Count(_) => vec![Span {
                start: EventTime(0),
                end: EventTime(0),
            }],
        }
    }

    /// What ends at or before this is closed.
    fn horizon(&self, panes: &KeyPanes) -> EventTime {
        panes
            .closed_to
            .max(panes.latest.minus(self.timing.lateness))
    }

    /// The clock was set back: events have been later than any may be now. What begins then is given as partial, and time goes on from this
    /// event's.
    fn set_back(
        &mut self,
        key: &Arc<str>,
        panes: &mut KeyPanes,
        time: EventTime,
        newest: EventTime,
    ) {
        panes.latest = panes.latest.min(time);
        panes.closed_to = panes.closed_to.min(time);
        let later = panes
            .panes
            .split_off(&EventTime(newest.0.saturating_add(1)));
        for pane in later.values() {
            self.emit(key, pane, true);
        }
    }

    fn add(&mut self, panes: &mut KeyPanes, span: Span, time: EventTime, input: &WindowInput<'_>) {
        let mut pane = match self.kind {
            WindowKind::Session { .. } => panes.take_overlapping(span),
            _ => panes.panes.remove(&span.start),
        }
        .unwrap_or_else(|| Box::new(Pane::new(span, self.fields, &self.aggregates)));
        pane.add(time, input);
        if matches!(self.kind, WindowKind::Session { .. }) {
            pane.widen(span);
        }
        panes.panes.insert(pane.span.start, pane);
    }

    fn close_due(&mut self, key: &Arc<str>, panes: &mut KeyPanes) {
        let horizon = self.horizon(panes);
        while let Some(entry) = panes.panes.first_entry() {
            let pane = entry.get();
            let due = match self.kind {
                WindowKind::Count(count) => pane.count >= count.get(),
                _ => pane.span.end <= horizon,
            };
            if !due {
                break;
            }
            let pane = entry.remove();
            self.emit(key, &pane, false);
        }
        while panes.panes.len() > MAX_PANES
            && let Some((_, pane)) = panes.panes.pop_first()
        {
            panes.closed_to = panes.closed_to.max(self.end_of(&pane));
            self.emit(key, &pane, true);
        }
    }

    /// A window that counts closes nothing behind it.
    fn end_of(&self, pane: &Pane) -> EventTime {
        match self.kind {
            WindowKind::Count(_) => EventTime(i64::MIN),
            _ => pane.span.end,
        }
    }

    fn emit(&mut self, key: &Arc<str>, pane: &Pane, partial: bool) {
        let emission = pane.emission(Arc::clone(key), &self.kind, &self.aggregates, partial);
        self.emissions.push_back(emission);
    }

    fn emit_partial(&mut self, key: &Arc<str>, panes: &KeyPanes) {
        for pane in panes.panes.values() {
            self.emit(key, pane, true);
        }
    }

    fn put(&mut self, key: &Arc<str>, panes: KeyPanes) {
        for evicted in self.watch.put(key, panes) {
            self.emit_partial(&evicted.key, &evicted.state);
        }
    }
}

impl KeyPanes {
    fn new(time: EventTime, at: Moment) -> KeyPanes {
        KeyPanes {
            latest: time,
            closed_to: EventTime(i64::MIN),
            at,
            panes: BTreeMap::new(),
        }
    }

    /// The sessions that an event of this span joins, as one. Sessions do not overlap each other.
    fn take_overlapping(&mut self, span: Span) -> Option<Box<Pane>> {
        let starts: Vec<EventTime> = self
            .panes
            .range(..span.end)
            .rev()
            .take_while(|(_, pane)| pane.span.end > span.start)
            .map(|(start, _)| *start)
            .collect();
        let overlapping = starts.iter().filter_map(|start| self.panes.remove(start));
        overlapping.reduce(|one, other| Box::new(one.merge(*other)))
    }
}

impl Watched for KeyPanes {
    fn silent_since(&self) -> Option<Moment> {
        (!self.panes.is_empty()).then_some(self.at)
    }

    fn heap_bytes(&self) -> usize {
        self.panes.values().map(|it| it.heap_bytes()).sum()
    }
}

impl WindowError {
    /// A word for counters.
    pub fn class(self) -> &'static str {
        match self {
            WindowError::Missing => "missing",
            WindowError::NotANumber => "not-a-number",
        }
    }
}

/// The window that begins there, if it is open.
fn span(start: EventTime, size: Duration, horizon: EventTime) -> Option<Span> {
    let end = start.plus(size);
    (end > horizon).then_some(Span { start, end })
}
