use super::{
    super::{MAX_LIKE_BYTES, like::LikePattern},
    check,
};

#[test]
fn patterns_match_the_whole_text() {
    check(&[
        ("'abc' LIKE 'abc'", "true"),
        ("'abc' LIKE 'ab'", "false"),
        ("'abc' LIKE 'ABC'", "false"),
        ("'abc' NOT LIKE 'abc'", "false"),
        ("'abc' NOT LIKE 'abd'", "true"),
        ("'' LIKE ''", "true"),
        ("'' LIKE '%'", "true"),
        ("'' LIKE '_'", "false"),
        ("'a' LIKE ''", "false"),
        ("'abc' LIKE '%'", "true"),
        ("'abc' LIKE '%%'", "true"),
        ("'abc' LIKE 'a%b%c'", "true"),
        ("'azzzbzzzc' LIKE 'a%b%c'", "true"),
        ("'a%b%c' LIKE 'a%b%c'", "true"),
        ("'ac' LIKE 'a%b%c'", "false"),
        ("'.ab.cde.' LIKE '.%.%.'", "true"),
        ("'ab.cde' LIKE '.%.%.'", "false"),
        ("'aba' LIKE 'ab%ba'", "false"),
        ("'abba' LIKE 'ab%ba'", "true"),
        ("'a' LIKE 'a%a'", "false"),
        ("'abcabc' LIKE '%abc'", "true"),
        ("'xabcabx' LIKE '%abc%abc%'", "false"),
        ("'a_b_c' LIKE 'a_b_c'", "true"),
        ("'azbzc' LIKE 'a_b_c'", "true"),
        ("'abc' LIKE 'a_b_c'", "false"),
        ("'abc' LIKE '___'", "true"),
        ("'abc' LIKE '__'", "false"),
        ("'abc' LIKE '%__'", "true"),
        ("'abc' LIKE '%____%'", "false"),
        ("'xaybz' LIKE '%a_b%'", "true"),
        ("'xaab' LIKE '%a_b%'", "true"),
        ("'xab' LIKE '%a_b%'", "false"),
        ("subject LIKE 'Gr__e'", "true"),
        ("subject LIKE '%_ße'", "true"),
        ("'👩x' LIKE '_x'", "true"),
        ("time LIKE '2026-11-21T%+01:00'", "true"),
    ]);
}

#[test]
fn a_backslash_makes_wildcards_literal_and_stands_for_itself_elsewhere() {
    check(&[
        (r"'a_b' LIKE 'a\_b'", "true"),
        (r"'azb' LIKE 'a\_b'", "false"),
        (r"'a%b' LIKE 'a\%b'", "true"),
        (r"'azb' LIKE 'a\%b'", "false"),
        (r"'azb%' LIKE 'a%\%'", "true"),
        (r"'ab\c' LIKE 'ab\c'", "true"),
        (r"path LIKE 'a\b'", "true"),
        (r"path LIKE 'a_b'", "true"),
        (r"'a\%' LIKE 'a\\%'", "true"),
        (r"'a\b' LIKE 'a\\%'", "false"),
        (r"'it\'s' LIKE 'it\'_'", "true"),
    ]);
}

#[test]
fn other_types_are_matched_by_their_text() {
    check(&[
        ("234 LIKE '23_'", "true"),
        ("2344 LIKE '23_'", "false"),
        ("-5 LIKE '-%'", "true"),
        ("TRUE LIKE 'tr%'", "true"),
        ("FALSE LIKE '%ue'", "false"),
        ("int LIKE '10'", "true"),
        ("missing LIKE '%'", "false missingAttribute"),
        ("missing NOT LIKE '%'", "false missingAttribute"),
        ("1 + 2 LIKE '2'", "2"),
    ]);
}

/// Tries every way to match, one character at a time.
fn matches_slowly(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        (['%', rest @ ..], text) => {
            (0..=text.len()).any(|skipped| matches_slowly(rest, &text[skipped..]))
        }
        (['\\', wildcard @ ('%' | '_'), rest @ ..], text) => {
            text.first() == Some(wildcard) && matches_slowly(rest, &text[1..])
        }
        (['_', rest @ ..], text) => !text.is_empty() && matches_slowly(rest, &text[1..]),
        ([char, rest @ ..], text) => text.first() == Some(char) && matches_slowly(rest, &text[1..]),
    }
}

#[test]
fn random_patterns_match_what_trying_every_way_matches() {
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let mut matched = 0;
    for _ in 0..20_000 {
        let mut word = |alphabet: &[char], longest| -> Vec<char> {
            let length = random.usize(..longest);
            (0..length)
                .map(|_| alphabet[random.usize(..alphabet.len())])
                .collect()
        };
        let pattern = word(&['a', 'b', 'ß', '_', '%', '\\'], 9);
        let text = word(&['a', 'b', 'ß', '%', '\\'], 12);
        let expected = matches_slowly(&pattern, &text);
        let (pattern, text): (String, String) = (pattern.iter().collect(), text.iter().collect());
        let matches = LikePattern::parse(&pattern).matches(&text);
        assert_eq!(matches, expected, "{text:?} LIKE {pattern:?}");
        matched += usize::from(matches);
    }
    assert!(
        matched > 1_000,
        "too few matched to mean anything: {matched}"
    );
}

#[test]
fn runs_with_underscores_longer_than_a_word_of_bits_are_found() {
    let run = format!("{}_{}", "a".repeat(100), "b".repeat(100));
    let pattern = LikePattern::parse(&format!("%{run}%"));
    let hit = run.replace('_', "x");
    assert!(pattern.matches(&format!("aaa{hit}bbb")));
    assert!(!pattern.matches(&hit.replacen('a', "", 1)));
}

#[test]
fn the_worst_pattern_takes_one_pass() {
    // Found by trying every way, this would not end.
    let text = "a".repeat(65_535);
    let dense = "%a_".repeat(MAX_LIKE_BYTES / 3);
    assert!(LikePattern::parse(&dense).matches(&text));
    let long = format!("%{}_b%", "a".repeat(MAX_LIKE_BYTES - 4));
    assert!(!LikePattern::parse(&long).matches(&text));
}
