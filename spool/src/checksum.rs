//! Checksums of bytes that were summed in parts.

/// CRC32C's polynomial without its highest term; the lowest bit stands for the highest power, as in the checksums.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// The eighth power of x: what multiplying by it does is what eight zero bits do to a checksum.
const BYTE: u32 = 1 << (31 - 8);

/// The checksum of bytes whose first part has the checksum `before`, and whose other `len` bytes have `behind`. Costs
/// about a microsecond whatever the length: at most two multiplications for each bit of it.
pub(crate) fn joined(before: u32, behind: u32, len: u32) -> u32 {
    let (mut shifted, mut power, mut left) = (before, BYTE, len);
    while left > 0 {
        if left & 1 == 1 {
            shifted = product(shifted, power);
        }
        power = product(power, power);
        left >>= 1;
    }
    shifted ^ behind
}

/// The product of two polynomials over GF(2), modulo CRC32C's.
fn product(left: u32, mut right: u32) -> u32 {
    let mut sum = 0;
    for bit in (0..32).rev() {
        sum ^= right & (left >> bit & 1).wrapping_neg();
        right = right >> 1 ^ POLYNOMIAL & (right & 1).wrapping_neg();
    }
    sum
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
