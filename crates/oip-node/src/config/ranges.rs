//! Addresses of the network, one or many (`OIP_GUN_RELAY_DELETES_FROM`). Owns how a range is written.

use std::net::IpAddr;

/// Most ranges in a list: each is looked at for every put that marks a record.
pub const RANGES_MAX: usize = 64;

/// An address, or all that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    base: IpAddr,
    bits: u32,
}

impl AddressRange {
    /// Reads `172.18.0.5`, `172.18.0.0/16`, `fd00::/8`.
    ///
    /// # Errors
    /// What is wrong with it, to follow the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || {
            "is no address or range; give addresses such as 172.18.0.5, or ranges such as 172.18.0.0/16, separated by commas"
                .to_owned()
        };
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = base.trim().parse().map_err(|_| form())?;
        let base = base.to_canonical();
        let bits_max = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.trim().parse().map_err(|_| form())?,
            None => bits_max,
        };
        if bits > bits_max {
            return Err(form());
        }
        Ok(Self { base, bits })
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let begins_alike = |ours: u128, theirs: u128, width: u32| {
            let differs = ours ^ theirs;
            self.bits == 0 || differs >> (width - self.bits) == 0
        };
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                begins_alike(ours.to_bits().into(), theirs.to_bits().into(), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                begins_alike(ours.to_bits(), theirs.to_bits(), 128)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_what_begins_alike() {
        for (range, inside, outside) in [
            ("172.18.0.5", "172.18.0.5", "172.18.0.6"),
            ("172.18.0.0/16", "172.18.255.1", "172.19.0.1"),
            ("10.0.0.0/9", "10.127.0.1", "10.128.0.1"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("127.0.0.1", "::ffff:127.0.0.1", "127.0.0.2"),
        ] {
            let range = AddressRange::parse(range).unwrap();
            assert!(range.holds(inside.parse().unwrap()), "{inside}");
            assert!(!range.holds(outside.parse().unwrap()), "{outside}");
        }
        for wrong in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.0/x",
            "10.0.0/8",
            "::/129",
        ] {
            assert!(AddressRange::parse(wrong).is_err(), "{wrong}");
        }
    }
}
