use crate::transform::{Decimal, TooManyDigits};

/// π to 20 digits: more than a rounded result keeps.
const PI: (u128, i32) = (31_415_926_535_897_932_385, -19);

/// A positive number `numerator / denominator × 10^ten × π^pi`, exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    numerator: u128,
    denominator: u128,
    ten: i32,
    pi: i8,
}

impl Ratio {
    pub(super) const ONE: Ratio = Ratio::new(1, 1, 0);

    pub(super) const fn new(numerator: u128, denominator: u128, ten: i32) -> Ratio {
        Ratio {
            numerator,
            denominator,
            ten,
            pi: 0,
        }
    }

    pub(super) const fn times_pi(self) -> Ratio {
        Ratio { pi: 1, ..self }
    }

    /// `None` beyond what fits.
    pub(super) fn times(self, other: Ratio) -> Option<Ratio> {
        let left = divisor(self.numerator, other.denominator);
        let right = divisor(other.numerator, self.denominator);
        let numerator = (self.numerator / left).checked_mul(other.numerator / right)?;
        let denominator = (self.denominator / right).checked_mul(other.denominator / left)?;
        let reduced = Ratio {
            numerator,
            denominator,
            ten: self.ten.checked_add(other.ten)?,
            pi: self.pi.checked_add(other.pi)?,
        };
        Some(reduced.without_tens())
    }

    pub(super) fn over(self, other: Ratio) -> Option<Ratio> {
        self.times(Ratio {
            numerator: other.denominator,
            denominator: other.numerator,
            ten: other.ten.checked_neg()?,
            pi: other.pi.checked_neg()?,
        })
    }

    pub(super) fn power(self, exponent: i8) -> Option<Ratio> {
        let positive =
            (0..exponent.unsigned_abs()).try_fold(Ratio::ONE, |power, _| power.times(self))?;
        if exponent < 0 {
            Ratio::ONE.over(positive)
        } else {
            Some(positive)
        }
    }

    /// A factor, what to divide by, and whether both are exact.
    pub(super) fn as_decimal(self) -> Result<(Decimal, u128, bool), TooManyDigits> {
        let power_of_pi = match self.pi {
            0 => Ratio::ONE,
            1 => Ratio::new(PI.0, 1, PI.1),
            -1 => Ratio::new(1, PI.0, -PI.1),
            _ => return Err(TooManyDigits),
        };
        let whole = Ratio { pi: 0, ..self }
            .times(power_of_pi)
            .ok_or(TooManyDigits)?;
        let numerator = i128::try_from(whole.numerator).map_err(|_| TooManyDigits)?;
        let factor = Decimal::new(numerator, whole.ten);
        Ok((factor, whole.denominator, self.pi == 0))
    }

    /// Moves factors of 10 out of the way, so that numbers stay small.
    fn without_tens(mut self) -> Ratio {
        while self.numerator.is_multiple_of(10) {
            self.numerator /= 10;
            self.ten += 1;
        }
        while self.denominator.is_multiple_of(10) {
            self.denominator /= 10;
            self.ten -= 1;
        }
        self
    }
}

/// The greatest common one; neither is 0.
fn divisor(mut left: u128, mut right: u128) -> u128 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}
