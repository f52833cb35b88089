use super::{
    MAX_RESULT_BYTES, MAX_TEMPLATE_BYTES, ModuleError, ModuleFailure, PathError, TooManyDigits,
};
use crate::{EventError, TopicError, UnitError};

/// Why a step made nothing of an event. The event stays as it was; the caller counts it by [`TransformError::class`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// There is no data, or it is no JSON that can be read.
    #[error("the data is no JSON")]
    NotJson,
    /// A value that is needed is absent or null.
    #[error("{0} has no value")]
    Missing(String),
    /// Something else stands where a number is needed.
    #[error("{0} is no number")]
    NotNumber(String),
    /// More digits than are computed exactly.
    #[error("{0}: {1}")]
    Digits(String, TooManyDigits),
    /// The way to a field leads through something that has no fields.
    #[error("there is no place for the field: what is on the way is no object")]
    NoPlace,
    /// No row of the table has this key.
    #[error("the table has no row `{0}`")]
    NoRow(String),
    /// A JSON template made something else.
    #[error("the result is no JSON")]
    ResultNotJson,
    /// More than [`MAX_RESULT_BYTES`].
    #[error("the result has more than {MAX_RESULT_BYTES} bytes")]
    TooLong,
    /// An attribute would have a value that it may not have.
    #[error(transparent)]
    Attribute(EventError),
    /// The result is no topic to publish on.
    #[error("no topic: {0}")]
    Topic(TopicError),
    /// Topics that begin with `$` belong to brokers.
    #[error("no topic: it begins with `$`")]
    DollarTopic,
    /// A module of WebAssembly made no event.
    #[error("the module {0}")]
    Module(ModuleFailure),
}

impl TransformError {
    /// One word for counters.
    pub fn class(&self) -> &'static str {
        match self {
            TransformError::NotJson => "data",
            TransformError::Missing(_) => "missing",
            TransformError::NotNumber(_) | TransformError::Digits(..) => "number",
            TransformError::NoPlace => "place",
            TransformError::NoRow(_) => "lookup",
            TransformError::ResultNotJson | TransformError::TooLong => "result",
            TransformError::Attribute(_) => "attribute",
            TransformError::Topic(_) | TransformError::DollarTopic => "topic",
            TransformError::Module(_) => "module",
        }
    }
}

/// Why a step can never work. Whoever wrote it has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepProblem {
    /// No path.
    #[error(transparent)]
    Path(PathError),
    /// A path to something else than a field.
    #[error(
        "`{0}` is no field of the data; write it as `$.data.name`, without places in lists at its end"
    )]
    NoField(String),
    /// A list without entries, or both of two that exclude each other.
    #[error("expected either `keep` or `drop`, with at least one field")]
    KeepOrDrop,
    /// More than [`MAX_TEMPLATE_BYTES`].
    #[error("a template has at most {MAX_TEMPLATE_BYTES} bytes")]
    TemplateTooLong,
    /// No variable of this name.
    #[error("there is no variable `{name}`{}", meant(.nearest))]
    Variable {
        /// As it was written.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// No unit, or two that measure different things.
    #[error(transparent)]
    Unit(UnitError),
    /// No table of this name.
    #[error("there is no table `{name}`{}", meant(.nearest))]
    Table {
        /// As it was written.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// `missing` beside `default`.
    #[error("`default` says what is done where nothing is found; leave `missing` out")]
    MissingAndDefault,
    /// `id`, `source` or `specversion`.
    #[error("`{0}` cannot be set: it says which event this is")]
    Protected(String),
    /// No attribute, or a value that it may not have.
    #[error(transparent)]
    Attribute(EventError),
    /// No topic to publish on, whatever the event.
    #[error("no topic: {0}")]
    Topic(TopicError),
    /// Topics that begin with `$` belong to brokers.
    #[error("no topic: it begins with `$`")]
    DollarTopic,
    /// A module that no step can use.
    #[error(transparent)]
    Module(ModuleError),
}

fn meant(nearest: &Option<String>) -> String {
    let word = nearest.as_ref();
    word.map_or(String::new(), |word| format!("; did you mean `{word}`?"))
}
