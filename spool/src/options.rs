//! How a log is bounded.

use crate::{LaneOptions, OpenError, WhenFull, storage::Space};

/// How a log is bounded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of everything in the data directory. `None`: the smaller of 4 GiB and a quarter of the free space.
    pub bound_bytes: Option<u64>,
    /// Share of the file system that stays free, in percent (default 5).
    pub min_free_percent: u8,
    /// Size of a segment file, 256 KiB to 16 MiB. `None`: 8 MiB, less where the bound is small.
    pub segment_bytes: Option<u32>,
    /// From the lane kept longest to the lane given up first. Default: alarm, normal, bulk. At most `Lane::MOST`.
    pub lanes: Vec<LaneOptions>,
    /// Bytes that may wait for a commit (default 8 MiB).
    pub waiting_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        let lane = |name: &str| LaneOptions {
            name: name.into(),
            when_full: WhenFull::Refuse,
        };
        Options {
            bound_bytes: None,
            min_free_percent: 5,
            segment_bytes: None,
            lanes: vec![lane("alarm"), lane("normal"), lane("bulk")],
            waiting_bytes: 8 << 20,
        }
    }
}

/// Segments a bound is divided into at least.
const SEGMENTS_PER_BOUND: u64 = 32;
const SMALLEST_SEGMENT: u64 = 64 << 10;
const SMALLEST_DEFAULT: u64 = 256 << 10;
const LARGEST_SEGMENT: u64 = 16 << 20;
/// Segments without which neither lanes nor reserves have room.
const FEWEST_SEGMENTS: u64 = 12;

/// The sizes that follow from the options and the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) bound: u64,
    pub(crate) segment: u64,
    pub(crate) min_free: u64,
}

impl Sizes {
    /// `used`: what the log has in the directory, which is as good as free.
    pub(crate) fn of(options: &Options, space: Space, used: u64) -> Result<Sizes, OpenError> {
        let quarter = (space.free_bytes.saturating_add(used)) / 4;
        // A log that is there is opened on any disk: to hand out what it holds is what makes room.
        let least = if used > 0 {
            SMALLEST_DEFAULT * FEWEST_SEGMENTS
        } else {
            0
        };
        let bound = options
            .bound_bytes
            .unwrap_or_else(|| quarter.min(4 << 30).max(least));
        let segment = match options.segment_bytes {
            Some(bytes) => u64::from(bytes).clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT),
            None => (bound / SEGMENTS_PER_BOUND).clamp(SMALLEST_DEFAULT, 8 << 20),
        };
        let segment = segment / 4096 * 4096;
        let minimum_bytes = segment * FEWEST_SEGMENTS;
        if bound < minimum_bytes {
            return Err(OpenError::TooSmall {
                bound_bytes: bound,
                minimum_bytes,
            });
        }
        let min_free = space.total_bytes / 100 * u64::from(options.min_free_percent.min(100));
        Ok(Sizes {
            bound,
            segment,
            min_free,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_default_bound_is_a_quarter_of_what_is_free_and_at_most_four_gibibytes() {
        for (free, bound) in [
            (8 * GIB, 2 * GIB),
            (16 * GIB, 4 * GIB),
            (900 * GIB, 4 * GIB),
        ] {
            let sizes = sizes(free, 1000 * GIB, 0).unwrap();
            assert_eq!((sizes.bound, sizes.min_free), (bound, 50 * GIB));
        }
        let own = sizes(6 * GIB, 1000 * GIB, 2 * GIB).unwrap();
        assert_eq!(own.bound, 2 * GIB, "what the log has counts as free");
    }

    #[test]
    fn a_disk_too_small_for_a_log_is_refused_unless_it_holds_one() {
        assert!(matches!(
            sizes(4 << 20, GIB, 0),
            Err(OpenError::TooSmall { .. })
        ));
        assert_eq!(sizes(0, GIB, 1 << 20).unwrap().bound, 3 << 20);
    }

    fn sizes(free_bytes: u64, total_bytes: u64, used: u64) -> Result<Sizes, OpenError> {
        let space = Space {
            free_bytes,
            total_bytes,
        };
        Sizes::of(&Options::default(), space, used)
    }
}
