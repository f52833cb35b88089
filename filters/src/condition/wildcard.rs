use std::fmt;

use memchr::memmem;

/// The shape of a text: literal runs with any characters, or none, between them.
///
/// ```
/// use filters::Wildcard;
/// let shape = Wildcard::parse("pump-*/temperature")?;
/// assert!(shape.matches("pump-7/temperature") && !shape.matches("pump-7/pressure"));
/// # Ok::<(), filters::WildcardError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wildcard {
    /// What stands before, between and behind the `*`: one run more than there are of these. Only the first and the last may
    /// be empty.
    runs: Box<[Box<str>]>,
}

/// Why a text is no wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WildcardError {
    /// `**`
    #[error("`**` says no more than `*`: write one, or `\\*` for the character")]
    TwoStars,
    /// `\` before a character that needs none, or at the end.
    #[error(
        "a backslash stands before `*` or another backslash only (in JSON: `\\\\*`, `\\\\\\\\`)"
    )]
    Escape,
}

impl Wildcard {
    /// Reads a text in which `*` is any run of characters, `\*` a star and `\\` a backslash.
    pub fn parse(text: &str) -> Result<Wildcard, WildcardError> {
        let mut runs = Vec::new();
        let mut run = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '*' if run.is_empty() && !runs.is_empty() => return Err(WildcardError::TwoStars),
                '*' => runs.push(std::mem::take(&mut run).into()),
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '\\')) => run.push(escaped),
                    _ => return Err(WildcardError::Escape),
                },
                other => run.push(other),
            }
        }
        runs.push(run.into());
        Ok(Wildcard { runs: runs.into() })
    }

    /// Whether `text` has this shape. Costs in proportion to the text and the runs, however many stars there are.
    pub fn matches(&self, text: &str) -> bool {
        self.matches_bytes(text.as_bytes())
    }

    pub(crate) fn matches_bytes(&self, text: &[u8]) -> bool {
        let [first, rest @ ..] = &*self.runs else {
            return false;
        };
        let [between @ .., last] = rest else {
            return first.as_bytes() == text;
        };
        let Some(text) = text.strip_prefix(first.as_bytes()) else {
            return false;
        };
        let Some(mut text) = text.strip_suffix(last.as_bytes()) else {
            return false;
        };
        // The leftmost place for each run leaves the most room for those behind it.
        for run in between {
            let Some(at) = memmem::find(text, run.as_bytes()) else {
                return false;
            };
            text = text.get(at + run.len()..).unwrap_or_default();
        }
        true
    }

    /// The literal text, where there is no star.
    pub fn literal(&self) -> Option<&str> {
        match &*self.runs {
            [run] => Some(run),
            _ => None,
        }
    }

    /// Bytes of the longest run.
    pub(crate) fn longest_run(&self) -> usize {
        self.runs
            .iter()
            .map(|it| it.len())
            .max()
            .unwrap_or_default()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let runs = self.runs.iter().map(|it| it.len() + size_of::<Box<str>>());
        runs.sum()
    }

    /// The literal runs: before the first star, between stars, behind the last one.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator {
        self.runs.iter().map(|it| &**it)
    }
}

/// As [`Wildcard::parse`] reads it.
impl fmt::Display for Wildcard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.runs.iter().enumerate() {
            if index > 0 {
                out.write_str("*")?;
            }
            for character in run.chars() {
                if matches!(character, '*' | '\\') {
                    out.write_str("\\")?;
                }
                write!(out, "{character}")?;
            }
        }
        Ok(())
    }
}
