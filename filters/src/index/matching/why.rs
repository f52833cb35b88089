use super::{Scratch, holds::Holds};
use crate::{
    EventView,
    index::{
        Index, RuleId,
        entry::{Entry, What},
        explain::Words,
        test::{Step, Test},
    },
};

impl Index {
    /// Which conditions of the rule `id` hold for `event`, in words: those of the first combination of the branches of its `$or` that holds, and of a list of
    /// alternatives those that do. `None` where the rule does not match, and where it asks a check, or nothing.
    pub fn why(&self, id: RuleId, event: &EventView<'_>, scratch: &mut Scratch) -> Option<String> {
        if !self.matches(event, scratch).contains(&id) {
            return None;
        }
        let holds = self.holds(event, &scratch.document);
        let start = self.entries.partition_point(|it| it.rule < id.0);
        let own = self.entries.get(start..).unwrap_or_default().iter();
        let mut own = own.take_while(|it| it.rule == id.0);
        let entry = own.find(|it| match &it.what {
            What::Steps(steps) => {
                (scratch.has_data || !it.reads_data)
                    && holds.all(steps.of(&self.steps), it.reads_data)
            }
            What::Check(_) => true,
        })?;
        let said = self.said(entry, &holds);
        (!said.is_empty()).then(|| said.join(" and "))
    }

    fn said(&self, entry: &Entry, holds: &Holds<'_>) -> Vec<String> {
        let topic = self.topics.get(entry.topic);
        let mut said: Vec<String> = topic
            .map(|it| format!("topic {}", it.filter))
            .into_iter()
            .collect();
        if let What::Steps(steps) = &entry.what {
            let steps = steps.of(&self.steps).iter();
            said.extend(steps.map(|it| self.said_of(it, entry.reads_data, holds)));
        }
        said
    }

    fn said_of(&self, step: &Step, reads_data: bool, holds: &Holds<'_>) -> String {
        let tests = match &step.test {
            Test::Any(span) => span.of(&self.arena.tests),
            test => std::slice::from_ref(test),
        };
        let one = |test: &Test| Step {
            test: *test,
            ..*step
        };
        let held = tests.iter().filter(|it| holds.all(&[one(it)], reads_data));
        let words: Vec<String> = held.map(|it| Words(*it, &self.arena).to_string()).collect();
        format!("{} {}", self.paths.name(step.path), words.join(", "))
    }
}
