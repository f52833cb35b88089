//! What the log says of a link: that it broke, and that it is back; of a link that flaps, not each time.

use std::time::{Duration, Instant};

use crate::LinkState;

/// An outage that follows another sooner than this is in the status alone.
const QUIET: Duration = Duration::from_secs(600);

/// Whether the link is broken, and what was said of it.
#[derive(Debug, Default)]
pub(super) struct Outage {
    is_on: bool,
    /// The end of an outage is told where its beginning was.
    is_told: bool,
    last_told: Option<Instant>,
}

/// What is to be said.
#[derive(Debug, PartialEq, Eq)]
enum News<'a> {
    Broke { error: &'a str },
    Back,
}

impl Outage {
    /// After each answer of the receiver: says what is new.
    pub(super) fn handle_state(&mut self, now: Instant, sink: &str, state: &LinkState) {
        match self.news(now, state) {
            Some(News::Broke { error }) => {
                tracing::warn!(
                    sink,
                    error,
                    "events do not get through; they are kept and sent again"
                );
            }
            Some(News::Back) => tracing::info!(sink, "events get through again"),
            None => {}
        }
    }

    fn news<'a>(&mut self, now: Instant, state: &'a LinkState) -> Option<News<'a>> {
        match state {
            LinkState::BackingOff { error } if !self.is_on => {
                self.is_on = true;
                self.is_told = self
                    .last_told
                    .is_none_or(|at| now.saturating_duration_since(at) >= QUIET);
                if self.is_told {
                    self.last_told = Some(now);
                }
                self.is_told.then_some(News::Broke { error })
            }
            LinkState::Connected if self.is_on => {
                self.is_on = false;
                self.is_told.then_some(News::Back)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_its_end_too_and_of_a_flapping_link_not_each_time() {
        let mut outage = Outage::default();
        let start = Instant::now();
        let down = LinkState::BackingOff {
            error: "refused".into(),
        };
        let mut told = Vec::new();
        for second in 0..1_200 {
            let now = start + Duration::from_secs(second);
            for state in [&down, &down, &LinkState::Connecting, &LinkState::Connected] {
                if let Some(news) = outage.news(now, state) {
                    told.push((second, news));
                }
            }
        }
        let broke = || News::Broke { error: "refused" };
        assert_eq!(
            told,
            [
                (0, broke()),
                (0, News::Back),
                (600, broke()),
                (600, News::Back)
            ]
        );
    }
}
