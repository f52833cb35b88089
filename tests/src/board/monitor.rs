use std::{
    io::{BufRead, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use serde_json::{Value, json};

/// QEMU's monitor (QMP), for as long as one conversation takes: it listens to one at a time.
pub(super) struct Monitor {
    socket: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Monitor {
    /// The one that listens at `path`.
    pub(super) fn open(path: &Path) -> Monitor {
        let socket = UnixStream::connect(path).expect("QEMU listens since its start");
        let answers = BufReader::new(socket.try_clone().expect("a socket can be had twice"));
        let mut monitor = Monitor { socket, answers };
        monitor.ask("qmp_capabilities", &json!({}));
        monitor
    }

    /// Has QEMU do a command, and waits until it is done.
    pub(super) fn ask(&mut self, command: &str, arguments: &Value) {
        let question = json!({ "execute": command, "arguments": arguments });
        writeln!(self.socket, "{question}").expect("QEMU reads");
        loop {
            let answer = self.next();
            assert!(answer.get("error").is_none(), "{command}: {answer}");
            if answer.get("return").is_some() {
                return;
            }
        }
    }

    /// Resets the machine. The command is done when it was heard; this waits until it was obeyed.
    pub(super) fn reset(&mut self) {
        let question = json!({ "execute": "system_reset" });
        writeln!(self.socket, "{question}").expect("QEMU reads");
        let (mut is_heard, mut is_done) = (false, false);
        while !(is_heard && is_done) {
            let answer = self.next();
            is_heard |= answer.get("return").is_some();
            is_done |= answer["event"] == "RESET";
        }
    }

    /// The next answer or event.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line).expect("QEMU answers");
        assert_ne!(read, 0, "QEMU ended");
        serde_json::from_str(&line).expect("QEMU speaks JSON")
    }
}
