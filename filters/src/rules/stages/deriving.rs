//! One stage that derives.

mod work;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    json,
    rules::{
        Derived, Key, Told,
        emit::{EmitTopic, absence_event, window_event},
        run::Step,
    },
    stage::{
        Absence, AbsenceChange, Debounce, Held, Job, Moment, Placement, Settled, Table, Window,
        WindowInput, Work, lineage,
    },
};

use super::{Answer, KeyMemory, KeyState, StageUsage, Stored};

#[derive(Debug)]
pub(super) struct Deriving {
    rule: String,
    /// Its place in the rule, which is part of the ids of what it derives.
    number: u32,
    stage: Stage,
    key: Key,
    topic: EmitTopic,
    /// Of keys with inputs that are derived themselves: from which rules, see [`lineage`].
    lineages: BTreeMap<String, Vec<String>>,
    late: u64,
    invalid: u64,
}

#[derive(Debug)]
enum Stage {
    Window {
        window: Window,
        names: Vec<String>,
        late_to: Option<EmitTopic>,
    },
    Debounce(Debounce<Vec<u8>>),
    Absence(Absence),
    Work {
        work: Work,
        program: String,
        consume: bool,
    },
}

/// Lineages kept for keys that are gone, beyond as many as there are keys.
const STALE_LINEAGES: usize = 16;

impl Deriving {
    /// `None` for a step that derives nothing.
    pub(super) fn new(rule: &str, number: u32, step: &Step) -> Option<Deriving> {
        let (stage, key, topic) = match step {
            Step::Gate(_) | Step::Transform(_) => return None,
            Step::Window(it) => {
                let stage = Stage::Window {
                    window: it.window.clone(),
                    names: it.names.clone(),
                    late_to: it.late_to.clone(),
                };
                (stage, &it.key, &it.emit_topic)
            }
            Step::Debounce(it) => (
                Stage::Debounce(it.debounce.clone()),
                &it.key,
                &it.emit_topic,
            ),
            Step::Absence(it) => (Stage::Absence(it.absence.clone()), &it.key, &it.emit_topic),
            Step::Jq(it) => {
                let stage = Stage::Work {
                    work: Work::new(it.bounds),
                    program: it.program.clone(),
                    consume: it.consume,
                };
                (stage, &it.key, &it.emit_topic)
            }
        };
        Some(Deriving {
            rule: rule.to_owned(),
            number,
            stage,
            key: key.clone(),
            topic: topic.clone(),
            lineages: BTreeMap::new(),
            late: 0,
            invalid: 0,
        })
    }

    pub(super) fn watch_from(&mut self, position: u64) {
        if let Stage::Absence(absence) = &mut self.stage {
            absence.watch_from(position);
        }
    }

    pub(super) fn forget_listed(&mut self) {
        if let Stage::Absence(absence) = &mut self.stage {
            absence.forget();
        }
    }

    /// Takes an input in; gives what is published of one that came too late.
    pub(super) fn handle_input(&mut self, told: &Told, stored: Stored<'_>) -> Option<Derived> {
        match (&mut self.stage, &told.window, &told.event) {
            (Stage::Window { window, .. }, Some(readings), _) => {
                let placed = window.handle_event(&WindowInput {
                    key: &told.key,
                    time: readings.time,
                    stored: stored.time,
                    at: stored.at,
                    position: stored.position,
                    readings: &readings.readings,
                });
                // What it cannot take was refused when the event was judged.
                if placed == Ok(Placement::Late) {
                    self.late += 1;
                    return self.late_event(told, stored.derived_by);
                }
            }
            (Stage::Debounce(debounce), _, Some(event)) => {
                let held = Held {
                    at: stored.at,
                    position: stored.position,
                    bytes: event.len(),
                    event: event.clone(),
                };
                debounce.handle_event(&told.key, held);
            }
            (Stage::Absence(absence), ..) => {
                absence.handle_event(&told.key, stored.at, stored.position);
            }
            (Stage::Work { work, .. }, _, Some(event)) => {
                work.add(Job {
                    position: stored.position,
                    key: told.key.clone(),
                    event: event.clone(),
                    derived_by: stored.derived_by.to_vec(),
                });
                return None;
            }
            _ => {}
        }
        self.inherit(&told.key, stored.derived_by);
        None
    }

    fn inherit(&mut self, key: &str, derived_by: &[String]) {
        if derived_by.is_empty() {
            return;
        }
        let lineage = self.lineages.entry(key.to_owned()).or_default();
        lineage::join(lineage, derived_by);
        let keys = self.key_count();
        if self.lineages.len() > 2 * keys + STALE_LINEAGES {
            let mut lineages = std::mem::take(&mut self.lineages);
            lineages.retain(|key, _| self.remembers(key));
            self.lineages = lineages;
        }
    }

    fn late_event(&self, told: &Told, derived_by: &[String]) -> Option<Derived> {
        let Stage::Window { late_to, .. } = &self.stage else {
            return None;
        };
        let topic = late_to.as_ref()?;
        Some(Derived {
            topic: topic.of(&self.rule, self.key.topic_in(&told.key)),
            event: json::decode(told.event.as_deref()?).ok()?,
            derived_by: self.with_itself(derived_by),
        })
    }

    fn with_itself(&self, derived_by: &[String]) -> Vec<String> {
        let itself = std::iter::once(&self.rule);
        derived_by.iter().chain(itself).cloned().collect()
    }

    pub(super) fn due(&self, now: Moment) -> Option<String> {
        let key = match &self.stage {
            Stage::Window { window, .. } => window.due(now),
            Stage::Debounce(debounce) => debounce.due(now),
            Stage::Absence(absence) => absence.due(now),
            Stage::Work { .. } => None,
        };
        key.map(|it| it.to_string())
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        match &self.stage {
            Stage::Window { window, .. } => window.next_deadline(),
            Stage::Debounce(debounce) => debounce.next_deadline(),
            Stage::Absence(absence) => absence.next_deadline(),
            Stage::Work { .. } => None,
        }
    }

    pub(super) fn close(&mut self, key: &str) {
        match &mut self.stage {
            Stage::Window { window, .. } => window.close(key),
            Stage::Debounce(debounce) => debounce.close(key),
            Stage::Absence(absence) => absence.close(key),
            Stage::Work { .. } => {}
        }
    }

    pub(super) fn release(&mut self, source: &str, into: &mut VecDeque<Derived>) {
        match &mut self.stage {
            Stage::Window { window, .. } => window.release(),
            Stage::Debounce(debounce) => debounce.release(),
            Stage::Absence(_) => {}
            Stage::Work { work, .. } => {
                let positions: Vec<u64> = work.jobs().map(|it| it.position).collect();
                for position in positions {
                    self.answer(position, &Answer::GoesOn, source, into);
                }
            }
        }
    }

    pub(super) fn handle_downtime(&mut self, downtime: Duration) {
        match &mut self.stage {
            Stage::Window { window, .. } => window.handle_downtime(downtime),
            Stage::Debounce(debounce) => debounce.handle_downtime(downtime),
            Stage::Absence(absence) => absence.handle_downtime(downtime),
            Stage::Work { .. } => {}
        }
    }

    pub(super) fn usage(&self) -> StageUsage {
        let ((keys, bytes), evicted) = match &self.stage {
            Stage::Window { window, .. } => (size(window.keys()), window.evicted()),
            Stage::Debounce(debounce) => (size(debounce.keys()), debounce.evicted()),
            Stage::Absence(absence) => (size(absence.keys()), absence.evicted()),
            Stage::Work { work, .. } => ((work.len(), work.bytes()), 0),
        };
        StageUsage {
            keys,
            bytes,
            evicted,
            late: self.late,
            invalid: self.invalid,
        }
    }

    fn key_count(&self) -> usize {
        match &self.stage {
            Stage::Window { window, .. } => window.keys().len(),
            Stage::Debounce(debounce) => debounce.keys().len(),
            Stage::Absence(absence) => absence.keys().len(),
            Stage::Work { work, .. } => work.len(),
        }
    }

    fn remembers(&self, key: &str) -> bool {
        match &self.stage {
            Stage::Window { window, .. } => window.keys().get(key).is_some(),
            Stage::Debounce(debounce) => debounce.keys().get(key).is_some(),
            Stage::Absence(absence) => absence.keys().get(key).is_some(),
            Stage::Work { .. } => false,
        }
    }

    pub(super) fn memories(&self, mut give: impl FnMut(&str, KeyMemory)) {
        let mut give = |key: &str, state| {
            let derived_by = self.lineages.get(key).cloned().unwrap_or_default();
            give(key, KeyMemory { state, derived_by });
        };
        match &self.stage {
            Stage::Window { window, .. } => {
                let keys = window.keys().iter_by_use();
                keys.for_each(|(key, it)| give(key, KeyState::Window(it.clone())));
            }
            Stage::Debounce(debounce) => {
                let keys = debounce.keys().iter_by_use();
                keys.for_each(|(key, it)| give(key, KeyState::Debounce(it.clone())));
            }
            Stage::Absence(absence) => {
                let keys = absence.keys().iter_by_use();
                keys.for_each(|(key, it)| give(key, KeyState::Absence(*it)));
            }
            Stage::Work { work, .. } => {
                let jobs = work.jobs();
                jobs.for_each(|it| give(&it.key, KeyState::Work(it.clone())));
            }
        }
    }

    pub(super) fn recover(&mut self, key: &str, memory: KeyMemory) {
        match (&mut self.stage, memory.state) {
            (Stage::Window { window, .. }, KeyState::Window(it)) => window.recover(key, it),
            (Stage::Debounce(debounce), KeyState::Debounce(it)) => debounce.recover(key, it),
            (Stage::Absence(absence), KeyState::Absence(it)) => absence.recover(key, it),
            (Stage::Work { work, .. }, KeyState::Work(it)) => work.add(it),
            _ => return,
        }
        if !memory.derived_by.is_empty() {
            self.lineages.insert(key.to_owned(), memory.derived_by);
        }
    }

    /// Moves what was derived to `into`, from `source`.
    pub(super) fn take_derived(&mut self, source: &str, into: &mut VecDeque<Derived>) {
        while let Some(derived) = self.poll(source) {
            match derived {
                Some(derived) => into.push_back(derived),
                None => self.invalid += 1,
            }
        }
    }

    /// The next derivation, `Some(None)` if it is not valid.
    fn poll(&mut self, source: &str) -> Option<Option<Derived>> {
        let (key, event) = match &mut self.stage {
            Stage::Window { window, names, .. } => {
                let emission = window.poll_emission()?;
                let event = window_event(&self.rule, self.number, names, &emission, source);
                (emission.key, event)
            }
            Stage::Debounce(debounce) => {
                let Settled { key, held, .. } = debounce.poll_settled()?;
                (key, json::decode(&held.event).ok())
            }
            Stage::Absence(absence) => {
                let change = absence.poll_change()?;
                let event = absence_event(&self.rule, self.number, &change, source);
                let (AbsenceChange::Absent { key, .. }
                | AbsenceChange::Returned { key, .. }
                | AbsenceChange::Evicted { key, .. }) = change;
                (key, event)
            }
            // What was made of an event is derived with the answer.
            Stage::Work { .. } => return None,
        };
        let topic = self.topic.of(&self.rule, self.key.topic_in(&key));
        let lineage = self.lineages.get(&*key).map_or(&[][..], Vec::as_slice);
        let derived_by = self.with_itself(lineage);
        Some(event.map(|event| Derived {
            topic,
            event,
            derived_by,
        }))
    }
}

fn size<S>(table: &Table<S>) -> (usize, usize) {
    (table.len(), table.bytes())
}
