//! What is asked of one value: the words that patterns and rule dialects share.

mod fold;
mod network;
mod range;
mod wildcard;

use std::fmt;

pub use fold::fold_case;
pub(crate) use fold::fold_into;
pub use network::{Network, NetworkError};
pub use range::NumberRange;
pub(crate) use range::{higher, lower};
pub use wildcard::{Wildcard, WildcardError};

use crate::Number;

/// Where a value stands in an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// An attribute, by its name.
    Attribute(Box<str>),
    /// A field of `data`: the keys that lead to it from the root; none for `data` itself.
    Data(Vec<Box<str>>),
}

/// A question to the leaves at one path: texts, numbers, booleans and nulls; the elements of arrays, however deep, count as
/// leaves of the path of the array. It holds when one leaf answers it, [`Condition::Missing`] when there is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The same type and value; numbers by exact decimal value.
    Equals(Scalar),
    /// The same text after Unicode simple case folding; see [`fold_case`].
    EqualsIgnoreCase(Box<str>),
    /// Text that begins so.
    Prefix(Box<str>),
    /// Text that begins so after case folding.
    PrefixIgnoreCase(Box<str>),
    /// Text that ends so.
    Suffix(Box<str>),
    /// Text that ends so after case folding.
    SuffixIgnoreCase(Box<str>),
    /// Text of this shape.
    Wildcard(Wildcard),
    /// A number within bounds.
    Number(NumberRange),
    /// Text that is an integer, written with an optional sign and any leading zeros, or a number that is one, between these
    /// two, which belong to it.
    Integer(i64, i64),
    /// Text that is an address of this network.
    Network(Network),
    /// Any leaf, null too.
    Exists,
    /// No leaf.
    Missing,
    /// A leaf of which none of these holds.
    AnythingBut(Vec<Condition>),
}

/// A JSON value that has no parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// `null`
    Null,
    /// `true`, `false`
    Boolean(bool),
    /// Any number.
    Number(Number),
    /// Any text.
    Text(Box<str>),
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Attribute(name) => out.write_str(name),
            Path::Data(keys) => {
                out.write_str("data")?;
                keys.iter().try_for_each(|key| write!(out, ".{key}"))
            }
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Null => out.write_str("null"),
            Scalar::Boolean(value) => write!(out, "{value}"),
            Scalar::Number(number) => write!(out, "{number}"),
            Scalar::Text(text) => write!(out, "{}", Quoted(text)),
        }
    }
}

/// In the words of the pattern language.
impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Equals(value) => write!(out, "{value}"),
            Condition::EqualsIgnoreCase(text) => {
                write!(out, "equals-ignore-case {}", Quoted(text))
            }
            Condition::Prefix(text) => write!(out, "prefix {}", Quoted(text)),
            Condition::PrefixIgnoreCase(text) => {
                write!(out, "prefix equals-ignore-case {}", Quoted(text))
            }
            Condition::Suffix(text) => write!(out, "suffix {}", Quoted(text)),
            Condition::SuffixIgnoreCase(text) => {
                write!(out, "suffix equals-ignore-case {}", Quoted(text))
            }
            Condition::Wildcard(shape) => write!(out, "wildcard {}", Quoted(&shape.to_string())),
            Condition::Number(range) => write!(out, "numeric {range}"),
            Condition::Integer(low, high) => write!(out, "integer from {low} to {high}"),
            Condition::Network(network) => write!(out, "cidr {network}"),
            Condition::Exists => out.write_str("exists true"),
            Condition::Missing => out.write_str("exists false"),
            Condition::AnythingBut(list) => {
                out.write_str("anything-but ")?;
                for (index, condition) in list.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(out, "{comma}{condition}")?;
                }
                Ok(())
            }
        }
    }
}

/// As JSON writes it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self.0).map_err(|_| fmt::Error)?;
        out.write_str(&text)
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Scalar {
        Scalar::Text(text.into())
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Scalar {
        Scalar::Number(Number::from(value))
    }
}
