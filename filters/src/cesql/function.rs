use std::borrow::Cow;

use super::{MAX_TEXT_BYTES, Problem, Type, Value};

/// A function of the language with the number of arguments it was called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Length,
    Concat,
    ConcatWs,
    Lower,
    Upper,
    Trim,
    Left,
    Right,
    Substring,
    SubstringOf,
    Abs,
    Int,
    Bool,
    String,
    IsInt,
    IsBool,
}

/// Names, for those who mistype them.
pub(super) const FUNCTION_NAMES: [&str; 15] = [
    "LENGTH",
    "CONCAT",
    "CONCAT_WS",
    "LOWER",
    "UPPER",
    "TRIM",
    "LEFT",
    "RIGHT",
    "SUBSTRING",
    "ABS",
    "INT",
    "BOOL",
    "STRING",
    "IS_INT",
    "IS_BOOL",
];

/// The three arguments that a function has at most, apart from those that take any number.
pub(super) type Arguments<'a> = [Value<'a>; 3];

/// What a function gives when it fails: it has a value even then.
pub(super) type Failed<'a> = (Value<'a>, Problem);

impl Function {
    pub(super) fn named(name: &str, arguments: usize) -> Option<Function> {
        let name = name.to_ascii_uppercase();
        Some(match (name.as_str(), arguments) {
            ("LENGTH", 1) => Function::Length,
            ("CONCAT", _) => Function::Concat,
            ("CONCAT_WS", 1..) => Function::ConcatWs,
            ("LOWER", 1) => Function::Lower,
            ("UPPER", 1) => Function::Upper,
            ("TRIM", 1) => Function::Trim,
            ("LEFT", 2) => Function::Left,
            ("RIGHT", 2) => Function::Right,
            ("SUBSTRING", 2) => Function::Substring,
            ("SUBSTRING", 3) => Function::SubstringOf,
            ("ABS", 1) => Function::Abs,
            ("INT", 1) => Function::Int,
            ("BOOL", 1) => Function::Bool,
            ("STRING", 1) => Function::String,
            ("IS_INT", 1) => Function::IsInt,
            ("IS_BOOL", 1) => Function::IsBool,
            _ => return None,
        })
    }

    /// Whether a function has this name, with whatever number of arguments.
    pub(super) fn is_name(name: &str) -> bool {
        FUNCTION_NAMES
            .iter()
            .any(|it| it.eq_ignore_ascii_case(name))
    }

    pub(super) fn returns(self) -> Type {
        match self {
            Function::Length | Function::Abs | Function::Int => Type::Integer,
            Function::Bool | Function::IsInt | Function::IsBool => Type::Boolean,
            _ => Type::String,
        }
    }

    /// What its argument is cast to before the call; `None` takes any.
    pub(super) fn takes(self, index: usize) -> Option<Type> {
        match self {
            Function::Int
            | Function::Bool
            | Function::String
            | Function::IsInt
            | Function::IsBool => None,
            Function::Abs => Some(Type::Integer),
            Function::Left | Function::Right | Function::Substring | Function::SubstringOf
                if index > 0 =>
            {
                Some(Type::Integer)
            }
            _ => Some(Type::String),
        }
    }

    pub(super) fn is_variadic(self) -> bool {
        matches!(self, Function::Concat | Function::ConcatWs)
    }

    /// Of arguments that have been cast to what it takes.
    pub(super) fn call<'a>(self, arguments: Arguments<'a>) -> Result<Value<'a>, Failed<'a>> {
        let own = |problem| (self.returns().zero(), problem);
        let [first, second, third] = arguments;
        let second = second.cast_integer().unwrap_or_default();
        let third = third.cast_integer().unwrap_or_default();
        Ok(match self {
            Function::Abs => return absolute(first.cast_integer().map_err(own)?),
            Function::Int => Value::Integer(first.cast_integer().map_err(own)?),
            Function::Bool => Value::Boolean(first.cast_boolean().map_err(own)?),
            Function::IsInt => Value::Boolean(first.cast_integer().is_ok()),
            Function::IsBool => Value::Boolean(first.cast_boolean().is_ok()),
            Function::Length => Value::Integer(length(&first.cast_string())),
            Function::Lower => bounded(first.cast_string().to_lowercase()).map_err(own)?,
            Function::Upper => bounded(first.cast_string().to_uppercase()).map_err(own)?,
            Function::Trim => cut(first.cast_string(), str::trim),
            Function::Left => return left(first.cast_string(), second),
            Function::Right => return right(first.cast_string(), second),
            Function::Substring => {
                cut_from(first.cast_string(), second, usize::MAX).map_err(own)?
            }
            Function::SubstringOf => {
                let count = usize::try_from(third).map_err(|_| own(Problem::NegativeLength))?;
                cut_from(first.cast_string(), second, count).map_err(own)?
            }
            Function::String | Function::Concat | Function::ConcatWs => {
                Value::String(first.cast_string())
            }
        })
    }
}

/// Puts texts behind one another until they are too long.
#[derive(Default)]
pub(super) struct Concatenation(String);

impl Concatenation {
    pub(super) fn push(&mut self, text: &str) -> Result<(), Problem> {
        if self.0.len().saturating_add(text.len()) > MAX_TEXT_BYTES {
            return Err(Problem::TextTooLong);
        }
        self.0.push_str(text);
        Ok(())
    }

    pub(super) fn finish(self) -> Value<'static> {
        Value::String(self.0.into())
    }
}

fn bounded(text: String) -> Result<Value<'static>, Problem> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Problem::TextTooLong);
    }
    Ok(Value::String(text.into()))
}

fn length(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX)
}

fn absolute<'a>(value: i32) -> Result<Value<'a>, Failed<'a>> {
    value
        .checked_abs()
        .map(Value::Integer)
        .ok_or((Value::Integer(i32::MAX), Problem::Overflow))
}

fn left(text: Cow<'_, str>, count: i32) -> Result<Value<'_>, Failed<'_>> {
    let Ok(count) = usize::try_from(count) else {
        return Err((Value::String(text), Problem::NegativeLength));
    };
    Ok(cut(text, |text| match text.char_indices().nth(count) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }))
}

fn right(text: Cow<'_, str>, count: i32) -> Result<Value<'_>, Failed<'_>> {
    let Ok(count) = usize::try_from(count) else {
        return Err((Value::String(text), Problem::NegativeLength));
    };
    Ok(cut(text, |text| match count.checked_sub(1) {
        None => "",
        Some(last) => match text.char_indices().nth_back(last) {
            Some((start, _)) => text.get(start..).unwrap_or_default(),
            None => text,
        },
    }))
}

/// From a position that counts from 1, or from the end if it is negative; nothing from 0.
fn cut_from(text: Cow<'_, str>, position: i32, count: usize) -> Result<Value<'_>, Problem> {
    let length = length(&text);
    let skipped = match position {
        0 => return Ok(Value::String("".into())),
        1.. if position <= length => position - 1,
        ..=-1 if position >= -length => length + position,
        _ => return Err(Problem::OutsideText),
    };
    let skipped = usize::try_from(skipped).unwrap_or_default();
    Ok(cut(text, |text| {
        let mut starts = text.char_indices().map(|(start, _)| start).skip(skipped);
        let start = starts.next().unwrap_or(text.len());
        let end = match count.checked_sub(1) {
            None => start,
            Some(more) => starts.nth(more).unwrap_or(text.len()),
        };
        text.get(start..end).unwrap_or_default()
    }))
}

/// A part of a text, borrowed where the text is.
fn cut(text: Cow<'_, str>, part: impl Fn(&str) -> &str) -> Value<'_> {
    Value::String(match text {
        Cow::Borrowed(text) => Cow::Borrowed(part(text)),
        Cow::Owned(text) => Cow::Owned(part(&text).to_owned()),
    })
}
