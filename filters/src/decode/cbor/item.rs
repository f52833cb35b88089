use super::{CborError, CborProblem};

/// The first bytes of an item: what it is, and how long. `None` is an indefinite length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Head {
    Unsigned(u64),
    /// Stands for -1 less this.
    Negative(u64),
    Bytes(Option<u64>),
    Text(Option<u64>),
    Array(Option<u64>),
    Map(Option<u64>),
    Tag(u64),
    Bool(bool),
    /// `null`, `undefined` and every other simple value.
    Null,
    Float(f64),
    Break,
}

/// Reads items one after the other.
pub(super) struct Reader<'a> {
    all: usize,
    rest: &'a [u8],
    /// Where the item began that was read last.
    at: usize,
}

const BREAK: u8 = 0xFF;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader {
            all: bytes.len(),
            rest: bytes,
            at: 0,
        }
    }

    pub(super) fn head(&mut self) -> Result<Head, CborError> {
        self.at = self.all - self.rest.len();
        let [first] = self.take()?;
        let (major, minor) = (first >> 5, first & 0x1F);
        if major == 7 {
            return self.simple(minor);
        }
        let argument = self.argument(minor)?;
        let definite =
            |reader: &Reader<'_>| argument.ok_or_else(|| reader.error(CborProblem::Malformed));
        Ok(match major {
            0 => Head::Unsigned(definite(self)?),
            1 => Head::Negative(definite(self)?),
            2 => Head::Bytes(argument),
            3 => Head::Text(argument),
            4 => Head::Array(argument),
            5 => Head::Map(argument),
            _ => Head::Tag(definite(self)?),
        })
    }

    /// The bytes behind a head of bytes or text of this length, chunks put together.
    pub(super) fn bytes(&mut self, length: Option<u64>) -> Result<Vec<u8>, CborError> {
        self.chunks(length, |head| match head {
            Head::Bytes(length) => length,
            _ => None,
        })
    }

    /// The text behind its head.
    pub(super) fn text(&mut self, length: Option<u64>) -> Result<String, CborError> {
        let bytes = self.chunks(length, |head| match head {
            Head::Text(length) => length,
            _ => None,
        })?;
        String::from_utf8(bytes).map_err(|_| self.error(CborProblem::NotUtf8))
    }

    /// Whether an array or a map of this length goes on after so many items.
    pub(super) fn has_more(&mut self, length: Option<u64>, index: u64) -> Result<bool, CborError> {
        match length {
            Some(length) => Ok(index < length),
            None => match self.rest.split_first() {
                Some((&BREAK, rest)) => {
                    self.rest = rest;
                    Ok(false)
                }
                Some(_) => Ok(true),
                None => Err(self.error(CborProblem::Truncated)),
            },
        }
    }

    pub(super) fn finish(&self) -> Result<(), CborError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(CborError {
            at: self.all - self.rest.len(),
            problem: CborProblem::LeftOver,
        })
    }

    pub(super) fn error(&self, problem: CborProblem) -> CborError {
        CborError {
            at: self.at,
            problem,
        }
    }

    fn simple(&mut self, minor: u8) -> Result<Head, CborError> {
        Ok(match minor {
            20 => Head::Bool(false),
            21 => Head::Bool(true),
            0..=19 | 22 | 23 => Head::Null,
            24 => {
                let [value] = self.take()?;
                if value < 32 {
                    return Err(self.error(CborProblem::Malformed));
                }
                Head::Null
            }
            25 => Head::Float(half(u16::from_be_bytes(self.take()?))),
            26 => Head::Float(f32::from_be_bytes(self.take()?).into()),
            27 => Head::Float(f64::from_be_bytes(self.take()?)),
            31 => Head::Break,
            _ => return Err(self.error(CborProblem::Malformed)),
        })
    }

    fn argument(&mut self, minor: u8) -> Result<Option<u64>, CborError> {
        Ok(Some(match minor {
            0..=23 => minor.into(),
            24 => u8::from_be_bytes(self.take()?).into(),
            25 => u16::from_be_bytes(self.take()?).into(),
            26 => u32::from_be_bytes(self.take()?).into(),
            27 => u64::from_be_bytes(self.take()?),
            31 => return Ok(None),
            _ => return Err(self.error(CborProblem::Malformed)),
        }))
    }

    fn chunks(
        &mut self,
        length: Option<u64>,
        chunk_length: impl Fn(Head) -> Option<u64>,
    ) -> Result<Vec<u8>, CborError> {
        if let Some(length) = length {
            return self.slice(length).map(<[u8]>::to_vec);
        }
        let mut all = Vec::new();
        loop {
            match self.head()? {
                Head::Break => return Ok(all),
                head => {
                    let length = chunk_length(head);
                    let length = length.ok_or_else(|| self.error(CborProblem::Malformed))?;
                    all.extend_from_slice(self.slice(length)?);
                }
            }
        }
    }

    fn slice(&mut self, length: u64) -> Result<&'a [u8], CborError> {
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length));
        let (slice, rest) = taken.ok_or_else(|| self.error(CborProblem::Truncated))?;
        self.rest = rest;
        Ok(slice)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let taken = self.rest.split_first_chunk::<N>();
        let (head, rest) = taken.ok_or_else(|| self.error(CborProblem::Truncated))?;
        self.rest = rest;
        Ok(*head)
    }
}

/// The value of a float of 16 bits (RFC 8949, appendix D).
fn half(bits: u16) -> f64 {
    let mantissa = f64::from(bits & 0x3FF);
    let value = match (bits >> 10) & 0x1F {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (mantissa + 1024.0) * 2_f64.powi(i32::from(exponent) - 25),
    };
    if bits & 0x8000 == 0 { value } else { -value }
}
