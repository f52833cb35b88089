use std::{fmt, str::FromStr};

/// Digits of a quotient that ends; one that does not, or not within these, is rounded.
const MAX_DIGITS: usize = 34;
/// Digits that a rounded quotient keeps.
const ROUNDED_DIGITS: usize = 16;
/// Numbers whose first digit stands further from the point are refused.
const MAX_EXPONENT: i64 = 400;

/// A decimal number to compute with: `coefficient × 10^exponent`, exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// Not divisible by 10, except 0.
    coefficient: i128,
    /// 0 for 0.
    exponent: i32,
}

/// A number, or what is computed of it, has more digits than are computed exactly: about 38, within 400 of the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number has too many digits to compute with")]
pub struct TooManyDigits;

impl Decimal {
    pub(crate) const ZERO: Decimal = Decimal {
        coefficient: 0,
        exponent: 0,
    };

    pub(crate) fn new(mut coefficient: i128, mut exponent: i32) -> Decimal {
        if coefficient == 0 {
            return Decimal::ZERO;
        }
        while coefficient % 10 == 0 {
            coefficient /= 10;
            exponent += 1;
        }
        Decimal {
            coefficient,
            exponent,
        }
    }

    /// Reads a number by JSON's grammar; `None` for what is none.
    pub(crate) fn parse(text: &str) -> Option<Result<Decimal, TooManyDigits>> {
        crate::Number::parse(text)?;
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            // An exponent that does not fit is beyond any bound, except that of 0.
            Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(i64::MAX / 2)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Some(Decimal::of_digits(
            whole,
            fraction.trim_end_matches('0'),
            exponent,
        ))
    }

    fn of_digits(whole: &str, fraction: &str, exponent: i64) -> Result<Decimal, TooManyDigits> {
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_end_matches('0');
        if significant.trim_start_matches(['-', '0']).is_empty() {
            return Ok(Decimal::ZERO);
        }
        let cut = i64::try_from(digits.len() - significant.len()).map_err(|_| TooManyDigits)?;
        let behind = i64::try_from(fraction.len()).map_err(|_| TooManyDigits)?;
        let exponent = exponent.saturating_add(cut).saturating_sub(behind);
        if exponent.abs() > MAX_EXPONENT {
            return Err(TooManyDigits);
        }
        let coefficient = significant.parse().map_err(|_| TooManyDigits)?;
        Ok(Decimal::new(coefficient, exponent as i32))
    }

    pub(crate) fn plus(self, other: Decimal) -> Result<Decimal, TooManyDigits> {
        if self == Decimal::ZERO {
            return Ok(other);
        }
        if other == Decimal::ZERO {
            return Ok(self);
        }
        let exponent = self.exponent.min(other.exponent);
        let sum = self.at(exponent)?.checked_add(other.at(exponent)?);
        Ok(Decimal::new(sum.ok_or(TooManyDigits)?, exponent))
    }

    pub(crate) fn minus(self, other: Decimal) -> Result<Decimal, TooManyDigits> {
        let negated = Decimal {
            coefficient: -other.coefficient,
            ..other
        };
        self.plus(negated)
    }

    pub(crate) fn times(self, other: Decimal) -> Result<Decimal, TooManyDigits> {
        let product = self.coefficient.checked_mul(other.coefficient);
        let exponent = self.exponent + other.exponent;
        if i64::from(exponent).abs() > MAX_EXPONENT {
            return Err(TooManyDigits);
        }
        Ok(Decimal::new(product.ok_or(TooManyDigits)?, exponent))
    }

    /// Exact if it ends within 34 digits and `exactly` says that the operands are exact themselves, else rounded to 16,
    /// half to even. The divisor is not 0.
    pub(crate) fn over(self, divisor: u128, exactly: bool) -> Result<Decimal, TooManyDigits> {
        let value = self.coefficient.unsigned_abs();
        let mut digits = (value / divisor).to_string();
        let mut rest = value % divisor;
        let mut exponent = self.exponent;
        while rest != 0 && digits.trim_start_matches('0').len() <= MAX_DIGITS {
            rest = rest.checked_mul(10).ok_or(TooManyDigits)?;
            digits.push(char::from(b'0' + u8::try_from(rest / divisor).unwrap_or(0)));
            rest %= divisor;
            exponent -= 1;
        }
        let digits = digits.trim_start_matches('0');
        let (digits, exponent) = if (exactly && rest == 0) || digits.len() <= ROUNDED_DIGITS {
            (digits.to_owned(), exponent)
        } else {
            rounded(digits, rest != 0, exponent)
        };
        if digits.is_empty() {
            return Ok(Decimal::ZERO);
        }
        let coefficient: i128 = digits.parse().map_err(|_| TooManyDigits)?;
        Ok(Decimal::new(
            coefficient * self.coefficient.signum(),
            exponent,
        ))
    }

    /// The coefficient with a smaller exponent.
    fn at(self, exponent: i32) -> Result<i128, TooManyDigits> {
        let places = u32::try_from(self.exponent - exponent).unwrap_or(0);
        let power = 10_i128.checked_pow(places).ok_or(TooManyDigits)?;
        self.coefficient.checked_mul(power).ok_or(TooManyDigits)
    }
}

/// The first digits of these, which more may follow.
fn rounded(digits: &str, more: bool, exponent: i32) -> (String, i32) {
    let (kept, cut) = digits.split_at(ROUNDED_DIGITS);
    let value: u128 = kept.parse().unwrap_or(0);
    let half = cut.starts_with('5') && cut.bytes().skip(1).all(|it| it == b'0') && !more;
    let up = if half {
        value % 2 == 1
    } else {
        cut.as_bytes() >= b"5".as_slice()
    };
    let exponent = exponent + i32::try_from(cut.len()).unwrap_or(0);
    ((value + u128::from(up)).to_string(), exponent)
}

/// As JSON writes a number: no zeros at the end, an exponent only far from the point.
impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.coefficient.unsigned_abs().to_string();
        let sign = if self.coefficient < 0 { "-" } else { "" };
        let point = digits.len() as i64 + i64::from(self.exponent);
        let whole = usize::try_from(point).unwrap_or(0);
        match self.exponent {
            0.. if point <= 40 => write!(out, "{sign}{digits:0<whole$}"),
            ..0 if point > 0 => {
                let (before, behind) = digits.split_at(whole);
                write!(out, "{sign}{before}.{behind}")
            }
            ..0 if point > -10 => {
                let zeros = usize::try_from(-point).unwrap_or(0);
                write!(out, "{sign}0.{:0<zeros$}{digits}", "")
            }
            _ => match digits.split_at(1) {
                (first, "") => write!(out, "{sign}{first}e{}", point - 1),
                (first, behind) => write!(out, "{sign}{first}.{behind}e{}", point - 1),
            },
        }
    }
}

impl FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Decimal, String> {
        match Decimal::parse(text) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(error.to_string()),
            None => Err(format!(
                "`{}` is no number",
                text.chars().take(64).collect::<String>()
            )),
        }
    }
}

/// A number, or a text with its digits.
impl<'de> serde::Deserialize<'de> for Decimal {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        let text = match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, TooManyDigits};

    fn decimal(text: &str) -> Decimal {
        text.parse().expect(text)
    }

    #[test]
    fn numbers_show_as_json_writes_them() {
        for (text, shown) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("30.10", "30.1"),
            ("3e1", "30"),
            ("-1.5E-3", "-0.0015"),
            ("120", "120"),
            ("0.0000000001", "0.0000000001"),
            ("0.00000000001", "1e-11"),
            ("1.25e-20", "1.25e-20"),
            ("9007199254740993", "9007199254740993"),
            ("1e39", "1000000000000000000000000000000000000000"),
            ("1e40", "1e40"),
            ("-12e40", "-1.2e41"),
            ("0e999999999999999999999", "0"),
            ("1.000000000000000000000000000000000000000000", "1"),
        ] {
            assert_eq!(decimal(text).to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_too_long_is_told() {
        for text in ["", "1.", "01", "+1", "x", "1e", "\"1\""] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        for text in ["1e999999999", "1e-500", &"123456789".repeat(5)] {
            assert_eq!(Decimal::parse(text), Some(Err(TooManyDigits)), "{text}");
        }
    }

    #[test]
    fn sums_and_products_are_exact() {
        for (left, sum, right, total) in [
            ("0.1", '+', "0.2", "0.3"),
            ("9007199254740993", '+', "1", "9007199254740994"),
            ("1e20", '+', "0.5", "100000000000000000000.5"),
            ("21.5", '-', "21.5", "0"),
            ("0", '-', "1", "-1"),
            ("0.1", '*', "3", "0.3"),
            ("-1.5", '*', "-0.2", "0.3"),
            ("123456789012345678", '*', "10", "1234567890123456780"),
        ] {
            let (a, b) = (decimal(left), decimal(right));
            let result = match sum {
                '+' => a.plus(b),
                '-' => a.minus(b),
                _ => a.times(b),
            };
            assert_eq!(
                result.map(|it| it.to_string()),
                Ok(total.to_owned()),
                "{left} {sum} {right}"
            );
        }
        assert_eq!(decimal("1e40").plus(decimal("1")), Err(TooManyDigits));
        let long = decimal("12345678901234567890123456789");
        assert_eq!(long.times(long), Err(TooManyDigits));
    }

    #[test]
    fn quotients_are_exact_where_they_end_and_rounded_where_they_do_not() {
        for (value, divisor, exactly, expected) in [
            ("10", 4, true, "2.5"),
            ("1", 3, true, "0.3333333333333333"),
            ("2", 3, true, "0.6666666666666667"),
            ("-2", 3, true, "-0.6666666666666667"),
            ("1", 1024, true, "0.0009765625"),
            ("1", 1 << 40, true, "9.094947017729282379150390625e-13"),
            ("1", 1 << 40, false, "9.094947017729282e-13"),
            ("10000000000000000", 3, true, "3333333333333333"),
            ("30000000000000005", 10, false, "3000000000000000"),
            ("30000000000000015", 10, false, "3000000000000002"),
            ("999999999999999999", 10, false, "100000000000000000"),
            ("0", 7, true, "0"),
        ] {
            let result = decimal(value).over(divisor, exactly);
            assert_eq!(
                result.map(|it| it.to_string()),
                Ok(expected.to_owned()),
                "{value}/{divisor}"
            );
        }
    }
}
