//! A stage whose work is done elsewhere.

use std::collections::VecDeque;

use super::{Deriving, Stage};
use crate::{
    Event, json,
    rules::{Derived, emit::made_event, stages::Answer},
    stage::Job,
};

impl Deriving {
    pub(in crate::rules::stages) fn has_room(&self) -> bool {
        match &self.stage {
            Stage::Work { work, .. } => work.has_room(),
            _ => true,
        }
    }

    /// The event whose turn it is, and the program that is to be run on it.
    pub(in crate::rules::stages) fn job(&self) -> Option<(&Job, &str)> {
        match &self.stage {
            Stage::Work { work, program, .. } => Some((work.first()?, program)),
            _ => None,
        }
    }

    /// What became of an event, derived into `into` as from `source`.
    pub(in crate::rules::stages) fn answer(
        &mut self,
        position: u64,
        answer: &Answer,
        source: &str,
        into: &mut VecDeque<Derived>,
    ) {
        let Stage::Work { work, consume, .. } = &mut self.stage else {
            return;
        };
        let Some(job) = work.take(position) else {
            return;
        };
        let consume = *consume;
        let event = json::decode(&job.event).ok();
        let events: Vec<Option<Event>> = match (answer, event) {
            (Answer::Made(values), Some(event)) => {
                let of = (self.rule.as_str(), self.number);
                let made = values.iter().enumerate();
                made.map(|(nth, json)| made_event(of, (position, nth), &event, json, source))
                    .collect()
            }
            (Answer::GoesOn, event) if consume => vec![event],
            _ => Vec::new(),
        };
        let topic = self.topic.of(&self.rule, self.key.topic_in(&job.key));
        for event in events {
            match event {
                Some(event) => into.push_back(Derived {
                    topic: topic.clone(),
                    event,
                    derived_by: self.with_itself(&job.derived_by),
                }),
                None => self.invalid += 1,
            }
        }
    }
}
