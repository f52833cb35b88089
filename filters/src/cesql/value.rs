use std::borrow::Cow;

use super::Problem;

/// What an expression or a part of it is worth. Text is borrowed from the event or the expression wherever it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `TRUE` or `FALSE`.
    Boolean(bool),
    /// 32 bits, signed.
    Integer(i32),
    /// Unicode text.
    String(Cow<'a, str>),
}

/// The three types of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Zero value `FALSE`.
    Boolean,
    /// Zero value 0.
    Integer,
    /// Zero value `''`.
    String,
}

impl Type {
    /// What stands for a result where there is none.
    pub fn zero(self) -> Value<'static> {
        match self {
            Type::Boolean => Value::Boolean(false),
            Type::Integer => Value::Integer(0),
            Type::String => Value::String("".into()),
        }
    }
}

impl<'a> Value<'a> {
    /// Its type.
    pub fn value_type(&self) -> Type {
        match self {
            Value::Boolean(_) => Type::Boolean,
            Value::Integer(_) => Type::Integer,
            Value::String(_) => Type::String,
        }
    }

    /// The same value, borrowing nothing.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Boolean(value) => Value::Boolean(value),
            Value::Integer(value) => Value::Integer(value),
            Value::String(text) => Value::String(Cow::Owned(text.into_owned())),
        }
    }

    pub(crate) fn cast_boolean(&self) -> Result<bool, Problem> {
        match self {
            Value::Boolean(value) => Ok(*value),
            Value::Integer(value) => Ok(*value != 0),
            Value::String(text) => boolean_of(text).ok_or(Problem::NoBoolean),
        }
    }

    pub(crate) fn cast_integer(&self) -> Result<i32, Problem> {
        match self {
            Value::Boolean(value) => Ok(i32::from(*value)),
            Value::Integer(value) => Ok(*value),
            Value::String(text) => text.parse().map_err(|_| Problem::NoInteger),
        }
    }

    pub(crate) fn cast_string(self) -> Cow<'a, str> {
        match self {
            Value::Boolean(true) => "true".into(),
            Value::Boolean(false) => "false".into(),
            Value::Integer(value) => value.to_string().into(),
            Value::String(text) => text,
        }
    }

    pub(crate) fn cast(self, to: Type) -> Result<Value<'a>, Problem> {
        Ok(match to {
            Type::Boolean => Value::Boolean(self.cast_boolean()?),
            Type::Integer => Value::Integer(self.cast_integer()?),
            Type::String => Value::String(self.cast_string()),
        })
    }
}

fn boolean_of(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

impl std::fmt::Display for Value<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Boolean(value) => value.fmt(out),
            Value::Integer(value) => value.fmt(out),
            Value::String(text) => text.fmt(out),
        }
    }
}

impl serde::Serialize for Value<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Boolean(value) => to.serialize_bool(*value),
            Value::Integer(value) => to.serialize_i32(*value),
            Value::String(text) => to.serialize_str(text),
        }
    }
}
