//! Payloads that say which message they are, in any size.

/// A payload of about `bytes` for the message of this number.
pub(crate) fn payload(number: usize, bytes: usize) -> Vec<u8> {
    let mut payload = number.to_string().into_bytes();
    payload.resize(payload.len() + number * 37 % bytes, b' ');
    payload
}

/// The number of the message that this payload carries.
pub(crate) fn number_in(payload: &[u8]) -> usize {
    let text = std::str::from_utf8(payload).expect("a payload as published");
    text.trim_end().parse().expect("a payload as published")
}
