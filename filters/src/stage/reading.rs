use serde::{Deserialize, Serialize};

/// One value of an event, as stages compare and sum it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reading {
    /// Kept exact.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Anything that is no number, in one text form: equal values have equal texts.
    Other(Box<str>),
}

impl Reading {
    /// The number nearest to it; `None` if it is no number.
    pub fn number(&self) -> Option<f64> {
        match self {
            Reading::Integer(number) => Some(*number as f64),
            Reading::Float(number) => Some(*number),
            Reading::Other(_) => None,
        }
    }

    /// Bytes it holds outside itself.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Reading::Other(text) => text.len(),
            Reading::Integer(_) | Reading::Float(_) => 0,
        }
    }
}
