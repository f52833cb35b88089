use std::fmt;

use serde::de::Error;
use serde_json::{Map, Value};

use super::{Dialect, MAX_FILTER_DEPTH, SubscriptionFilter, Term};
use crate::cesql::{
    Expression, ParseError, UnknownFunction, attribute::Attribute, nearest::nearest,
};

const DIALECTS: [&str; 7] = ["exact", "prefix", "suffix", "all", "any", "not", "sql"];

/// Why a value is no filter, and where. Whoever wrote it has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", Place(at))]
pub struct FilterError {
    /// The way to the part that is wrong, as in `any[1].prefix.type`; empty for the filter itself.
    pub at: String,
    /// What is wrong with it.
    pub problem: FilterProblem,
}

struct Place<'a>(&'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            place => write!(out, "{place}: "),
        }
    }
}

/// What is wrong with a part of a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterProblem {
    /// No object.
    #[error("a filter is an object with one dialect, as {{\"exact\": {{\"type\": \"…\"}}}}")]
    NoObject,
    /// None or several dialects.
    #[error("a filter has one dialect, this has {0}; put several into `all` or `any`")]
    NotOneDialect(usize),
    /// A dialect that does not exist.
    #[error("there is no dialect `{name}`{}", Meant(*.nearest))]
    Dialect {
        /// As it was written.
        name: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// `exact`, `prefix` or `suffix` of something else.
    #[error("expected an object of at least one attribute and its text")]
    NoTerms,
    /// `all` or `any` of something else.
    #[error("expected a list of at least one filter")]
    NoFilters,
    /// A name that no attribute has.
    #[error(
        "no attribute has this name; use 1 to {} of a-z and 0-9",
        crate::MAX_ATTRIBUTE_NAME_BYTES
    )]
    Name,
    /// Something else than a text, or an empty one.
    #[error("expected a text in quotes that is not empty")]
    NoText,
    /// More than [`MAX_FILTER_DEPTH`].
    #[error("filters are nested at most {MAX_FILTER_DEPTH} deep")]
    TooDeep,
    /// No expression.
    #[error("{0}")]
    Expression(ParseError),
    /// An expression that calls what does not exist.
    #[error("{0}")]
    Function(UnknownFunction),
}

struct Meant(Option<&'static str>);

impl fmt::Display for Meant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(word) => write!(out, "; did you mean `{word}`?"),
            None => write!(out, "; there are {}", DIALECTS.join(", ")),
        }
    }
}

impl SubscriptionFilter {
    /// Reads a filter in the form that the specification gives it in JSON.
    ///
    /// # Errors
    ///
    /// Anything that is not of that form, a bad expression and a call of an unknown function among it.
    pub fn from_json(value: &Value) -> Result<SubscriptionFilter, FilterError> {
        read(value, &mut Way(Vec::new()), 1).map(SubscriptionFilter)
    }
}

impl<'de> serde::Deserialize<'de> for SubscriptionFilter {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<SubscriptionFilter, D::Error> {
        let value = Value::deserialize(from)?;
        SubscriptionFilter::from_json(&value).map_err(D::Error::custom)
    }
}

/// Where the reader stands.
struct Way<'a>(Vec<Step<'a>>);

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Way<'a> {
    fn step<T>(
        &mut self,
        step: Step<'a>,
        read: impl FnOnce(&mut Way<'a>) -> Result<T, FilterError>,
    ) -> Result<T, FilterError> {
        self.0.push(step);
        let result = read(self)?;
        self.0.pop();
        Ok(result)
    }

    fn error(&self, problem: FilterProblem) -> FilterError {
        let mut at = String::new();
        for step in &self.0 {
            match step {
                Step::Key(key) => {
                    at.push_str(if at.is_empty() { "" } else { "." });
                    at.extend(key.chars().take(64));
                }
                Step::Index(index) => at.push_str(&format!("[{index}]")),
            }
        }
        FilterError { at, problem }
    }
}

fn read<'a>(value: &'a Value, way: &mut Way<'a>, depth: usize) -> Result<Dialect, FilterError> {
    if depth > MAX_FILTER_DEPTH {
        return Err(way.error(FilterProblem::TooDeep));
    }
    let Value::Object(object) = value else {
        return Err(way.error(FilterProblem::NoObject));
    };
    let mut entries = object.iter();
    let (Some((name, content)), None) = (entries.next(), entries.next()) else {
        return Err(way.error(FilterProblem::NotOneDialect(object.len())));
    };
    if !DIALECTS.contains(&name.as_str()) {
        let (name, nearest) = (name.chars().take(64).collect(), nearest(name, &DIALECTS));
        return Err(way.error(FilterProblem::Dialect { name, nearest }));
    }
    way.step(Step::Key(name), |way| {
        Ok(match name.as_str() {
            "exact" => Dialect::Exact(terms(content, way)?),
            "prefix" => Dialect::Prefix(terms(content, way)?),
            "suffix" => Dialect::Suffix(terms(content, way)?),
            "all" => Dialect::All(filters(content, way, depth)?),
            "any" => Dialect::Any(filters(content, way, depth)?),
            "not" => Dialect::Not(Box::new(read(content, way, depth + 1)?)),
            _ => Dialect::Sql(Box::new(expression(content, way)?)),
        })
    })
}

fn terms<'a>(content: &'a Value, way: &mut Way<'a>) -> Result<Box<[Term]>, FilterError> {
    let entries = content.as_object().filter(|it| !it.is_empty());
    let entries: &Map<_, _> = entries.ok_or_else(|| way.error(FilterProblem::NoTerms))?;
    let term = |(name, text): (&'a String, &Value)| {
        way.step(Step::Key(name), |way| {
            if !crate::is_attribute_name(name) {
                return Err(way.error(FilterProblem::Name));
            }
            let text = text.as_str().filter(|text| !text.is_empty());
            Ok(Term {
                attribute: Attribute::named(name),
                text: text.ok_or_else(|| way.error(FilterProblem::NoText))?.into(),
            })
        })
    };
    entries.iter().map(term).collect()
}

fn filters<'a>(
    content: &'a Value,
    way: &mut Way<'a>,
    depth: usize,
) -> Result<Box<[Dialect]>, FilterError> {
    let list = content.as_array().filter(|it| !it.is_empty());
    let list = list.ok_or_else(|| way.error(FilterProblem::NoFilters))?;
    let each = list.iter().enumerate();
    each.map(|(index, value)| way.step(Step::Index(index), |way| read(value, way, depth + 1)))
        .collect()
}

fn expression<'a>(content: &'a Value, way: &mut Way<'a>) -> Result<Expression, FilterError> {
    let text = content.as_str();
    let text = text.ok_or_else(|| way.error(FilterProblem::NoText))?;
    let expression =
        Expression::parse(text).map_err(|error| way.error(FilterProblem::Expression(error)))?;
    match expression.unknown_functions().into_iter().next() {
        Some(unknown) => Err(way.error(FilterProblem::Function(unknown))),
        None => Ok(expression),
    }
}
