//! Writes and shows configuration blocks; `provision --help`.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use provision::{Board, SettingsFile, describe, image};

/// Writes the configuration block of a board: node, id, Wi-Fi and credentials, as a file to flash.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the block and prints the command that flashes it.
    Write {
        /// The settings of the device, in TOML: id, node, and where needed [wifi] and [credentials].
        settings: PathBuf,
        /// The board it is for.
        #[arg(long)]
        board: Board,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Says what a block holds, without its secrets.
    Show {
        /// A file that `write` made, or that was read back from a board.
        block: PathBuf,
        /// The board it is of.
        #[arg(long)]
        board: Board,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Write {
            settings,
            board,
            out,
        } => {
            let file = SettingsFile::read(&settings)?;
            let named = || format!("in the settings {}", settings.display());
            let wanted = file.for_board(board).with_context(named)?;
            let block = image(&wanted, board).with_context(named)?;
            fs::write(&out, block).with_context(|| format!("cannot write {}", out.display()))?;
            println!("{}", board.flash_command(&out.display().to_string()));
        }
        Command::Show { block, board } => {
            let named = || format!("in the block {}", block.display());
            let bytes =
                fs::read(&block).with_context(|| format!("cannot read {}", block.display()))?;
            print!("{}", describe(&bytes, board).with_context(named)?);
        }
    }
    Ok(())
}
