//! What rules made of a publish, for people.

use filters::rules::{Failure, Fate};

use super::{Judge, Judged};
use crate::node::tap::{Verdict, VerdictError};

impl Judge {
    /// What was made of a publish, for people.
    pub(crate) fn verdict(&self, judged: &Judged) -> Verdict {
        let known = &self.rules.known;
        let lane = known.lanes.get(usize::from(judged.lane.0)).cloned();
        let Some(ruling) = &judged.ruling else {
            return Verdict {
                lane,
                ..Verdict::default()
            };
        };
        let names = |sinks: &Vec<usize>| {
            let names = sinks.iter().filter_map(|it| known.sinks.get(*it));
            names.cloned().collect()
        };
        let error = |it: &Failure| VerdictError {
            rule: self.name(it.rule).to_owned(),
            class: it.class.to_owned(),
            message: it.message.clone(),
        };
        let matched = ruling.matched.iter().map(|it| self.name(*it).to_owned());
        let mut verdict = Verdict {
            matched: matched.collect(),
            errors: ruling.failures.iter().map(error).collect(),
            lane,
            ..Verdict::default()
        };
        match &ruling.fate {
            Fate::Owed(owed) => verdict.sinks = owed.sinks.as_ref().map(names),
            Fate::Dropped { rule, step, .. } => verdict.dropped = Some(self.scope(*rule, *step)),
            Fate::DeadLetter { message, sinks, .. } => {
                verdict.dead = Some(message.clone());
                verdict.sinks = sinks.as_ref().map(names);
            }
        }
        verdict
    }
}
