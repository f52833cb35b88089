//! CESQL 1.0, the expressions of CloudEvents over an event's attributes.
//!
//! ```
//! use filters::{Event, cesql::Expression};
//!
//! let expression = Expression::parse("type LIKE 'com.example.%' AND sequence > 9")?;
//! let event = Event::builder("1", "/pump/7", "com.example.reading").extension("sequence", "010").build()?;
//! assert!(expression.passes(&event));
//!
//! // Every reading of an attribute that is absent is an error, and an expression with an error never passes.
//! let expression = Expression::parse("unit = 'bar' OR sequence > 9")?;
//! let evaluation = expression.evaluate(&event);
//! assert_eq!(evaluation.error.map(|error| error.class().as_str()), Some("missingAttribute"));
//! assert!(!expression.passes(&event));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An expression fails fast: the first error ends its evaluation.
//!
//! Where the specification leaves room, or its grammar file says something else than its text:
//!
//! - AND, OR and XOR have one precedence and are applied from left to right; the right side of AND and OR is read only if
//!   the left side does not decide. NOT and `-` bind tighter than everything but a function call:
//!   `NOT a = b` is `(NOT a) = b`.
//! - Keywords, functions and attribute names may be written in any case. `EXISTS` takes a name of digits too.
//! - A sign belongs to the digits right behind it where a value is expected, and is an operator elsewhere: `4-1` is 3.
//! - A backslash makes the quote a part of the text. Before any other character it stands for itself, except that `LIKE`
//!   reads `\%` and `\_` literally. `'it''s'` is refused.
//! - `IN` looks at its set from left to right; the first equal value ends the search, and so does the first error.
//! - Operands are evaluated from left to right, then cast from left to right. The arguments of a function are evaluated
//!   and cast one by one. A function that does not exist fails before its arguments.
//! - Attributes of the types Integer and Boolean keep their type, all others are text; a time is what its sender wrote.
//! - `IS_INT` and `IS_BOOL` say whether `INT` and `BOOL` would succeed.

mod access;
pub(crate) mod attribute;
mod error;
mod evaluate;
mod expression;
mod function;
mod lexer;
mod like;
pub(crate) mod nearest;
pub(crate) mod need;
mod node;
mod parser;
mod value;

pub use attribute::EventRef;
pub use error::{ErrorClass, EvaluationError, ParseError, ParseProblem, Problem};
pub use expression::{Evaluation, Expression, UnknownFunction};
pub use value::{Type, Value};

/// Bytes of an expression.
pub const MAX_EXPRESSION_BYTES: usize = 65_536;
/// Parentheses, calls and operators that stand on one another. A chain of operators, however long, counts once.
pub const MAX_DEPTH: usize = 64;
/// Bytes of the text behind `LIKE`.
pub const MAX_LIKE_BYTES: usize = 1024;
/// Bytes of a text that a function makes.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;
