use std::fmt;

/// The classes of errors that the specification names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The text is no expression.
    Parse,
    /// Overflow, or division by zero.
    Math,
    /// A value cannot be of the type it is needed in.
    Cast,
    /// There is no such function, or not with so many arguments.
    MissingFunction,
    /// The event has no such attribute.
    MissingAttribute,
    /// A function cannot work with these arguments.
    FunctionEvaluation,
    /// Anything else: a bound was reached.
    Generic,
}

impl ErrorClass {
    /// The name that the specification's conformance kit uses.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorClass::Parse => "parse",
            ErrorClass::Math => "math",
            ErrorClass::Cast => "cast",
            ErrorClass::MissingFunction => "missingFunction",
            ErrorClass::MissingAttribute => "missingAttribute",
            ErrorClass::FunctionEvaluation => "functionEvaluation",
            ErrorClass::Generic => "generic",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Why an evaluation has no true result, and where in the expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {start}: {problem}")]
pub struct EvaluationError {
    /// What went wrong.
    pub problem: Problem,
    /// The byte of the expression where the part that failed begins.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
}

impl EvaluationError {
    /// The class that the specification gives it.
    pub fn class(&self) -> ErrorClass {
        self.problem.class()
    }

    /// The part that failed, in the text of its expression.
    pub fn part<'a>(&self, expression: &'a str) -> &'a str {
        let range = self.start as usize..self.end as usize;
        expression.get(range).unwrap_or_default()
    }
}

/// What may go wrong when an expression meets an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The attribute is absent.
    #[error("the event has no such attribute")]
    MissingAttribute,
    /// No function of that name takes that many arguments.
    #[error("there is no such function with this number of arguments")]
    MissingFunction,
    /// Neither `true` nor `false`.
    #[error("the text is neither `true` nor `false`")]
    NoBoolean,
    /// Not an integer of 32 bits.
    #[error("the text is no integer between -2147483648 and 2147483647")]
    NoInteger,
    /// The result needs more than 32 bits.
    #[error("the result is no integer between -2147483648 and 2147483647")]
    Overflow,
    /// By `/` or `%`.
    #[error("division by zero")]
    DivisionByZero,
    /// `LEFT`, `RIGHT` or `SUBSTRING`.
    #[error("the length is negative")]
    NegativeLength,
    /// `SUBSTRING`.
    #[error("the position lies outside the text")]
    OutsideText,
    /// More than [`super::MAX_TEXT_BYTES`].
    #[error("the text would have more than {} bytes", super::MAX_TEXT_BYTES)]
    TextTooLong,
}

impl Problem {
    /// The class that the specification gives it.
    pub fn class(self) -> ErrorClass {
        match self {
            Problem::MissingAttribute => ErrorClass::MissingAttribute,
            Problem::MissingFunction => ErrorClass::MissingFunction,
            Problem::NoBoolean | Problem::NoInteger => ErrorClass::Cast,
            Problem::Overflow | Problem::DivisionByZero => ErrorClass::Math,
            Problem::NegativeLength | Problem::OutsideText => ErrorClass::FunctionEvaluation,
            Problem::TextTooLong => ErrorClass::Generic,
        }
    }
}

/// Why a text is no expression. Whoever wrote it has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}{}", Hint(*.nearest))]
pub struct ParseError {
    /// The byte of the text where the problem begins.
    pub at: usize,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: ParseProblem,
    /// What was probably meant.
    pub nearest: Option<&'static str>,
}

impl ParseError {
    pub(super) fn new(text: &str, at: usize, problem: ParseProblem) -> ParseError {
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or(before);
        ParseError {
            at,
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            problem,
            nearest: None,
        }
    }

    pub(super) fn nearest(mut self, word: Option<&'static str>) -> ParseError {
        self.nearest = word;
        self
    }
}

pub(super) struct Hint(pub(super) Option<&'static str>);

impl fmt::Display for Hint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .map_or(Ok(()), |word| write!(out, "; did you mean `{word}`?"))
    }
}

/// What is wrong with a text that is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseProblem {
    /// Longer than [`super::MAX_EXPRESSION_BYTES`].
    #[error("an expression has at most {} bytes", super::MAX_EXPRESSION_BYTES)]
    TooLong,
    /// Deeper than [`super::MAX_DEPTH`].
    #[error("an expression is nested at most {} deep", super::MAX_DEPTH)]
    TooDeep,
    /// A sign that has no meaning outside quotes.
    #[error("`{0}` has no meaning here")]
    Sign(String),
    /// The closing quote is absent.
    #[error("the text that begins here has no closing {0}")]
    Unterminated(char),
    /// Two texts side by side, as in `'it''s'`.
    #[error("two texts stand side by side; a quote inside a text is written {0}")]
    DoubledQuote(&'static str),
    /// Something else stands where only this can.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What can stand there.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// More than 32 bits.
    #[error("`{0}` is no integer between -2147483648 and 2147483647")]
    Integer(String),
    /// A word that cannot name an attribute.
    #[error("`{0}` is no attribute name; use 1 to {max} of a-z and 0-9", max = crate::MAX_ATTRIBUTE_NAME_BYTES)]
    Name(String),
    /// Longer than [`super::MAX_LIKE_BYTES`].
    #[error("the text after LIKE has at most {} bytes", super::MAX_LIKE_BYTES)]
    LikeTooLong,
}
