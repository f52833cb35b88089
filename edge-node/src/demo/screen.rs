//! What the viewer sees.

use std::{io, time::Duration};

use super::tally::Tally;

/// On a terminal the last line is refreshed in place; elsewhere line follows line.
pub(super) struct Screen<'a> {
    out: &'a mut dyn io::Write,
    is_terminal: bool,
    /// Whether the cursor stands behind a line that is refreshed in place.
    is_refreshing: bool,
}

/// Back to the start of the line, and nothing on it.
const CLEAR: &str = "\r\x1b[2K";

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a mut dyn io::Write, is_terminal: bool) -> Self {
        Screen {
            out,
            is_terminal,
            is_refreshing: false,
        }
    }

    /// A line that stays, below what was refreshed.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        self.end_line()?;
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Whatever comes next begins on a line of its own.
    pub(super) fn end_line(&mut self) -> io::Result<()> {
        if self.is_refreshing {
            self.is_refreshing = false;
            writeln!(self.out)?;
        }
        Ok(())
    }

    /// A line that stays, with the time since the start.
    pub(super) fn tell(&mut self, at: Duration, what: &str) -> io::Result<()> {
        self.say(&format!("{}  {what}", seconds(at)))
    }

    /// The counts of this moment. `spooled`: events the node has yet to hand over, unknown while it is down.
    pub(super) fn show(
        &mut self,
        at: Duration,
        scene: &str,
        tally: &Tally,
        spooled: Option<u64>,
    ) -> io::Result<()> {
        let (acknowledged, delivered) = (tally.acknowledged(), tally.delivered());
        let spooled = spooled.map_or_else(|| "?".to_owned(), |spooled| spooled.to_string());
        let line = format!(
            "{}  {scene:<11}  acknowledged {acknowledged:>5}  spooled {spooled:>5}  delivered {delivered:>5}",
            seconds(at)
        );
        if !self.is_terminal {
            return self.say(&line);
        }
        write!(self.out, "{CLEAR}{line}")?;
        self.is_refreshing = true;
        self.out.flush()
    }
}

fn seconds(at: Duration) -> String {
    format!("{:>5.1} s", at.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_sees_one_line_refreshed_and_a_pipe_sees_plain_lines() {
        let shown = |is_terminal| {
            let mut out = Vec::new();
            let mut screen = Screen::new(&mut out, is_terminal);
            let tally = Tally::default();
            let at = Duration::from_millis(500);
            screen.show(at, "link up", &tally, Some(7)).unwrap();
            screen.show(at * 2, "node down", &tally, None).unwrap();
            screen.tell(at * 3, "done").unwrap();
            String::from_utf8(out).unwrap()
        };
        let first = "  0.5 s  link up      acknowledged     0  spooled     7  delivered     0";
        let second = "  1.0 s  node down    acknowledged     0  spooled     ?  delivered     0";
        assert_eq!(shown(false), format!("{first}\n{second}\n  1.5 s  done\n"));
        assert_eq!(
            shown(true),
            format!("{CLEAR}{first}{CLEAR}{second}\n  1.5 s  done\n")
        );
        assert!(first.len() < 80, "a line that wraps cannot be refreshed");
    }
}
