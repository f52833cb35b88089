use super::Marks;

/// The same, one byte after the other, and whether all texts end.
fn expected(bytes: &[u8]) -> (Vec<usize>, bool) {
    let mut marks = Vec::new();
    let (mut in_text, mut is_escaped) = (false, false);
    for (at, byte) in bytes.iter().enumerate() {
        let was_escaped = std::mem::take(&mut is_escaped);
        match byte {
            b'\\' => is_escaped = !was_escaped,
            b'"' if !was_escaped => {
                marks.push(at);
                in_text = !in_text;
            }
            b'{' | b'}' | b'[' | b']' | b',' if !in_text => marks.push(at),
            _ => {}
        }
    }
    (marks, !in_text)
}

#[test]
fn marks_are_those_that_a_walk_over_the_bytes_finds() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut marks = Marks::default();
    for _ in 0..3_000 {
        let length = random.usize(0..300);
        let alphabet: &[u8] = match random.usize(0..3) {
            0 => b"\"\\a",
            1 => b"\"\\{}[],: a1;<|\x7f\xff\x00",
            _ => b"abcdefgh\"{}[],\\klmnop",
        };
        let bytes: Vec<u8> = (0..length)
            .map(|_| alphabet[random.usize(0..alphabet.len())])
            .collect();
        let ends = marks.find(&bytes);
        let mut cursor = marks.cursor();
        let found = std::iter::from_fn(|| cursor.next()).collect();
        assert_eq!((found, ends), expected(&bytes), "{}", bytes.escape_ascii());
    }
}
