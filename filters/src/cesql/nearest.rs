/// The word that `wrong` probably stands for: the closest one, if at most a third of its letters differ. Case is ignored.
pub(crate) fn nearest<'a>(wrong: &str, words: &[&'a str]) -> Option<&'a str> {
    // Nobody misspells a word into one of another length; the bound keeps the comparison cheap.
    if wrong.len() > 32 {
        return None;
    }
    let closest = words.iter().map(|word| (distance(wrong, word), *word));
    let (distance, word) = closest.min_by_key(|(distance, _)| *distance)?;
    (distance <= word.len().div_ceil(3).min(2)).then_some(word)
}

/// Letters to insert, remove, replace or swap with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<u8> = left.bytes().map(|it| it.to_ascii_uppercase()).collect();
    let right: Vec<u8> = right.bytes().map(|it| it.to_ascii_uppercase()).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    let mut previous_left = None;
    for (i, &a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        let mut previous_right = None;
        for (j, &b) in right.iter().enumerate() {
            let replaced = at(&row, j) + usize::from(a != b);
            let inserted = at(&next, j).min(at(&row, j + 1)) + 1;
            let mut best = replaced.min(inserted);
            if previous_left == Some(b) && previous_right == Some(a) && j > 0 {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
            previous_right = Some(b);
        }
        before = std::mem::replace(&mut row, next);
        previous_left = Some(a);
    }
    at(&row, right.len())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const WORDS: [&str; 5] = ["AND", "LIKE", "EXISTS", "LENGTH", "CONCAT_WS"];

    #[test]
    fn a_word_is_found_through_one_slip() {
        for (wrong, right) in [
            ("LIEK", "LIKE"),
            ("like", "LIKE"),
            ("lke", "LIKE"),
            ("exist", "EXISTS"),
            ("LENGHT", "LENGTH"),
            ("CONCATWS", "CONCAT_WS"),
            ("ADN", "AND"),
        ] {
            assert_eq!(nearest(wrong, &WORDS), Some(right), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_found_for_what_is_like_no_word() {
        for wrong in ["", "between", "temperature", &"L".repeat(100)] {
            assert_eq!(nearest(wrong, &WORDS), None, "{wrong}");
        }
    }
}
