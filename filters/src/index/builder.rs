use std::{collections::HashMap, sync::Arc};

use super::{
    Access, Check, Index, Rule, RuleId, When,
    access::TablesBuilder,
    arena::{Arena, Interner},
    budget::{Budget, IndexError},
    entry::{Entry, Found, NO_TOPIC, Steps, Topics, What},
    select::{Selector, estimate_topic, is_access},
    test::Step,
};
use crate::{
    Path, Pattern,
    paths::{DATA, EVENT, PathId, Paths, as_u32},
    pattern::{Asked, Fields},
    span::Span,
};

/// Takes rules and makes an [`Index`] of them.
#[derive(Debug)]
pub struct IndexBuilder {
    budget: Budget,
    rule_count: u32,
    paths: Paths,
    arena: Arena,
    interner: Interner,
    selector: Selector,
    topics: Topics,
    condition_count: usize,
    /// Of the entries that have many.
    steps: Vec<Step>,
    entries: Vec<Entry>,
    checks: Vec<Arc<dyn Check>>,
    /// Of each check: the sets of which each has something that must hold.
    check_access: Vec<Vec<Vec<Step>>>,
    check_bytes: usize,
    unindexed: Vec<RuleId>,
    /// Of the pattern that is being added; its memory is used again.
    branches: Vec<Vec<Step>>,
}

impl IndexBuilder {
    /// For rules that stay within `budget`.
    pub fn new(budget: Budget) -> IndexBuilder {
        IndexBuilder {
            budget,
            rule_count: 0,
            paths: Paths::new(),
            arena: Arena::default(),
            interner: Interner::default(),
            selector: Selector::default(),
            topics: Topics::default(),
            condition_count: 0,
            steps: Vec::new(),
            entries: Vec::new(),
            checks: Vec::new(),
            check_access: Vec::new(),
            branches: Vec::new(),
            check_bytes: 0,
            unindexed: Vec::new(),
        }
    }

    /// Adds a rule. An error says that it is one too many: the set is to be given up.
    pub fn add(&mut self, rule: &Rule<'_>) -> Result<RuleId, IndexError> {
        let id = RuleId(self.rule_count);
        let topic = rule.topic.map_or(NO_TOPIC, |it| self.topics.intern(it));
        let first = self.entries.len();
        match &rule.when {
            When::Always => self.add_steps(topic, &[]),
            When::Pattern(pattern) => self.add_pattern(topic, pattern),
            When::Check(check) => self.add_check(topic, check),
        }
        let is_found_by_topic = self.topics.get(topic).is_some_and(|it| it.has_literal);
        let added = self.entries.get(first..).unwrap_or_default();
        if !is_found_by_topic && !added.iter().all(|it| self.has_access(it)) {
            self.unindexed.push(id);
        }
        self.check_budget(id)?;
        self.rule_count += 1;
        Ok(id)
    }

    fn add_pattern(&mut self, topic: u32, pattern: &Pattern) {
        let mut branches = std::mem::take(&mut self.branches);
        branches.truncate(1);
        branches.resize_with(1, Vec::new);
        branches.iter_mut().for_each(Vec::clear);
        self.expand(EVENT, pattern.fields(), &mut branches);
        let has_alternatives = branches.len() > 1;
        for steps in &mut branches {
            if has_alternatives {
                steps.sort_by_cached_key(|it| self.paths.ancestors(it.path));
            }
            self.add_steps(topic, steps);
        }
        self.branches = branches;
    }

    /// Adds what `fields` asks of the object at `path` to each of `branches`; alternatives make more of them.
    fn expand(&mut self, path: PathId, fields: Fields<'_>, branches: &mut Vec<Vec<Step>>) {
        let mut alternatives = None;
        for asked in fields {
            match asked {
                Asked::Object(key, fields) => {
                    let path = self.paths.add(path, key);
                    self.expand(path, fields, branches);
                }
                Asked::Leaf(key, conditions) => {
                    let path = self.paths.add(path, key);
                    let test = self.arena.any(conditions, &mut self.interner);
                    let step = Step { path, test };
                    branches.iter_mut().for_each(|it| it.push(step));
                }
                Asked::Or(all) => alternatives = Some(all),
            }
        }
        if let Some(alternatives) = alternatives {
            let before = std::mem::take(branches);
            for alternative in alternatives {
                let mut own = before.clone();
                self.expand(path, alternative, &mut own);
                branches.append(&mut own);
            }
        }
    }

    fn add_steps(&mut self, topic: u32, steps: &[Step]) {
        self.condition_count += steps.len();
        let mut reads_data = false;
        for step in steps {
            self.read(*step);
            reads_data |= self.paths.is_data(step.path);
        }
        let steps = Steps::new(steps, &mut self.steps);
        self.add_entry(topic, What::Steps(steps), reads_data);
    }

    fn add_check(&mut self, topic: u32, check: &Arc<dyn Check>) {
        let sets = check.access();
        let sets = sets
            .iter()
            .map(|set| set.iter().map(|it| self.access(it)).collect());
        let sets: Vec<Vec<Step>> = sets.collect();
        sets.iter().flatten().for_each(|it| self.read(*it));
        self.check_access.push(sets);
        self.check_bytes += check.heap_bytes();
        let place = as_u32(self.checks.len());
        self.checks.push(Arc::clone(check));
        self.add_entry(topic, What::Check(place), false);
    }

    fn add_entry(&mut self, topic: u32, what: What, reads_data: bool) {
        self.entries.push(Entry {
            rule: self.rule_count,
            topic,
            what,
            reads_data,
        });
    }

    fn access(&mut self, access: &Access) -> Step {
        let path = match &access.path {
            Path::Attribute(name) => self.paths.add(EVENT, name),
            Path::Data(keys) => {
                let keys = keys.iter();
                keys.fold(DATA, |at, key| self.paths.add(at, key))
            }
        };
        let test = self.arena.test(&access.condition, &mut self.interner);
        Step { path, test }
    }

    fn read(&mut self, step: Step) {
        self.paths.read(step.path);
        self.selector.count(step, &self.arena);
    }

    fn has_access(&self, entry: &Entry) -> bool {
        self.accesses(entry).next().is_some()
    }

    /// The sets of which each has something that must hold where `entry` does, if they can be used.
    fn accesses<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = &'a [Step]> {
        let (steps, sets) = match &entry.what {
            What::Steps(steps) => (steps.of(&self.steps), None),
            What::Check(place) => (&[][..], self.check_access.get(*place as usize)),
        };
        let sets = sets.into_iter().flatten().map(|it| &**it);
        let all = steps.chunks(1).chain(sets);
        all.filter(|set| set.iter().all(|it| is_access(it.test, &self.arena)))
    }

    /// The way to find `entry` that is expected to hold least often.
    fn choose<'a>(&'a self, entry: &'a Entry) -> Choice<'a> {
        let mut best = (f64::INFINITY, Choice::Always);
        if self
            .topics
            .get(entry.topic)
            .is_some_and(|it| it.has_literal)
        {
            best = (estimate_topic(self.topics.list.len()), Choice::Topic);
        }
        for set in self.accesses(entry) {
            let estimate = self.selector.estimate(set, &self.arena);
            if estimate < best.0 {
                best = (estimate, Choice::Steps(set));
            }
        }
        best.1
    }

    fn check_budget(&self, rule: RuleId) -> Result<(), IndexError> {
        let budget = self.budget;
        if self.unindexed.len() > budget.max_unindexed {
            let max = budget.max_unindexed;
            return Err(IndexError::TooManyUnindexed { rule, max });
        }
        if self.condition_count > budget.max_conditions {
            let max = budget.max_conditions;
            return Err(IndexError::TooManyConditions { rule, max });
        }
        if self.estimated_bytes() > budget.max_bytes {
            let max = budget.max_bytes;
            return Err(IndexError::TooManyBytes { rule, max });
        }
        Ok(())
    }

    fn estimated_bytes(&self) -> usize {
        /// Of tables, a share for each way to find an entry.
        const PER_ENTRY: usize = size_of::<Entry>() + size_of::<Found>() + size_of::<Step>() + 64;
        /// Of the trie of topic filters, a share for each.
        const PER_TOPIC: usize = 400;
        self.arena.len_bytes()
            + self.paths.heap_bytes()
            + self.steps.len() * size_of::<Step>()
            + self.entries.len() * PER_ENTRY
            + self.topics.list.len() * PER_TOPIC
            + self.check_bytes
    }

    /// Compiles what was added.
    pub fn build(mut self) -> Index {
        let mut tables = TablesBuilder::new(self.paths.len());
        let mut found = Vec::with_capacity(self.entries.len());
        let mut found_steps = Vec::with_capacity(self.entries.len());
        let mut always = Vec::new();
        let mut finds_in_data = false;
        let mut by_topic = Vec::new();
        let mut topics_with_data = Vec::new();
        for (id, entry) in (0..).zip(&self.entries) {
            found.push(match self.choose(entry) {
                Choice::Always => {
                    always.push(id);
                    Found::Always
                }
                Choice::Topic => {
                    by_topic.push((entry.topic, id));
                    Found::Topic
                }
                Choice::Steps(steps) => {
                    let start = as_u32(found_steps.len());
                    found_steps.extend_from_slice(steps);
                    steps.iter().for_each(|it| tables.add(*it, id, &self.arena));
                    if steps.iter().any(|it| self.paths.is_data(it.path)) {
                        finds_in_data |= entry.topic == NO_TOPIC;
                        topics_with_data.push(entry.topic);
                    }
                    let len = as_u32(steps.len());
                    Found::Steps(Span { start, len })
                }
            });
        }
        for (topic, entry) in by_topic {
            if let Some(topic) = self.topics.list.get_mut(topic as usize) {
                topic.entries.push(entry);
            }
        }
        for topic in topics_with_data {
            if let Some(topic) = self.topics.list.get_mut(topic as usize) {
                topic.finds_in_data = true;
            }
        }
        self.topics.ids = HashMap::new();
        self.topics.list.shrink_to_fit();
        self.paths.shrink();
        self.arena.shrink();
        self.steps.shrink_to_fit();
        self.entries.shrink_to_fit();
        self.checks.shrink_to_fit();
        found_steps.shrink_to_fit();
        Index {
            has_attributes: self.paths.has_attributes(),
            rule_count: self.rule_count,
            paths: self.paths,
            arena: self.arena,
            steps: self.steps,
            entries: self.entries,
            found,
            found_steps,
            checks: self.checks,
            check_bytes: self.check_bytes,
            topics: self.topics,
            tables: tables.build(),
            always,
            finds_in_data,
            unindexed: self.unindexed,
        }
    }
}

enum Choice<'a> {
    Always,
    Topic,
    Steps(&'a [Step]),
}
