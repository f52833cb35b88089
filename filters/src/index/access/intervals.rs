use std::ops::Bound;

use crate::paths::as_u32;

/// Ranges of which all that hold a value are found by one binary search and a walk that leaves out, sixteen at a time, those
/// that end before it.
#[derive(Clone, Debug)]
pub(crate) struct Intervals<K> {
    /// The ends of all ranges, each once, in order. A value is told by its rank: 2 i + 1 if it is the i-th end, 2 i if it is
    /// before that and behind the one before.
    ends: Vec<K>,
    /// In order of their first rank.
    ranges: Vec<Ranked>,
    /// Level 0: the greatest last rank of 16 ranges each; level n: of 16 elements of level n − 1 each.
    levels: Vec<Vec<u32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    first: u32,
    last: u32,
    entry: u32,
}

const FAN: usize = 16;

impl<K: Ord + Clone> Intervals<K> {
    pub(crate) fn new(ranges: &[(Bound<K>, Bound<K>, u32)]) -> Intervals<K> {
        let both = ranges.iter().flat_map(|(low, high, _)| [low, high]);
        let mut ends: Vec<K> = both
            .filter_map(|bound| match bound {
                Bound::Included(end) | Bound::Excluded(end) => Some(end.clone()),
                Bound::Unbounded => None,
            })
            .collect();
        ends.sort_unstable();
        ends.dedup();
        ends.shrink_to_fit();
        let rank = |end: &K| as_u32(2 * ends.partition_point(|it| it < end) + 1);
        let mut ranked: Vec<Ranked> = ranges
            .iter()
            .map(|(low, high, entry)| Ranked {
                first: match low {
                    Bound::Unbounded => 0,
                    Bound::Included(end) => rank(end),
                    Bound::Excluded(end) => rank(end) + 1,
                },
                last: match high {
                    Bound::Unbounded => u32::MAX,
                    Bound::Included(end) => rank(end),
                    Bound::Excluded(end) => rank(end) - 1,
                },
                entry: *entry,
            })
            .collect();
        ranked.sort_unstable();
        let mut levels: Vec<Vec<u32>> = Vec::new();
        let mut level: Vec<u32> = ranked.iter().map(|it| it.last).collect();
        while level.len() > 1 {
            let blocks = level.chunks(FAN);
            level = blocks
                .map(|it| it.iter().copied().max().unwrap_or_default())
                .collect();
            levels.push(level.clone());
        }
        Intervals {
            ends,
            ranges: ranked,
            levels,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Shows the entries of every range that holds `value`.
    pub(crate) fn find(&self, value: &K, out: &mut Vec<u32>) {
        let before = self.ends.partition_point(|it| it < value);
        let is_end = self.ends.get(before) == Some(value);
        let rank = as_u32(2 * before + usize::from(is_end));
        let count = self.ranges.partition_point(|it| it.first <= rank);
        self.visit(self.levels.len(), 0, count, rank, out);
    }

    /// Looks at element `at` of the level above `level`: as deep as there are levels, a handful.
    fn visit(&self, level: usize, at: usize, count: usize, rank: u32, out: &mut Vec<u32>) {
        let Some(below) = level.checked_sub(1) else {
            let single = self.ranges.iter().take(count);
            let holding = single.filter(|it| it.last >= rank);
            out.extend(holding.map(|it| it.entry));
            return;
        };
        if below == 0 {
            let block = self.ranges.get(at * FAN..count.min((at + 1) * FAN));
            let holding = block
                .unwrap_or_default()
                .iter()
                .filter(|it| it.last >= rank);
            out.extend(holding.map(|it| it.entry));
            return;
        }
        let Some(lasts) = self.levels.get(below - 1) else {
            return;
        };
        let width = FAN.pow(as_u32(below));
        let children = lasts.iter().enumerate().skip(at * FAN).take(FAN);
        for (child, last) in children {
            if child * width >= count {
                break;
            }
            if *last >= rank {
                self.visit(below, child, count, rank, out);
            }
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let levels = self.levels.iter().map(|it| it.capacity() * 4);
        self.ends.capacity() * size_of::<K>()
            + self.ranges.capacity() * size_of::<Ranked>()
            + levels.sum::<usize>()
    }
}
