/// CRC-32 (the one of Ethernet and zip), by nibbles: sixteen words of table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc(u32);

#[expect(
    clippy::indexing_slicing,
    reason = "a constant: the compiler would refuse a wrong index"
)]
const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut index = 0;
    while index < 16 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 4 {
            value = if value & 1 == 1 {
                (value >> 1) ^ 0xedb8_8320
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

impl Crc {
    pub(crate) fn new() -> Self {
        Crc(u32::MAX)
    }

    pub(crate) fn with(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            for nibble in [u32::from(*byte), u32::from(*byte) >> 4] {
                let [low, ..] = (self.0 ^ nibble).to_le_bytes();
                let entry = TABLE.get(usize::from(low & 0x0f)).copied().unwrap_or(0);
                self.0 = (self.0 >> 4) ^ entry;
            }
        }
        self
    }

    pub(crate) fn value(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_standard_comes_out() {
        assert_eq!(Crc::new().with(b"1234").with(b"56789").value(), 0xcbf4_3926);
    }
}
