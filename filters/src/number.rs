use std::cmp::Ordering;

/// A decimal number by its exact value: `30`, `30.0` and `3e1` are one number, 2^53 and 2^53 + 1 are two.
///
/// Nothing is computed from an exponent, so `1e999999999` costs what its text costs. Exponents beyond ± 10^18 are held
/// at a bound; [`Number::is_exact`] tells.
///
/// ```
/// use filters::Number;
/// let number = |text| Number::parse(text).expect("JSON's grammar of numbers");
/// assert_eq!(number("30"), number("3e1"));
/// assert!(number("9007199254740992") < number("9007199254740993"));
/// assert!(number("-1e999999999") < number("0.1"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Number {
    /// −1, 0 or 1. Zero has neither digits nor exponent.
    sign: i8,
    /// The value is 0.d₁d₂d₃… × 10^exponent, where d₁ is not 0.
    exponent: i64,
    /// d₁ to d₁₉, filled up with zeros.
    head: u64,
    /// d₂₀ and on as bytes `0` to `9`, without the zeros at the end; empty in nearly every number there is.
    tail: Box<[u8]>,
}

const HEAD_DIGITS: u32 = 19;
/// Exponents beyond it are held here; half of what fits, so that moving the point never overflows.
const MAX_EXPONENT: i64 = 1_000_000_000_000_000_000;

impl Number {
    /// Reads a number by JSON's grammar: no `+`, no leading zeros, digits on both sides of a point.
    pub fn parse(text: &str) -> Option<Number> {
        Number::parse_bytes(text.as_bytes())
    }

    pub(crate) fn parse_bytes(text: &[u8]) -> Option<Number> {
        Number::of_few_digits(text).or_else(|| Number::of_any(text))
    }

    /// What nearly all numbers are: short and without an exponent.
    fn of_few_digits(text: &[u8]) -> Option<Number> {
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let is_grammar = matches!(digits, [b'0'] | [b'0', b'.', ..] | [b'1'..=b'9', ..]);
        if !is_grammar || digits.len() >= HEAD_DIGITS as usize {
            return None;
        }
        let mut value = 0_u64;
        let mut point = None;
        for (at, byte) in digits.iter().enumerate() {
            match byte {
                b'0'..=b'9' => value = value * 10 + u64::from(byte - b'0'),
                b'.' if point.is_none() => point = Some(at),
                _ => return None,
            }
        }
        let fraction = match point {
            None => 0,
            Some(point) if point + 1 < digits.len() => digits.len() - point - 1,
            Some(_) => return None,
        };
        let mut number = Number::of_size(value, negative);
        if value > 0 {
            number.exponent -= i64::try_from(fraction).ok()?;
        }
        Some(number)
    }

    fn of_any(text: &[u8]) -> Option<Number> {
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (whole, rest) = digits(rest);
        if whole.is_empty() || whole.len() > 1 && whole.first() == Some(&b'0') {
            return None;
        }
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => digits(rest),
            rest => (rest.get(..0)?, rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _ => return None,
        };
        if fraction.is_empty() && text.contains(&b'.') {
            return None;
        }
        Some(Number::of_digits(negative, whole, fraction, exponent))
    }

    /// Whether the value is exactly what was read: false only where an exponent was beyond ± 10^18. Such a number is
    /// still larger (or closer to 0) than every exact one.
    pub fn is_exact(&self) -> bool {
        self.exponent.abs() < MAX_EXPONENT / 2
    }

    /// The number as an integer, where it is one of 64 bits.
    pub(crate) fn integer(&self) -> Option<i64> {
        if self.sign == 0 {
            return Some(0);
        }
        let behind = HEAD_DIGITS.checked_sub(u32::try_from(self.exponent).ok()?)?;
        let unit = 10_u64.checked_pow(behind)?;
        if !self.head.is_multiple_of(unit) || !self.tail.is_empty() {
            return None;
        }
        let size = i128::from(self.head / unit);
        i64::try_from(size * i128::from(self.sign)).ok()
    }

    /// An integer of at most 19 digits, by its size.
    fn of_size(size: u64, negative: bool) -> Number {
        let digits = size.checked_ilog10().map_or(0, |it| it + 1);
        let sign = match (size, negative) {
            (0, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        Number {
            sign,
            exponent: digits.into(),
            head: size * power_of_ten(HEAD_DIGITS - digits),
            tail: Box::default(),
        }
    }

    fn of_digits(negative: bool, whole: &[u8], fraction: &[u8], exponent: i64) -> Number {
        let length = |digits: &[u8]| i64::try_from(digits.len()).unwrap_or(MAX_EXPONENT / 4);
        let mut leading_zeros = 0;
        let mut head = 0_u64;
        let mut head_digits = 0;
        let mut tail = Vec::new();
        for digit in whole.iter().chain(fraction) {
            if head_digits == 0 && *digit == b'0' {
                leading_zeros += 1;
            } else if head_digits < HEAD_DIGITS {
                head = head * 10 + u64::from(digit - b'0');
                head_digits += 1;
            } else {
                tail.push(*digit);
            }
        }
        if head_digits == 0 {
            return Number::from(0);
        }
        while tail.last() == Some(&b'0') {
            tail.pop();
        }
        Number {
            sign: if negative { -1 } else { 1 },
            exponent: exponent + length(whole) - leading_zeros,
            head: head * power_of_ten(HEAD_DIGITS - head_digits),
            tail: tail.into(),
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Number {
        Number::of_size(value.unsigned_abs(), value < 0)
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        let size = |it: &Number| (it.exponent, it.head);
        self.sign.cmp(&other.sign).then_with(|| {
            let by_size = size(self)
                .cmp(&size(other))
                .then_with(|| self.tail.cmp(&other.tail));
            if self.sign < 0 {
                by_size.reverse()
            } else {
                by_size
            }
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Its digits with the point where it stands among them, else in scientific form; reads back as the same number.
impl std::fmt::Display for Number {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.sign == 0 {
            return out.write_str("0");
        }
        let mut digits = format!("{:019}", self.head);
        digits.extend(self.tail.iter().map(|it| char::from(*it)));
        let digits = digits.trim_end_matches('0');
        if self.sign < 0 {
            out.write_str("-")?;
        }
        let length = i64::try_from(digits.len()).unwrap_or(MAX_EXPONENT);
        match usize::try_from(self.exponent) {
            Ok(whole) if whole > 0 && self.exponent < length => {
                let (before, after) = digits.split_at(whole);
                write!(out, "{before}.{after}")
            }
            Ok(whole) if whole > 0 && self.exponent <= i64::from(HEAD_DIGITS) + 2 => {
                write!(out, "{digits:0<whole$}")
            }
            Ok(0) => write!(out, "0.{digits}"),
            _ => match digits.split_at(1) {
                (first, "") => write!(out, "{first}e{}", self.exponent - 1),
                (first, rest) => write!(out, "{first}.{rest}e{}", self.exponent - 1),
            },
        }
    }
}

/// 10^`digits`, for up to 19 digits.
fn power_of_ten(digits: u32) -> u64 {
    const POWERS: [u64; 20] = {
        let mut powers = [1; 20];
        let mut rest: &mut [u64] = &mut powers;
        let mut power = 1_u64;
        while let Some((first, behind)) = rest.split_first_mut() {
            *first = power;
            power = power.wrapping_mul(10);
            rest = behind;
        }
        powers
    };
    POWERS.get(digits as usize).copied().unwrap_or_default()
}

/// Splits behind the digits that `text` begins with.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|it| !it.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (digits, []) = digits(rest) else {
        return None;
    };
    if digits.is_empty() {
        return None;
    }
    let size = digits.iter().fold(0_i64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'))
            .min(MAX_EXPONENT)
    });
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests;
