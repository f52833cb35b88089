use serde::{Deserialize, Serialize};

/// Items a level holds before it is compacted.
const LEVEL_ITEMS: usize = 1024;

/// The rank of any value among those pushed, within 1 % of their number up to 2³⁰ of them, exact up to 1,024. The same values in the same order
/// give the same answers.
///
/// Values of level `i` stand for 2ⁱ each. A full level is sorted and every second of its values goes one level up. That moves a rank by
/// at most 2ⁱ, and the next time to the other side, since the half that stays alternates: at most (levels ÷ 2,048) of the count in all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Quantiles {
    levels: Vec<Level>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Level {
    values: Vec<f64>,
    /// Which half went up last.
    odd: bool,
}

impl Quantiles {
    pub(super) fn push(&mut self, value: f64) {
        self.add(0, &[value]);
        self.compact();
    }

    pub(super) fn merge(&mut self, other: &Quantiles) {
        for (index, level) in other.levels.iter().enumerate() {
            self.add(index, &level.values);
        }
        self.compact();
    }

    /// The least value at or below which lies so much of the count, 0 to 1; `None` without values.
    pub(super) fn at(&self, share: f64) -> Option<f64> {
        let mut weighted: Vec<(f64, u64)> = Vec::new();
        for (index, level) in self.levels.iter().enumerate() {
            weighted.extend(level.values.iter().map(|value| (*value, 1_u64 << index)));
        }
        weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count: u64 = weighted.iter().map(|(_, weight)| weight).sum();
        let rank = (share * count as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let reached = weighted.iter().find(|(_, weight)| {
            below += weight;
            below >= rank
        });
        reached.or(weighted.last()).map(|(value, _)| *value)
    }

    /// As vectors grow; the same for the same values, wherever they were kept in between.
    pub(super) fn heap_bytes(&self) -> usize {
        let grown = |len: usize| len.next_power_of_two();
        let values: usize = self.levels.iter().map(|it| grown(it.values.len())).sum();
        values * size_of::<f64>() + grown(self.levels.len()) * size_of::<Level>()
    }

    fn add(&mut self, index: usize, values: &[f64]) {
        if self.levels.len() <= index {
            self.levels.resize_with(index + 1, Level::default);
        }
        if let Some(level) = self.levels.get_mut(index) {
            level.values.extend_from_slice(values);
        }
    }

    fn compact(&mut self) {
        let mut index = 0;
        while let Some(level) = self.levels.get_mut(index) {
            if level.values.len() >= LEVEL_ITEMS {
                let promoted = level.halve();
                self.add(index + 1, &promoted);
            }
            index += 1;
        }
    }
}

impl Level {
    /// Takes an even number of values out and gives every second of them.
    fn halve(&mut self) -> Vec<f64> {
        self.values.sort_by(f64::total_cmp);
        let rest = self.values.split_off(self.values.len() / 2 * 2);
        let skip = usize::from(self.odd);
        self.odd = !self.odd;
        let sorted = std::mem::replace(&mut self.values, rest);
        sorted.into_iter().skip(skip).step_by(2).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: [f64; 9] = [0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0];

    fn worst_rank_error(values: &[f64], quantiles: &Quantiles) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len() as f64;
        let errors = SHARES.map(|share| {
            let value = quantiles.at(share).unwrap();
            let low = sorted.partition_point(|it| *it < value) as f64 / count;
            let high = sorted.partition_point(|it| *it <= value) as f64 / count;
            if share < low {
                low - share
            } else {
                (share - high).max(0.0)
            }
        });
        errors.into_iter().fold(0.0, f64::max)
    }

    fn shapes(count: u32) -> Vec<Vec<f64>> {
        let mut random = fastrand::Rng::with_seed(7);
        let up = (0..count).map(f64::from).collect::<Vec<_>>();
        let down = up.iter().rev().copied().collect();
        let uniform = (0..count).map(|_| random.f64()).collect();
        let peaked = (0..count).map(|_| random.f64().powi(9)).collect();
        let few = (0..count).map(|it| f64::from(it % 3)).collect();
        let saw = (0..count).map(|it| f64::from(it % 1000)).collect();
        vec![up, down, uniform, peaked, few, saw]
    }

    #[test]
    fn ranks_are_within_one_percent_in_bounded_memory() {
        for values in shapes(1_000_000) {
            let mut quantiles = Quantiles::default();
            values.iter().for_each(|it| quantiles.push(*it));
            let error = worst_rank_error(&values, &quantiles);
            // Ten levels: all the error that halves of alternating sides can make.
            assert!(error <= 0.0049, "{error}");
            assert!(
                quantiles.heap_bytes() < 200_000,
                "{}",
                quantiles.heap_bytes()
            );
        }
    }

    #[test]
    fn few_values_are_exact() {
        let mut quantiles = Quantiles::default();
        assert_eq!(quantiles.at(0.5), None);
        (1..=1000)
            .rev()
            .for_each(|it| quantiles.push(f64::from(it)));
        assert_eq!(quantiles.at(0.5), Some(500.0));
        assert_eq!(quantiles.at(0.99), Some(990.0));
        assert_eq!(
            (quantiles.at(0.0), quantiles.at(1.0)),
            (Some(1.0), Some(1000.0))
        );
    }

    #[test]
    fn what_is_merged_ranks_like_what_was_pushed() {
        for values in shapes(100_003) {
            let mut merged = Quantiles::default();
            for part in values.chunks(777) {
                let mut quantiles = Quantiles::default();
                part.iter().for_each(|it| quantiles.push(*it));
                merged.merge(&quantiles);
            }
            let weight: usize = merged
                .levels
                .iter()
                .enumerate()
                .map(|(index, level)| level.values.len() << index)
                .sum();
            assert_eq!(weight, values.len());
            let error = worst_rank_error(&values, &merged);
            assert!(error <= 0.01, "{error}");
        }
    }
}
