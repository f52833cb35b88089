//! Units of measure by their UCUM codes, and exact conversions between them.
//!
//! ```
//! use filters::Conversion;
//!
//! let conversion = Conversion::new("[degF]", "Cel")?;
//! assert_eq!(conversion.convert("212").unwrap().as_deref(), Ok("100"));
//! let conversion = Conversion::new("m3/h", "L/min")?;
//! assert_eq!(conversion.convert("7.5").unwrap().as_deref(), Ok("125"));
//! # Ok::<(), filters::UnitError>(())
//! ```
//!
//! A code is made of the atoms of [`atom`](self), metric prefixes, exponents, `.` and `/`: `kW.h`, `m3/h`, `g/cm3`,
//! `mm[Hg]`. What can be converted into one another follows from the dimensions. Supported are length, mass, time,
//! temperature and angle, and all that is made of them: pressure, volume, flow, speed, force, energy, power.

mod atom;
mod code;
mod ratio;

use crate::transform::{Decimal, TooManyDigits};

use code::Unit;
pub use code::{UnitError, UnitProblem};

/// The way from one unit to another of the same kind: `y = x × factor + offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// To add to a value in the first unit before it is multiplied.
    before: Decimal,
    multiplier: Decimal,
    divisor: u128,
    /// To subtract from a value in the second unit, times the divisor.
    after: Decimal,
    /// Whether the factor is a decimal fraction, and not made of π.
    exact: bool,
}

impl Conversion {
    /// From the unit of one code to that of another.
    ///
    /// # Errors
    ///
    /// One of them is no code of a unit, or they measure different things.
    pub fn new(from: &str, to: &str) -> Result<Conversion, UnitError> {
        let (source, target) = (Unit::parse(from)?, Unit::parse(to)?);
        let different = |problem| UnitError {
            code: format!("{from} → {to}"),
            problem,
        };
        if source.dimension != target.dimension {
            return Err(different(UnitProblem::Different));
        }
        let too_large = |_| different(UnitProblem::TooLarge);
        let ratio = source
            .ratio
            .over(target.ratio)
            .ok_or(different(UnitProblem::TooLarge))?;
        let (multiplier, divisor, exact) = ratio.as_decimal().map_err(too_large)?;
        let by_divisor = i128::try_from(divisor).map_err(|_| different(UnitProblem::TooLarge))?;
        Ok(Conversion {
            before: source.offset,
            multiplier,
            divisor,
            after: target
                .offset
                .times(Decimal::new(by_divisor, 0))
                .map_err(too_large)?,
            exact,
        })
    }

    /// The number in the other unit, both as JSON writes numbers; `None` for what is no number. Exact where the result ends
    /// within 34 digits (an integer always stays exact), else rounded to 16. Between equal units the text stays.
    pub fn convert(&self, number: &str) -> Option<Result<String, TooManyDigits>> {
        let value = Decimal::parse(number)?;
        if self.is_identity() {
            return Some(Ok(number.to_owned()));
        }
        Some(
            value
                .and_then(|value| self.apply(value))
                .map(|it| it.to_string()),
        )
    }

    fn is_identity(&self) -> bool {
        self.multiplier == Decimal::new(1, 0) && self.divisor == 1 && self.before == self.after
    }

    fn apply(&self, value: Decimal) -> Result<Decimal, TooManyDigits> {
        let multiplied = value.plus(self.before)?.times(self.multiplier)?;
        multiplied.minus(self.after)?.over(self.divisor, self.exact)
    }
}

#[cfg(test)]
mod tests;
