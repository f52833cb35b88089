use clap::ValueEnum;

/// A board and where it keeps its block. `boards/*/memory.x` (esp32c3: `partitions.csv`) leaves that room free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Board {
    /// QEMU's mps2-an385.
    Mps2,
    /// Raspberry Pi Pico W.
    PicoW,
    /// ST NUCLEO-H753ZI.
    NucleoH7,
    /// An ESP32-C3 with 4 MiB of flash.
    Esp32c3,
}

impl Board {
    /// Where the first copy is: an address of the processor, for the ESP32-C3 an offset into its flash.
    #[must_use]
    pub const fn address(self) -> u32 {
        match self {
            Board::Mps2 => 0x2100_1000,
            Board::PicoW => 0x101f_e000,
            Board::NucleoH7 => 0x081c_0000,
            Board::Esp32c3 => 0x003f_e000,
        }
    }

    /// How far the second copy is from the first: the least this flash can erase.
    #[must_use]
    pub const fn erase_bytes(self) -> usize {
        match self {
            Board::Mps2 | Board::PicoW | Board::Esp32c3 => 4096,
            Board::NucleoH7 => 128 * 1024,
        }
    }

    /// Whether it joins a wireless network.
    #[must_use]
    pub const fn wireless(self) -> bool {
        matches!(self, Board::PicoW | Board::Esp32c3)
    }

    /// The command that brings `file` to where the board looks for it.
    #[must_use]
    pub fn flash_command(self, file: &str) -> String {
        let address = self.address();
        match self {
            Board::Mps2 => {
                format!(
                    "qemu-system-arm … -device loader,file={file},addr={address:#x},force-raw=on"
                )
            }
            Board::PicoW => format!("picotool load {file} -t bin -o {address:#x}"),
            Board::NucleoH7 => format!(
                "probe-rs download --chip STM32H753ZITx --binary-format bin --base-address {address:#x} {file}"
            ),
            Board::Esp32c3 => format!("espflash write-bin {address:#x} {file}"),
        }
    }
}
