//! Completions for a shell, of the commands that are shown.

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

use super::Cli;

const NAME: &str = "edge-node";

/// Of a name with a hyphen the generator for bash completes the first word only (clap-rs/clap#6421):
/// it writes for this one, and the script is then registered for the true name.
const NAME_FOR_BASH: &str = "edge_node";

/// The script with which `shell` completes what this program understands.
pub(super) fn script(shell: Shell) -> String {
    match shell {
        Shell::Bash => generated(shell, NAME_FOR_BASH)
            .replace(&format!(" {NAME_FOR_BASH}\n"), &format!(" {NAME}\n")),
        _ => generated(shell, NAME),
    }
}

fn generated(shell: Shell, name: &'static str) -> String {
    let mut script = Vec::new();
    generate(shell, &mut shown(name), name, &mut script);
    String::from_utf8(script).expect("names of commands are UTF-8")
}

/// The command line under `name`, without what is hidden: the generators would offer that too.
fn shown(name: &'static str) -> Command {
    let whole = Cli::command();
    let commands = whole.get_subcommands().filter(|it| !it.is_hide_set());
    Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments())
        .subcommands(commands)
}
