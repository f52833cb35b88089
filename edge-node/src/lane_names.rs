//! What the lanes of a log are called, for commands that read it without its configuration: `lanes.json` in the data
//! directory, an array from the lane kept longest on. The log itself knows their numbers only.
//!
//! The node writes it once its doors are open, if it says anything else; it stays there when the node stops.

use std::{fs, io, path::Path};

use spool::Lane;

use crate::{config::LaneConfig, data_file};

const FILE: &str = "lanes.json";

/// Notes what the lanes are called. On an error the old names stay, or none are there: lanes are shown by number.
pub(crate) fn write(data: &Path, lanes: &[LaneConfig]) -> io::Result<()> {
    let names: Vec<&str> = lanes.iter().map(|lane| lane.name.as_str()).collect();
    let text = serde_json::to_vec(&names).expect("names are JSON");
    match fs::read(data.join(FILE)) {
        Ok(known) if known == text => Ok(()),
        _ => data_file::replace(data, FILE, &text),
    }
}

/// What the lanes are called, if that was noted.
pub(crate) fn read(data: &Path) -> Option<Vec<String>> {
    let text = fs::read(data.join(FILE)).ok()?;
    let names = serde_json::from_slice::<Vec<String>>(&text).ok()?;
    (1..=Lane::MOST).contains(&names.len()).then_some(names)
}
