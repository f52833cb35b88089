use std::borrow::Cow;

/// The text after Unicode simple case folding: each character alone, never more of them, so that `ß` is not `ss`.
pub fn fold_case(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|it| it.is_ascii() && !it.is_ascii_uppercase())
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(fold).collect())
}
pub(crate) fn fold_into(text: &str, out: &mut Vec<u8>) {
    if text.is_ascii() {
        out.extend(text.bytes().map(|it| it.to_ascii_lowercase()));
        return;
    }
    let mut buffer = [0; 4];
    for character in text.chars() {
        out.extend_from_slice(fold(character).encode_utf8(&mut buffer).as_bytes());
    }
}

/// Simple folding is the small letter of the capital letter, save for the few characters named here.
fn fold(character: char) -> char {
    match character {
        _ if character.is_ascii() => character.to_ascii_lowercase(),
        // The dotless i has a capital letter, but is no form of it.
        'ı' => 'ı',
        // Equal letters that Unicode encodes twice, without simple mappings between them.
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' => '\u{fb06}',
        _ => {
            let capital = alone(character.to_uppercase()).unwrap_or(character);
            // Cherokee folds to its capital letters, which are the older ones.
            if ('\u{13a0}'..='\u{13f5}').contains(&capital) {
                return capital;
            }
            alone(capital.to_lowercase()).unwrap_or(capital)
        }
    }
}

fn alone(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    match (mapped.next(), mapped.next()) {
        (Some(character), None) => Some(character),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
