use serde::{Deserialize, Serialize};

use super::{Function, quantile::Quantiles};
use crate::stage::{EventTime, Reading};

/// What a window knows of one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Accumulator {
    count: u64,
    sum: Sum,
    least: Option<Reading>,
    greatest: Option<Reading>,
    first: Option<(EventTime, u64, Reading)>,
    last: Option<(EventTime, u64, Reading)>,
    quantiles: Option<Quantiles>,
}

/// Exact as long as all that is added is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    whole: i128,
    fraction: f64,
    /// What rounding took from `fraction` (Neumaier's summation).
    lost: f64,
    is_whole: Option<bool>,
}

impl Accumulator {
    /// For these functions of its field.
    pub(super) fn new<'a>(mut functions: impl Iterator<Item = &'a Function>) -> Accumulator {
        let ranks = functions.any(|it| matches!(it, Function::Percentile(_)));
        Accumulator {
            quantiles: ranks.then(Quantiles::default),
            ..Accumulator::default()
        }
    }

    /// Adds a reading of the event at that position. One that is no number is known as first and last only.
    pub(super) fn add(&mut self, reading: &Reading, time: EventTime, position: u64) {
        self.count += 1;
        let at = (time, position);
        if self.first.as_ref().is_none_or(|it| at < (it.0, it.1)) {
            self.first = Some((time, position, reading.clone()));
        }
        if self.last.as_ref().is_none_or(|it| at > (it.0, it.1)) {
            self.last = Some((time, position, reading.clone()));
        }
        let Some(number) = reading.number() else {
            return;
        };
        self.sum.add(reading);
        keep(&mut self.least, reading, f64::lt);
        keep(&mut self.greatest, reading, f64::gt);
        if let Some(quantiles) = &mut self.quantiles {
            quantiles.push(number);
        }
    }

    /// Adds what another knows of the same field.
    pub(super) fn merge(&mut self, other: Accumulator) {
        self.count += other.count;
        self.sum.merge(other.sum);
        if let Some(least) = &other.least {
            keep(&mut self.least, least, f64::lt);
        }
        if let Some(greatest) = &other.greatest {
            keep(&mut self.greatest, greatest, f64::gt);
        }
        self.first = [self.first.take(), other.first]
            .into_iter()
            .flatten()
            .min_by_key(|it| (it.0, it.1));
        self.last = [self.last.take(), other.last]
            .into_iter()
            .flatten()
            .max_by_key(|it| (it.0, it.1));
        if let (Some(quantiles), Some(others)) = (&mut self.quantiles, &other.quantiles) {
            quantiles.merge(others);
        }
    }

    /// The value of a function; `None` where nothing was added.
    pub(super) fn value(&self, function: &Function) -> Option<Reading> {
        match function {
            Function::Count => Some(Reading::Integer(self.count.cast_signed())),
            Function::Avg => self
                .sum
                .is_whole
                .map(|_| Reading::Float(self.sum.as_f64() / self.count as f64)),
            Function::Sum => self.sum.total(),
            Function::Min => self.least.clone(),
            Function::Max => self.greatest.clone(),
            Function::First => self.first.as_ref().map(|it| it.2.clone()),
            Function::Last => self.last.as_ref().map(|it| it.2.clone()),
            Function::Percentile(percent) => {
                let quantiles = self.quantiles.as_ref()?;
                quantiles.at(percent / 100.0).map(Reading::Float)
            }
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let readings = [self.first.as_ref(), self.last.as_ref()];
        let readings: usize = readings.iter().flatten().map(|it| it.2.heap_bytes()).sum();
        readings + self.quantiles.as_ref().map_or(0, Quantiles::heap_bytes)
    }
}

impl Sum {
    fn add(&mut self, reading: &Reading) {
        match reading {
            Reading::Integer(number) => {
                self.whole = self.whole.saturating_add(i128::from(*number));
                self.is_whole.get_or_insert(true);
            }
            Reading::Float(number) => {
                self.add_fraction(*number);
                self.is_whole = Some(false);
            }
            Reading::Other(_) => {}
        }
    }

    fn merge(&mut self, other: Sum) {
        self.whole = self.whole.saturating_add(other.whole);
        self.add_fraction(other.fraction);
        self.lost += other.lost;
        self.is_whole = match (self.is_whole, other.is_whole) {
            (Some(a), Some(b)) => Some(a && b),
            (a, b) => a.or(b),
        };
    }

    fn add_fraction(&mut self, number: f64) {
        let sum = self.fraction + number;
        self.lost += if self.fraction.abs() >= number.abs() {
            (self.fraction - sum) + number
        } else {
            (number - sum) + self.fraction
        };
        self.fraction = sum;
    }

    fn as_f64(&self) -> f64 {
        // Beyond the range of f64 the part that was lost is no number.
        let lost = if self.lost.is_finite() {
            self.lost
        } else {
            0.0
        };
        self.whole as f64 + (self.fraction + lost)
    }

    fn total(&self) -> Option<Reading> {
        match (self.is_whole?, i64::try_from(self.whole)) {
            (true, Ok(whole)) => Some(Reading::Integer(whole)),
            _ => Some(Reading::Float(self.as_f64())),
        }
    }
}

fn keep(kept: &mut Option<Reading>, reading: &Reading, wins: fn(&f64, &f64) -> bool) {
    let Some(number) = reading.number() else {
        return;
    };
    let loses = kept
        .as_ref()
        .and_then(Reading::number)
        .is_some_and(|it| !wins(&number, &it));
    if !loses {
        *kept = Some(reading.clone());
    }
}
