use super::fold_case;

#[test]
fn folding_is_unicode_simple_case_folding() {
    let same = [
        ("PUMP-7", "pump-7"),
        ("ΜΆΪΟΣ", "μάϊος"),
        ("ſ", "S"),
        ("K", "k"),
        ("Å", "å"),
        ("ẞ", "ß"),
        ("Ꭰ", "ꭰ"),
        ("ǅ", "ǆ"),
        ("ς", "Σ"),
        ("\u{fb05}", "\u{fb06}"),
        ("ᾈ", "ᾀ"),
    ];
    for (one, other) in same {
        assert_eq!(fold_case(one), fold_case(other), "{one} and {other}");
    }
    for (one, other) in [("ß", "ss"), ("ı", "i"), ("İ", "i"), ("ŉ", "ʼn"), ("a", "b")] {
        assert_ne!(fold_case(one), fold_case(other), "{one} and {other}");
    }
}

#[test]
fn folding_agrees_with_the_tables_of_regex_syntax_for_every_character() {
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
    for character in '\0'..=char::MAX {
        let mut class = ClassUnicode::new([ClassUnicodeRange::new(character, character)]);
        class.case_fold_simple();
        let folded = fold_case(&character.to_string()).into_owned();
        for range in class.ranges() {
            for other in range.start()..=range.end() {
                assert_eq!(
                    fold_case(&other.to_string()),
                    folded,
                    "{character} and {other}"
                );
            }
        }
    }
}

#[test]
fn characters_fold_together_only_if_unicode_says_so() {
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
    let mut folded: std::collections::BTreeMap<_, Vec<char>> = std::collections::BTreeMap::new();
    for character in '\0'..=char::MAX {
        let key = fold_case(&character.to_string()).into_owned();
        folded.entry(key).or_default().push(character);
    }
    let mut differing = Vec::new();
    for characters in folded.values().filter(|it| it.len() > 1) {
        let mut class = ClassUnicode::new([ClassUnicodeRange::new(characters[0], characters[0])]);
        class.case_fold_simple();
        let ranges = class.ranges().iter();
        let expected: Vec<char> = ranges.flat_map(|it| it.start()..=it.end()).collect();
        if *characters != expected {
            differing.extend(characters.iter().map(|it| u32::from(*it)));
        }
    }
    // Letters of Unicode 17, which the standard library knows and the tables of regex-syntax do not.
    let newer = |it: &u32| matches!(it, 0xa7ce..=0xa7d5 | 0x16ea0..=0x16ed3);
    assert_eq!(differing.iter().find(|it| !newer(it)), None);
    assert!(differing.len() < 60);
}
