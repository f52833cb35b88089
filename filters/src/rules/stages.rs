use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    json,
    stage::{
        Absence, AbsenceChange, Debounce, EventTime, Held, KeyPanes, Moment, Placement, Presence,
        Settled, Window, WindowInput,
    },
};

use super::{
    Derived, Key, RuleSet, StageId, StageInput,
    emit::{EmitTopic, absence_event, window_event},
    run::Step,
};

/// The stages of a set that derive: windows, debounces and absences, with what they remember.
///
/// It is told the inputs of committed events, in the order of the log, and of every closing that was written into the log. What it derives of them it derives again
/// whenever it is told them again.
#[derive(Debug, Default)]
pub struct RuleStages {
    stages: BTreeMap<StageId, Deriving>,
    output: Output,
}

/// What was derived and is not taken yet, and what was counted.
#[derive(Debug, Default)]
struct Output {
    derived: VecDeque<Derived>,
    counts: StageCounts,
}

/// What happened to inputs and to what was derived of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageCounts {
    /// Events that came too late for their windows.
    pub late: u64,
    /// Derivations whose topic or event would not have been valid.
    pub invalid: u64,
}

#[derive(Debug)]
struct Deriving {
    rule: String,
    stage: Stage,
    key: Key,
    topic: EmitTopic,
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
}

/// Where and when an input was stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// Where in the log; never 0.
    pub position: u64,
    /// By the node's clock.
    pub at: Moment,
    /// By the wall clock.
    pub time: EventTime,
}

/// What a stage remembers of one key, for checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as the stages")]
pub enum StageMemory {
    Window(KeyPanes),
    Debounce(Held<Vec<u8>>),
    Absence(Presence),
}

impl RuleStages {
    /// Those of a set, with nothing remembered.
    pub fn new(rules: &RuleSet) -> RuleStages {
        let mut stages = BTreeMap::new();
        for (id, step) in rules.steps() {
            let (stage, key, topic) = match step {
                Step::Gate(_) | Step::Transform(_) => continue,
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
            };
            let deriving = Deriving {
                rule: rules.name_of(id).to_owned(),
                stage,
                key: key.clone(),
                topic: topic.clone(),
            };
            stages.insert(id, deriving);
        }
        RuleStages {
            stages,
            output: Output::default(),
        }
    }

    /// The stages of `rules` with what `old` remembered under `before` where a stage is the same; what the others hold is derived as partial, from `source`.
    pub fn carry(old: RuleStages, before: &RuleSet, rules: &RuleSet, source: &str) -> RuleStages {
        let mut now = RuleStages::new(rules);
        now.output = old.output;
        let places = rules.places();
        for (id, mut deriving) in old.stages {
            match rules.same_stage_by(&places, before, id) {
                Some(place) => {
                    now.stages.insert(place, deriving);
                }
                None => {
                    deriving.release();
                    now.output.collect(&mut deriving, id, source);
                }
            }
        }
        now
    }

    /// Tells a stage of a committed event; what follows is from `source`.
    pub fn handle_input(&mut self, input: &StageInput, stored: Stored, source: &str) {
        let Some(deriving) = self.stages.get_mut(&input.stage) else {
            return;
        };
        if deriving.handle_input(input, stored) == Placement::Late {
            self.output.counts.late += 1;
            self.output.derived.extend(deriving.late(input));
        }
        self.output.collect(deriving, input.stage, source);
    }

    /// A stage and key whose time is over; it is to be closed when that has been written into the log.
    pub fn due(&self, now: Moment) -> Option<(StageId, String)> {
        self.stages
            .iter()
            .find_map(|(id, it)| Some((*id, it.due(now)?)))
    }

    /// When the next will be.
    pub fn next_deadline(&self) -> Option<Moment> {
        let deadlines = self.stages.values().filter_map(Deriving::next_deadline);
        deadlines.min()
    }

    /// Closes a key of a stage; what follows is from `source`.
    pub fn close(&mut self, stage: StageId, key: &str, source: &str) {
        if let Some(deriving) = self.stages.get_mut(&stage) {
            deriving.close(key);
            self.output.collect(deriving, stage, source);
        }
    }

    /// The node was down for so long.
    pub fn handle_downtime(&mut self, downtime: std::time::Duration) {
        for deriving in self.stages.values_mut() {
            if let Stage::Absence(absence) = &mut deriving.stage {
                absence.handle_downtime(downtime);
            }
        }
    }

    /// What was derived, in order.
    pub fn poll_derived(&mut self) -> Option<Derived> {
        self.output.derived.pop_front()
    }

    /// What was counted.
    pub fn counts(&self) -> StageCounts {
        self.output.counts
    }

    /// All that is remembered, for a checkpoint.
    pub fn memories(&self) -> Vec<(StageId, String, StageMemory)> {
        let mut all = Vec::new();
        for (id, deriving) in &self.stages {
            deriving.memories(|key, memory| all.push((*id, key.to_owned(), memory)));
        }
        all
    }

    /// Puts back what a checkpoint kept. What belongs to another kind of stage is not taken.
    pub fn recover(&mut self, stage: StageId, key: &str, memory: StageMemory) {
        let stage = self.stages.get_mut(&stage).map(|it| &mut it.stage);
        match (stage, memory) {
            (Some(Stage::Window { window, .. }), StageMemory::Window(it)) => {
                window.recover(key, it)
            }
            (Some(Stage::Debounce(debounce)), StageMemory::Debounce(it)) => {
                debounce.recover(key, it);
            }
            (Some(Stage::Absence(absence)), StageMemory::Absence(it)) => absence.recover(key, it),
            _ => {}
        }
    }
}

impl Output {
    fn collect(&mut self, deriving: &mut Deriving, id: StageId, source: &str) {
        while let Some(derived) = deriving.poll(id, source) {
            match derived {
                Some(derived) => self.derived.push_back(derived),
                None => self.counts.invalid += 1,
            }
        }
    }
}

impl Deriving {
    fn handle_input(&mut self, input: &StageInput, stored: Stored) -> Placement {
        match (&mut self.stage, &input.window, &input.event) {
            (Stage::Window { window, .. }, Some(told), _) => {
                let placed = window.handle_event(&WindowInput {
                    key: &input.key,
                    time: told.time,
                    stored: stored.time,
                    at: stored.at,
                    position: stored.position,
                    readings: &told.readings,
                });
                // What it cannot take was refused when the event was judged.
                placed.unwrap_or(Placement::Counted)
            }
            (Stage::Debounce(debounce), _, Some(event)) => {
                let held = Held {
                    at: stored.at,
                    position: stored.position,
                    bytes: event.len(),
                    event: event.clone(),
                };
                debounce.handle_event(&input.key, held);
                Placement::Counted
            }
            (Stage::Absence(absence), ..) => {
                absence.handle_event(&input.key, stored.at, stored.position);
                Placement::Counted
            }
            _ => Placement::Counted,
        }
    }

    /// What is published of an event that came too late.
    fn late(&self, input: &StageInput) -> Option<Derived> {
        let Stage::Window { late_to, .. } = &self.stage else {
            return None;
        };
        let topic = late_to.as_ref()?;
        Some(Derived {
            rule: self.rule.clone(),
            topic: topic.of(&self.rule, self.key.topic_in(&input.key))?,
            event: json::decode(input.event.as_deref()?).ok()?,
        })
    }

    fn due(&self, now: Moment) -> Option<String> {
        let key = match &self.stage {
            Stage::Window { window, .. } => window.due(now),
            Stage::Debounce(debounce) => debounce.due(now),
            Stage::Absence(absence) => absence.due(now),
        };
        key.map(|it| it.to_string())
    }

    fn next_deadline(&self) -> Option<Moment> {
        match &self.stage {
            Stage::Window { window, .. } => window.next_deadline(),
            Stage::Debounce(debounce) => debounce.next_deadline(),
            Stage::Absence(absence) => absence.next_deadline(),
        }
    }

    fn close(&mut self, key: &str) {
        match &mut self.stage {
            Stage::Window { window, .. } => window.close(key),
            Stage::Debounce(debounce) => debounce.close(key),
            Stage::Absence(absence) => absence.close(key),
        }
    }

    fn release(&mut self) {
        match &mut self.stage {
            Stage::Window { window, .. } => window.release(),
            Stage::Debounce(debounce) => debounce.release(),
            Stage::Absence(_) => {}
        }
    }

    fn memories(&self, mut give: impl FnMut(&str, StageMemory)) {
        match &self.stage {
            Stage::Window { window, .. } => {
                let keys = window.keys().iter();
                keys.for_each(|(key, it)| give(key, StageMemory::Window(it.clone())));
            }
            Stage::Debounce(debounce) => {
                let keys = debounce.keys().iter();
                keys.for_each(|(key, it)| give(key, StageMemory::Debounce(it.clone())));
            }
            Stage::Absence(absence) => {
                let keys = absence.keys().iter();
                keys.for_each(|(key, it)| give(key, StageMemory::Absence(*it)));
            }
        }
    }

    /// The next derivation, `Some(None)` if it is not valid.
    fn poll(&mut self, id: StageId, source: &str) -> Option<Option<Derived>> {
        let (key, event) = match &mut self.stage {
            Stage::Window { window, names, .. } => {
                let emission = window.poll_emission()?;
                let event = window_event(&self.rule, id, names, &emission, source);
                (emission.key, event)
            }
            Stage::Debounce(debounce) => {
                let Settled { key, held, .. } = debounce.poll_settled()?;
                (key, json::decode(&held.event).ok())
            }
            Stage::Absence(absence) => {
                let change = absence.poll_change()?;
                let event = absence_event(&self.rule, id, &change, source);
                let (AbsenceChange::Absent { key, .. }
                | AbsenceChange::Returned { key, .. }
                | AbsenceChange::Evicted { key }) = change;
                (key, event)
            }
        };
        let topic = self.topic.of(&self.rule, self.key.topic_in(&key));
        Some(topic.zip(event).map(|(topic, event)| Derived {
            rule: self.rule.clone(),
            topic,
            event,
        }))
    }
}
