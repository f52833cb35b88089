use super::{program::Program, *};

const EVENT: &[u8] = br#"{"id":"1","data":{"n":2,"l":[1,2,3],"exact":100000000000000000001}}"#;

fn run(program: &str) -> Outcome {
    Program::compile(program).unwrap().run(EVENT)
}

fn made(values: &[&str]) -> Outcome {
    Outcome::Made(values.iter().map(|it| it.as_bytes().to_vec()).collect())
}

#[test]
fn a_program_makes_values_of_an_event() {
    assert_eq!(run(".data.l[]"), made(&["1", "2", "3"]));
    assert_eq!(
        run("{n: (.data.n * 21), t: \"a\\nb\"}"),
        made(&[r#"{"n":42,"t":"a\nb"}"#])
    );
    assert_eq!(run(".data.exact"), made(&["100000000000000000001"]));
    assert_eq!(run("select(.id == \"2\")"), made(&[]));
    assert_eq!(
        run("\"2026-11-21T10:00:00Z\" | fromdate"),
        made(&["1795255200"])
    );
    assert_eq!(
        run("[.data.l[] | select(. > 1)] | add | tostring | test(\"5\")"),
        made(&["true"])
    );
}

#[test]
fn what_a_program_says_is_wrong_fails_the_event() {
    assert_eq!(
        run("error(\"no pump\")"),
        Outcome::Error("no pump".to_owned())
    );
    assert!(matches!(run(".data.n.x"), Outcome::Error(_)));
}

#[test]
fn an_event_over_which_a_program_cannot_be_run_fails_and_the_next_does_not() {
    let program = Program::compile(".data.s * .data.n").unwrap();
    let event = |n: i64| format!(r#"{{"data":{{"s":"ab","n":{n}}}}}"#);
    let failed = program.run(event(i64::MAX).as_bytes());
    assert!(matches!(failed, Outcome::Error(_)), "{failed:?}");
    assert_eq!(program.run(event(2).as_bytes()), made(&["\"abab\""]));
}

#[test]
fn a_process_that_ends_amid_an_event_is_that_events_failure() {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};
    let died = |is_taken, status| client::outcome_of_death(is_taken, ExitStatus::from_raw(status));
    for status in [0, 101 << 8] {
        assert!(matches!(died(true, status), Ok(Outcome::Error(_))));
        assert!(died(false, status).is_err(), "it had no event");
    }
    assert_eq!(died(true, 9).unwrap(), Outcome::Killed(Limit::Cpu));
    assert_eq!(died(true, 6).unwrap(), Outcome::Killed(Limit::Memory));
    // Somebody told it to end.
    assert!(died(true, 15).is_err());
}

#[test]
fn no_program_reaches_outside_of_itself() {
    let withheld = [
        "debug",
        "debug_empty",
        "env",
        "halt",
        "halt_error",
        "input",
        "input_filename",
        "inputs",
        "localtime",
        "now",
        "stderr",
        "stderr_empty",
        "strflocaltime",
    ];
    let calls = withheld.iter().flat_map(|name| {
        let arguments = ["", "(1)", "(1; 2)"];
        arguments.map(|it| format!("{name}{it}"))
    });
    for program in calls.chain(
        [
            "$ENV",
            "$ENV.PATH",
            "$__prog_args",
            "$__loc__",
            "input_line_number",
            "get_search_list",
            "getpath(env)",
            "import \"a\" as a; 1",
            "include \"a\"; 1",
            "import \"a\" as $a; $a",
            "import \"a\" as $a; 1",
        ]
        .map(str::to_owned),
    ) {
        let refused = check(&program);
        assert!(refused.is_err(), "{program}");
        assert!(refused.is_err_and(|it| !it.is_empty()), "{program}");
    }
}

#[test]
fn what_is_no_program_is_refused_with_what_is_wrong_however_deep_it_is() {
    for (program, error) in [
        (".data | no_such", "there is no filter `no_such`"),
        (".data |", "expected"),
        ("\"open", "expected"),
        ("$x", "`$x`"),
    ] {
        let refused = check(program).unwrap_err();
        assert!(refused.contains(error), "{program}: {refused}");
    }
    for open in ["(", "[", "{a:", "-", "if ", "try ", "def f: "] {
        let deep = open.repeat(MAX_PROGRAM_BYTES / open.len());
        assert!(check(&deep).is_err(), "{open}");
    }
    let deep = "[".repeat(MAX_PROGRAM_BYTES / 2) + &"]".repeat(MAX_PROGRAM_BYTES / 2);
    assert_eq!(check(&deep), Ok(()));
    let long = " ".repeat(MAX_PROGRAM_BYTES) + ".";
    assert!(check(&long).unwrap_err().contains("at most"));
}

#[test]
fn what_is_made_is_bounded_in_values_and_bytes() {
    assert_eq!(run(&format!("range({MAX_MADE})")), {
        let values: Vec<String> = (0..MAX_MADE).map(|it| it.to_string()).collect();
        made(&values.iter().map(String::as_str).collect::<Vec<_>>())
    });
    assert_eq!(run(&format!("range({})", MAX_MADE + 1)), Outcome::TooMuch);
    assert_eq!(run(&format!("repeat({})", MAX_MADE + 1)), Outcome::TooMuch);
    let text = |bytes: usize| format!("\"x\" * {}", bytes - 2);
    assert!(matches!(run(&text(MAX_MADE_BYTES)), Outcome::Made(_)));
    assert_eq!(run(&text(MAX_MADE_BYTES + 1)), Outcome::TooMuch);
    let half = MAX_MADE_BYTES / 2;
    assert!(matches!(
        run(&format!("{0}, {0}", text(half))),
        Outcome::Made(_)
    ));
    assert_eq!(run(&format!("{0}, {0}, 1", text(half))), Outcome::TooMuch);
}

#[test]
fn an_answer_comes_as_it_was_given() {
    for outcome in [
        made(&[]),
        made(&["1"]),
        made(&["{\"a\":[1,2]}", "\"x\\ny\"", "null"]),
        Outcome::NoProgram("why".to_owned()),
        Outcome::Error("words".to_owned()),
        Outcome::TooMuch,
        Outcome::NoJson,
    ] {
        let mut bytes = Vec::new();
        wire::write(&mut bytes, &outcome).unwrap();
        assert_eq!(wire::read(&mut &bytes[..]).unwrap(), outcome);
        bytes.pop();
        assert!(wire::read(&mut &bytes[..]).is_err());
    }
    let endless = [0, 0xFF, 0xFF, 0xFF, 0x7F];
    assert!(wire::read(&mut &endless[..]).is_err());
}
