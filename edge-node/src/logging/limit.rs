//! Which lines of a flood are worth a line.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A reason is told again after this, with how often it was meant.
const AGAIN: Duration = Duration::from_secs(600);
/// Reasons and peers remembered; beyond, all peers of a reason count as one.
const REMEMBERED: usize = 1024;

/// Tells each reason once per peer and ten minutes. For what peers do: a peer that errs a thousand times a second writes
/// one line. The lock is held for one look-up.
#[derive(Debug, Default)]
pub struct LogLimit(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    told: HashMap<(&'static str, Option<IpAddr>), Told>,
    /// When what is old was last forgotten; not more than once a second, since it looks at all.
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    silenced: u64,
}

/// Whether to log a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Log it, and that as many like it were not logged.
    Tell {
        /// Lines not logged since the last of this reason and peer.
        silenced: u64,
    },
    /// It was told already.
    Silence,
}

impl LogLimit {
    /// Whether to log this reason for this peer at `now`. The reason is the kind of fault, without its details.
    pub fn admit(&self, now: Instant, reason: &'static str, peer: IpAddr) -> Verdict {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (reason, Some(peer));
        // Reasons are a handful of literals, so that their collective entries add no more than a handful.
        if !memory.told.contains_key(&key) && !memory.has_room(now) {
            key.1 = None;
        }
        let told = &mut memory.told;
        match told.get_mut(&key) {
            Some(told) if now.saturating_duration_since(told.at) < AGAIN => {
                told.silenced += 1;
                Verdict::Silence
            }
            Some(told) => {
                let silenced = std::mem::take(&mut told.silenced);
                told.at = now;
                Verdict::Tell { silenced }
            }
            None => {
                told.insert(
                    key,
                    Told {
                        at: now,
                        silenced: 0,
                    },
                );
                Verdict::Tell { silenced: 0 }
            }
        }
    }

    /// Warns that a connection was closed, if the reason is news.
    pub fn warn(&self, reason: &'static str, peer: IpAddr, detail: &dyn std::fmt::Display) {
        match self.admit(Instant::now(), reason, peer) {
            Verdict::Silence => {}
            Verdict::Tell { silenced: 0 } => tracing::warn!(%peer, "{reason}: {detail}"),
            Verdict::Tell { silenced } => {
                tracing::warn!(%peer, silenced, "{reason}: {detail}");
            }
        }
    }
}

impl Memory {
    fn has_room(&mut self, now: Instant) -> bool {
        let due = |swept: Instant| now.saturating_duration_since(swept) >= Duration::from_secs(1);
        if self.told.len() >= REMEMBERED && self.swept.is_none_or(due) {
            self.swept = Some(now);
            self.told
                .retain(|_, told| now.saturating_duration_since(told.at) < AGAIN);
        }
        self.told.len() < REMEMBERED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_and_again_with_its_count_after_ten_minutes() {
        let (limit, start) = (LogLimit::default(), Instant::now());
        let (here, there) = (peer(1), peer(2));
        let told = Verdict::Tell { silenced: 0 };
        assert_eq!(limit.admit(start, "malformed packet", here), told);
        for _ in 0..1000 {
            assert_eq!(
                limit.admit(start, "malformed packet", here),
                Verdict::Silence
            );
        }
        assert_eq!(limit.admit(start, "malformed packet", there), told);
        assert_eq!(limit.admit(start, "packet too large", here), told);
        let later = Verdict::Tell { silenced: 1000 };
        assert_eq!(limit.admit(start + AGAIN, "malformed packet", here), later);
        assert_eq!(
            limit.admit(start + AGAIN, "malformed packet", here),
            Verdict::Silence
        );
    }

    #[test]
    fn a_million_peers_are_one_line_more_than_are_remembered() {
        let (limit, start) = (LogLimit::default(), Instant::now());
        let mut lines = 0;
        for number in 0..1_000_000 {
            if limit.admit(start, "malformed packet", peer(number)) != Verdict::Silence {
                lines += 1;
            }
        }
        assert_eq!(lines, REMEMBERED + 1);
        assert_eq!(limit.0.lock().unwrap().told.len(), REMEMBERED + 1);
        limit.admit(start + AGAIN, "malformed packet", peer(1_000_000));
        assert_eq!(limit.0.lock().unwrap().told.len(), 1);
    }

    fn peer(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(number).into()
    }
}
