use std::{cmp::Ordering, fmt, ops::Bound};

use crate::Number;

/// Numbers between two bounds, at least one of them there. Not empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NumberRange {
    low: Bound<Number>,
    high: Bound<Number>,
}

impl NumberRange {
    /// The range from `low` to `high`; `None` where no number is in it, or where every one is.
    pub fn new(low: Bound<Number>, high: Bound<Number>) -> Option<NumberRange> {
        let holds_any = match (&low, &high) {
            (Bound::Unbounded, Bound::Unbounded) => false,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
            (Bound::Included(low), Bound::Included(high)) => low <= high,
            (
                Bound::Included(low) | Bound::Excluded(low),
                Bound::Included(high) | Bound::Excluded(high),
            ) => low < high,
        };
        holds_any.then_some(NumberRange { low, high })
    }

    /// Whether `number` is in it.
    pub fn contains(&self, number: &Number) -> bool {
        let above = match &self.low {
            Bound::Unbounded => true,
            Bound::Included(low) => number >= low,
            Bound::Excluded(low) => number > low,
        };
        above
            && match &self.high {
                Bound::Unbounded => true,
                Bound::Included(high) => number <= high,
                Bound::Excluded(high) => number < high,
            }
    }

    /// Where it begins and where it ends.
    pub fn bounds(&self) -> (&Bound<Number>, &Bound<Number>) {
        (&self.low, &self.high)
    }

    /// The number, where there is only one.
    pub(crate) fn single(&self) -> Option<&Number> {
        match (&self.low, &self.high) {
            (Bound::Included(low), Bound::Included(high)) if low == high => Some(low),
            _ => None,
        }
    }

    /// Whether it ends at one side only.
    pub(crate) fn is_open(&self) -> bool {
        matches!(
            (&self.low, &self.high),
            (Bound::Unbounded, _) | (_, Bound::Unbounded)
        )
    }
}

/// Of two lower bounds the one that lets fewer numbers pass.
pub(crate) fn higher(one: Bound<Number>, other: Bound<Number>) -> Bound<Number> {
    tighter(one, other, Ordering::Greater)
}

/// Of two upper bounds the one that lets fewer numbers pass.
pub(crate) fn lower(one: Bound<Number>, other: Bound<Number>) -> Bound<Number> {
    tighter(one, other, Ordering::Less)
}

/// The bound that lets fewer numbers pass: the one further to the side of `side`.
fn tighter(one: Bound<Number>, other: Bound<Number>, side: Ordering) -> Bound<Number> {
    match (&one, &other) {
        (Bound::Unbounded, _) => other,
        (_, Bound::Unbounded) => one,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => {
            match a.cmp(b) {
                Ordering::Equal if matches!(one, Bound::Excluded(_)) => one,
                Ordering::Equal => other,
                order if order == side => one,
                _ => other,
            }
        }
    }
}

impl fmt::Display for NumberRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.single() {
            return write!(out, "= {number}");
        }
        match &self.low {
            Bound::Unbounded => {}
            Bound::Included(low) => write!(out, ">= {low}")?,
            Bound::Excluded(low) => write!(out, "> {low}")?,
        }
        if !self.is_open() {
            out.write_str(" ")?;
        }
        match &self.high {
            Bound::Unbounded => Ok(()),
            Bound::Included(high) => write!(out, "<= {high}"),
            Bound::Excluded(high) => write!(out, "< {high}"),
        }
    }
}
