use super::{
    EvaluationError, EventRef, ParseError, Value,
    error::Hint,
    function::{FUNCTION_NAMES, Function},
    nearest::nearest,
    need::Need,
    node::{Kind, Node},
    parser,
};
use crate::{
    EventView,
    index::{Access, Check},
};

/// An expression of CESQL, parsed once and evaluated often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    text: Box<str>,
    root: Node,
}

/// What an expression is worth for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation<'a> {
    /// Beside an error: the value of the function that failed if the whole expression is that function, else the zero value
    /// of the expression's type.
    pub value: Value<'a>,
    /// The first error; it ended the evaluation.
    pub error: Option<EvaluationError>,
}

/// A call that can never succeed, because there is no such function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: there is no function {name} of {arguments} arguments{}", Hint(*.nearest))]
pub struct UnknownFunction {
    /// The byte of the expression where the call begins.
    pub at: usize,
    /// As it was written.
    pub name: String,
    /// How many stand between the parentheses.
    pub arguments: usize,
    /// What was probably meant.
    pub nearest: Option<&'static str>,
}

impl Expression {
    /// Reads an expression. Keywords, functions and the names of attributes may be written in any case.
    ///
    /// # Errors
    ///
    /// The text is no expression, or beyond [`super::MAX_EXPRESSION_BYTES`], [`super::MAX_DEPTH`] or
    /// [`super::MAX_LIKE_BYTES`]. A function that does not exist is an error of evaluation only, as the specification
    /// wants it: see [`Expression::unknown_functions`].
    pub fn parse(text: &str) -> Result<Expression, ParseError> {
        let root = parser::parse(text)?;
        let text = text.into();
        Ok(Expression { text, root })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it is worth for this event. Takes time in proportion to the expression and the attributes it reads.
    pub fn evaluate<'a>(&'a self, event: impl Into<EventRef<'a>>) -> Evaluation<'a> {
        let (value, error) = self.root.evaluate(event.into());
        Evaluation { value, error }
    }

    /// Whether the event passes: the value is `TRUE` and there is no error. Any other type than Boolean does not pass.
    pub fn passes<'a>(&'a self, event: impl Into<EventRef<'a>>) -> bool {
        matches!(self.root.value(event.into()), Ok(Value::Boolean(true)))
    }

    pub(crate) fn need(&self) -> Need {
        self.root.need_boolean(true)
    }

    /// The calls that fail on every event that reaches them, in the order they stand in. Whoever takes a rule from an
    /// operator refuses it for these.
    pub fn unknown_functions(&self) -> Vec<UnknownFunction> {
        let mut unknown = Vec::new();
        self.root.walk(&mut |node| {
            if let Kind::Call(call) = &node.kind
                && call.function.is_none()
            {
                let at = node.start as usize;
                let rest = self.text.get(at..).unwrap_or_default();
                let name = rest.split(|it: char| !it.is_ascii_alphabetic() && it != '_');
                let name = name.clone().next().unwrap_or_default();
                let known = Function::is_name(name);
                unknown.push(UnknownFunction {
                    at,
                    name: super::lexer::shown(name),
                    arguments: call.arguments.len(),
                    nearest: nearest(name, &FUNCTION_NAMES).filter(|_| !known),
                });
            }
        });
        unknown
    }
}

impl Node {
    /// Calls `see` for this node and every node below it, in the order they stand in.
    pub(super) fn walk(&self, see: &mut impl FnMut(&Node)) {
        see(self);
        match &self.kind {
            Kind::Not(operand) | Kind::Negate(operand) => operand.walk(see),
            Kind::Like(like) => like.operand.walk(see),
            Kind::In(set) => {
                set.operand.walk(see);
                set.set.iter().for_each(|node| node.walk(see));
            }
            Kind::Call(call) => call.arguments.iter().for_each(|node| node.walk(see)),
            Kind::Chain(chain) => {
                chain.first.walk(see);
                chain.links.iter().for_each(|link| link.operand.walk(see));
            }
            Kind::Boolean(_)
            | Kind::Integer(_)
            | Kind::Text(_)
            | Kind::Attribute(_)
            | Kind::Exists(_) => {}
        }
    }
}

impl Check for Expression {
    fn access(&self) -> Vec<Vec<Access>> {
        self.need().into_sets()
    }

    fn passes(&self, event: &EventView<'_>) -> bool {
        self.passes(event)
    }

    fn heap_bytes(&self) -> usize {
        let mut bytes = self.text.len();
        self.root.walk(&mut |node| bytes += node.heap_bytes());
        bytes
    }
}

impl std::fmt::Display for Expression {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text)
    }
}

impl std::str::FromStr for Expression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Expression, ParseError> {
        Expression::parse(text)
    }
}
