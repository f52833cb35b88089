use allocation_counter::measure;
use filters::stage::Moment;

use super::Judge;
use crate::config::Rules;

const RULES: usize = 1_000;

/// Rules as they are read from a file, with other limits in each set.
fn judge(set: usize) -> Judge {
    let rules = (0..RULES).map(|it| {
        let limit = (it + set) % 50 + 10;
        format!(
            "[[rule]]\nname = \"hot-{it}\"\npattern = '{{\"data\": {{\"device\": [\"pump-{it}\"], \"celsius\": [{{\"numeric\": [\">\", {limit}.5]}}]}}}}'\n"
        )
    });
    let texts = [("rules.toml".to_owned(), rules.collect())];
    Judge::new(Rules::compile(&texts, None, Moment(0)).unwrap())
}

#[test]
fn a_set_of_rules_that_is_replaced_gives_back_all_that_it_took() {
    let mut current = judge(0);
    let mut replace = |set: usize| {
        let mut next = judge(set);
        next.go_on_from(&mut current);
        current = next;
    };
    // Whatever is made once in a process.
    replace(1);
    let counted = measure(|| (2..12).for_each(&mut replace));
    assert!(counted.bytes_total > 10 * RULES as u64);
    assert_eq!(counted.bytes_current, 0);
}

#[test]
fn a_rule_in_use_takes_less_than_a_kilobyte() {
    drop(judge(0));
    let mut kept = None;
    let counted = measure(|| kept = Some(judge(1)));
    let each = counted.bytes_current / RULES as i64;
    assert!(each < 1_000, "{each} bytes for each rule");
}
