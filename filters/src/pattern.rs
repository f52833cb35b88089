//! The pattern language of EventBridge and EventMesh, over CloudEvents attributes and `data`.

mod error;
mod fields;
mod parse;
mod reader;

pub use error::{PatternError, PatternProblem};

pub(crate) use fields::{Asked, Fields};

use crate::Condition;
use fields::Node;

/// Bytes of the text of one pattern.
pub const MAX_PATTERN_BYTES: usize = 1 << 20;
/// Objects inside each other, lists of conditions aside.
pub const MAX_PATTERN_DEPTH: usize = 64;
/// Combinations of the branches of all `$or` of one pattern.
pub const MAX_BRANCHES: usize = 1_000;

/// What a rule asks of an event: `{"type": ["reading"], "data": {"temperature": [{"numeric": [">", 60]}]}}`.
///
/// Each field names what it takes in a list, of which one must hold (OR); all fields must hold (AND); `$or` holds a list of
/// objects of which one must hold, together with the fields beside it.
///
/// | condition | holds of |
/// |---|---|
/// | `"text"`, `5`, `true`, `null` | the same type and value; numbers by exact decimal value |
/// | `{"prefix": "a"}`, `{"suffix": "a"}` | text; `{"prefix": {"equals-ignore-case": "a"}}` |
/// | `{"equals-ignore-case": "a"}` | text, by Unicode simple case folding |
/// | `{"wildcard": "a*b"}` | text; `*` is any run of characters, `\*` a star, `\\` a backslash |
/// | `{"numeric": [">", 0, "<=", 5]}` | numbers; `=` `!=` `<` `<=` `>` `>=`, all of which must hold |
/// | `{"cidr": "10.0.0.0/8"}` | text that is an address |
/// | `{"exists": true}`, `{"exists": false}` | any leaf, no leaf: objects and `[]` are none, null is one |
/// | `{"anything-but": …}` | a leaf of which none holds: a scalar, a list of them, or `prefix`, `suffix`, `wildcard`, `equals-ignore-case` with a text or a list |
///
/// Arrays are flattened, and one element that holds is enough; what stands in objects of one array must hold in the same one
/// of them, throughout the pattern. The last of duplicate keys in an event counts. A key is a key, whatever dots it has.
///
/// ```
/// use filters::Pattern;
/// let error = Pattern::parse(r#"{"type": [{"prefx": "reading."}]}"#).unwrap_err();
/// assert_eq!(error.to_string(), "line 1, column 12: `prefx` is no condition; did you mean `prefix`?");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    /// In the order of its text; see [`Fields`].
    nodes: Vec<Node>,
    /// Of all fields, one after the other.
    keys: String,
    /// Of all fields, one after the other.
    conditions: Vec<Condition>,
}

impl Pattern {
    /// Reads a pattern; an error says where it stands and what would be right.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        parse::pattern(text).map_err(|it| *it)
    }
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        Pattern::parse(text)
    }
}

#[cfg(test)]
mod tests;
