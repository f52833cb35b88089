use std::{fmt, net::IpAddr, str::FromStr};

/// A range of addresses in CIDR notation: `10.0.0.0/24`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    last: IpAddr,
    bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a network is written as an address, `/` and a number of bits, as in `10.0.0.0/24` or `2001:db8::/32`"
)]
pub struct NetworkError;

impl Network {
    /// Reads `ADDRESS/BITS`; what the address has beyond its first BITS bits is ignored.
    pub fn parse(text: &str) -> Result<Network, NetworkError> {
        let (address, bits) = text.split_once('/').ok_or(NetworkError)?;
        if bits.is_empty() || bits.len() > 3 || !bits.bytes().all(|it| it.is_ascii_digit()) {
            return Err(NetworkError);
        }
        let bits: u8 = bits.parse().map_err(|_| NetworkError)?;
        let (first, last) = match IpAddr::from_str(address).map_err(|_| NetworkError)? {
            IpAddr::V4(address) if bits <= 32 => {
                let host = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
                let first = u32::from(address) & !host;
                (IpAddr::V4(first.into()), IpAddr::V4((first | host).into()))
            }
            IpAddr::V6(address) if bits <= 128 => {
                let host = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
                let first = u128::from(address) & !host;
                (IpAddr::V6(first.into()), IpAddr::V6((first | host).into()))
            }
            _ => return Err(NetworkError),
        };
        Ok(Network { first, last, bits })
    }

    /// Whether `address` is in it; an IPv4 address is in no IPv6 network, however it may be written there.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.first <= address && address <= self.last
    }

    /// Whether `text` is an address in it.
    pub fn contains_text(&self, text: &str) -> bool {
        IpAddr::from_str(text).is_ok_and(|address| self.contains(address))
    }

    /// Its first and its last address.
    pub(crate) fn bounds(&self) -> (IpAddr, IpAddr) {
        (self.first, self.last)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.first, self.bits)
    }
}
