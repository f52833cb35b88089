//! Checksums of bytes that were summed in parts.

/// CRC32C's polynomial without its highest term; the lowest bit stands for the highest power, as in the checksums.
const POLYNOMIAL: u32 = 0x82f6_3b78;
const ONE: u32 = 1 << 31;
/// x to the power of 8, 16, 32, 64, …: what multiplying by it does is what so many zero bits do to a checksum.
const POWERS: [u32; 32] = powers();

/// The checksum of bytes whose first part has the checksum `before`, and whose other `len` bytes have `behind`. Costs some
/// hundred nanoseconds whatever the length: a multiplication for each bit set in it.
pub(crate) fn joined(before: u32, behind: u32, len: u32) -> u32 {
    let mut shifted = before;
    for (bit, power) in POWERS.iter().enumerate() {
        if len >> bit & 1 == 1 {
            shifted = product(shifted, *power);
        }
    }
    shifted ^ behind
}

/// The product of two polynomials over GF(2), modulo CRC32C's.
const fn product(left: u32, mut right: u32) -> u32 {
    let mut sum = 0;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        sum ^= right & (left >> bit & 1).wrapping_neg();
        right = right >> 1 ^ POLYNOMIAL & (right & 1).wrapping_neg();
    }
    sum
}

const fn powers() -> [u32; 32] {
    let mut powers = [ONE >> 8; 32];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = product(powers[at - 1], powers[at - 1]);
        at += 1;
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_summed_apart_have_the_sum_of_the_whole() {
        let bytes: Vec<u8> = (0..70_000u32).map(|n| (n * 7 + n / 256) as u8).collect();
        for len in [0, 1, 2, 3, 255, 256, 4_097, 65_535, 65_536, 69_992] {
            let (before, behind) = bytes[..8 + len].split_at(8);
            let sums = (crc32c::crc32c(before), crc32c::crc32c(behind));
            let whole = crc32c::crc32c(&bytes[..8 + len]);
            assert_eq!(joined(sums.0, sums.1, len as u32), whole, "{len} bytes");
        }
    }
}
