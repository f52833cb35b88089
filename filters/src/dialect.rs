//! The filter dialects of CloudEvents Subscriptions: `exact`, `prefix`, `suffix`, `all`, `any`, `not` and `sql`.
//!
//! ```
//! use filters::{Event, SubscriptionFilter};
//!
//! let filter: SubscriptionFilter = serde_json::from_str(
//!     r#"{"all": [{"prefix": {"type": "com.example."}}, {"not": {"exact": {"subject": "test"}}}]}"#,
//! )?;
//! let event = Event::builder("1", "/pump/7", "com.example.reading").build()?;
//! assert!(filter.passes(&event));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - The named attributes must all be there and fit, by the canonical text that protocols without types carry: an integer
//!   10 is `"10"`. Letter case counts.
//! - A filter has one dialect; `all` and `any` at least one filter, the others at least one attribute; no text is empty.
//! - `sql` is false where its expression is not `TRUE`, and where it fails; so `not` of one that fails is true, as the
//!   specification says.

mod parse;

use std::fmt;

use crate::{
    Condition, EventView, Scalar,
    cesql::{EventRef, Expression, attribute::Attribute, need::Need},
    index::{Access, Check},
};

pub use parse::{FilterError, FilterProblem};

/// Filters in one another.
pub const MAX_FILTER_DEPTH: usize = 32;

/// A filter in one of the dialects. Read from JSON, or from anything that serde reads: `{"exact": {"type": "reading"}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionFilter(Dialect);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Dialect {
    Exact(Box<[Term]>),
    Prefix(Box<[Term]>),
    Suffix(Box<[Term]>),
    All(Box<[Dialect]>),
    Any(Box<[Dialect]>),
    Not(Box<Dialect>),
    Sql(Box<Expression>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    attribute: Attribute,
    text: Box<str>,
}

impl SubscriptionFilter {
    /// Whether the event passes.
    pub fn passes<'a>(&'a self, event: impl Into<EventRef<'a>>) -> bool {
        self.0.passes(event.into())
    }
}

/// In the words of the dialects: `all (prefix type "com.example."; not (exact subject "test"))`.
impl fmt::Display for SubscriptionFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(all: &[T]) -> String {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            all.join("; ")
        }
        match self {
            Dialect::Exact(terms) => write!(out, "exact {}", list(terms)),
            Dialect::Prefix(terms) => write!(out, "prefix {}", list(terms)),
            Dialect::Suffix(terms) => write!(out, "suffix {}", list(terms)),
            Dialect::All(filters) => write!(out, "all ({})", list(filters)),
            Dialect::Any(filters) => write!(out, "any ({})", list(filters)),
            Dialect::Not(filter) => write!(out, "not ({filter})"),
            Dialect::Sql(expression) => write!(out, "sql ({})", expression.as_str()),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Scalar::Text(self.text.clone());
        write!(out, "{} {text}", self.attribute.name())
    }
}

impl Dialect {
    fn passes(&self, event: EventRef<'_>) -> bool {
        let fits = |terms: &[Term], fits: fn(&str, &str) -> bool| {
            terms.iter().all(|term| {
                let value = term.attribute.value(event);
                value.is_some_and(|value| fits(&value.cast_string(), &term.text))
            })
        };
        match self {
            Dialect::Exact(terms) => fits(terms, |value, text| value == text),
            Dialect::Prefix(terms) => fits(terms, |value, text| value.starts_with(text)),
            Dialect::Suffix(terms) => fits(terms, |value, text| value.ends_with(text)),
            Dialect::All(filters) => filters.iter().all(|filter| filter.passes(event)),
            Dialect::Any(filters) => filters.iter().any(|filter| filter.passes(event)),
            Dialect::Not(filter) => !filter.passes(event),
            Dialect::Sql(expression) => expression.passes(event),
        }
    }

    fn need(&self, wanted: bool) -> Need {
        let terms = |terms: &[Term], condition: fn(Box<str>) -> Condition| {
            if !wanted {
                return Need::anything();
            }
            let each = terms
                .iter()
                .map(|term| Need::one_of(&term.attribute, [condition(term.text.clone())]));
            each.fold(Need::anything(), Need::and)
        };
        match self {
            Dialect::Exact(list) => terms(list, |text| Condition::Equals(Scalar::Text(text))),
            Dialect::Prefix(list) => terms(list, Condition::Prefix),
            Dialect::Suffix(list) => terms(list, Condition::Suffix),
            Dialect::Not(filter) => filter.need(!wanted),
            Dialect::Sql(expression) if wanted => expression.need(),
            Dialect::Sql(_) => Need::anything(),
            Dialect::All(filters) | Dialect::Any(filters) => {
                let needs = filters.iter().map(|filter| filter.need(wanted));
                if matches!(self, Dialect::All(_)) == wanted {
                    needs.fold(Need::anything(), Need::and)
                } else {
                    needs.fold(Need::Never, Need::or)
                }
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Dialect::Exact(terms) | Dialect::Prefix(terms) | Dialect::Suffix(terms) => {
                let texts = terms.iter();
                let texts = texts.map(|term| term.text.len() + term.attribute.heap_bytes());
                size_of_val(&**terms) + texts.sum::<usize>()
            }
            Dialect::All(filters) | Dialect::Any(filters) => {
                size_of_val(&**filters) + filters.iter().map(Dialect::heap_bytes).sum::<usize>()
            }
            Dialect::Not(filter) => size_of::<Dialect>() + filter.heap_bytes(),
            Dialect::Sql(expression) => size_of::<Expression>() + expression.heap_bytes(),
        }
    }
}

impl Check for SubscriptionFilter {
    fn access(&self) -> Vec<Vec<Access>> {
        self.0.need(true).into_sets()
    }

    fn passes(&self, event: &EventView<'_>) -> bool {
        self.passes(event)
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

#[cfg(test)]
mod tests;
