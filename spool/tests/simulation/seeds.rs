//! Which seeds to run, and which one failed.

#![expect(
    clippy::print_stderr,
    reason = "a seed that fails says how to repeat it"
)]

use std::ops::Range;

const DEFAULT: u64 = 300;

/// Runs `test` with every seed; a failing one names itself and the command that repeats it.
pub fn each(name: &str, test: impl Fn(u64)) {
    for seed in range(std::env::var("SPOOL_SEEDS").ok().as_deref()) {
        let _named = Named { name, seed };
        test(seed);
    }
}

fn range(text: Option<&str>) -> Range<u64> {
    let number = |text: &str| {
        text.trim()
            .parse()
            .expect("SPOOL_SEEDS is a count or from..to")
    };
    match text.map(|text| {
        text.split_once("..")
            .map(|(from, to)| number(from)..number(to))
            .ok_or(text)
    }) {
        None => 0..DEFAULT,
        Some(Ok(range)) => range,
        Some(Err(count)) => 0..number(count),
    }
}

struct Named<'a> {
    name: &'a str,
    seed: u64,
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (name, seed) = (self.name, self.seed);
            eprintln!("seed {seed} failed; repeat it with");
            eprintln!(
                "  SPOOL_SEEDS={seed}..{} cargo test -p spool --test simulation {name}",
                seed + 1
            );
        }
    }
}

#[test]
fn seeds_are_a_count_or_a_range() {
    assert_eq!(range(None), 0..DEFAULT);
    assert_eq!(range(Some("17")), 0..17);
    assert_eq!(range(Some("40..41")), 40..41);
}
