//! Results for people and for machines.

use std::{fmt::Write as _, io::Write, time::Duration};

use serde::Serialize;

use super::CliError;
use crate::config::units::ByteSize;

/// Rows under headings, each column as wide as its widest cell.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Table {
        Table {
            rows: vec![headings.iter().map(|&text| text.to_owned()).collect()],
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints a blank line and the table; nothing if it has no rows.
    pub(super) fn print(&self, out: &mut dyn Write) -> Result<(), CliError> {
        if self.rows.len() < 2 {
            return Ok(());
        }
        writeln!(out)?;
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell: &String| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:<width$}  "); // a string takes all text
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// One value as indented JSON.
pub(super) fn json<T: Serialize>(value: &T, out: &mut dyn Write) -> Result<(), CliError> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// A size rounded to what a glance takes in: `1.2 GiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        // Tenths, cut off: one tenth of a TiB fits 64 bits as often as bytes do.
        Some((unit, name)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => ByteSize(bytes).to_string(),
    }
}

/// A time rounded to what a glance takes in: its two largest units, milliseconds only below a second.
pub(super) fn time(millis: u64) -> String {
    let rounded = match millis {
        0..1_000 => millis,
        1_000..3_600_000 => millis / 1_000 * 1_000,
        3_600_000..86_400_000 => millis / 60_000 * 60_000,
        _ => millis / 3_600_000 * 3_600_000,
    };
    humantime::format_duration(Duration::from_millis(rounded)).to_string()
}

/// The time if there is one, else `-`.
pub(super) fn maybe_time(millis: Option<u64>) -> String {
    millis.map_or_else(|| "-".to_owned(), time)
}
