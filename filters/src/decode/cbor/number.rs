use super::CborProblem;

/// Bytes of a bignum: its decimal form takes time in proportion to their square.
const MAX_BIGNUM_BYTES: usize = 256;
/// Decimal digits that a limb holds.
const LIMB_DIGITS: usize = 9;
const LIMB: u64 = 1_000_000_000;

/// Writes the number whose big-endian magnitude this is, or -1 less it.
pub(super) fn put_bignum(
    json: &mut Vec<u8>,
    bytes: &[u8],
    negative: bool,
) -> Result<(), CborProblem> {
    let zeros = bytes.iter().take_while(|it| **it == 0).count();
    let bytes = bytes.get(zeros..).unwrap_or_default();
    if bytes.len() > MAX_BIGNUM_BYTES {
        return Err(CborProblem::TooLarge);
    }
    // Little-endian limbs of the decimal magnitude.
    let mut limbs: Vec<u64> = Vec::new();
    for byte in bytes {
        multiply_add(&mut limbs, 256, u64::from(*byte));
    }
    if negative {
        multiply_add(&mut limbs, 1, 1);
        json.push(b'-');
    }
    let mut limbs = limbs.iter().rev();
    let first = limbs.next().copied().unwrap_or(0);
    json.extend_from_slice(first.to_string().as_bytes());
    for limb in limbs {
        json.extend_from_slice(format!("{limb:0width$}", width = LIMB_DIGITS).as_bytes());
    }
    Ok(())
}

/// Writes a float; what JSON has no number for is `null`.
pub(super) fn put_float(json: &mut Vec<u8>, value: f64) {
    match serde_json::Number::from_f64(value) {
        Some(number) => json.extend_from_slice(number.to_string().as_bytes()),
        None => json.extend_from_slice(b"null"),
    }
}

fn multiply_add(limbs: &mut Vec<u64>, factor: u64, addend: u64) {
    let mut carry = addend;
    for limb in limbs.iter_mut() {
        let value = *limb * factor + carry;
        *limb = value % LIMB;
        carry = value / LIMB;
    }
    if carry > 0 {
        limbs.push(carry);
    }
}
