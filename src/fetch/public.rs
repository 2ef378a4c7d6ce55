//! Which addresses are those of the public internet (RFC 6890, and IANA's registries of special-purpose addresses).
//!
//! An IPv6 address that carries an IPv4 address within is as public as that one: a network may well lead it there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that are not public.
const SPECIAL_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // behind a carrier's NAT
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, metadata of clouds
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // IETF protocols
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // relays of 6to4
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, broadcast
];

/// Networks within `2000::/3`, the only one from which public IPv6 addresses come, that are not public.
const SPECIAL_V6: [([u16; 2], u32); 3] = [
    ([0x2001, 0], 23),     // IETF protocols, Teredo
    ([0x2001, 0xdb8], 32), // documentation
    ([0x3fff, 0], 20),     // documentation
];

/// Whether an address is one of the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match inner(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(network, bits): &([u8; 4], u32)| {
        (address.to_bits() ^ Ipv4Addr::from(*network).to_bits()).leading_zeros() >= *bits
    };
    !SPECIAL_V4.iter().any(within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let start = u32::from(first) << 16 | u32::from(second);
    let within = |([one, two], bits): &([u16; 2], u32)| {
        (start ^ (u32::from(*one) << 16 | u32::from(*two))).leading_zeros() >= *bits
    };
    first >> 13 == 1 && !SPECIAL_V6.iter().any(within)
}

/// The IPv4 address within: mapped (`::ffff:0:0/96`), behind NAT64 (`64:ff9b::/96`) or 6to4 (`2002::/16`).
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bytes = address.octets();
    let four = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(four(12)),
        [0x2002, ..] => Some(four(2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v6_forms(address: Ipv4Addr, rest: u64) -> [Ipv6Addr; 3] {
        let bits = u128::from(address.to_bits());
        let nat64 = 0x0064_ff9b_u128 << 96;
        let six_to_four = 0x2002_u128 << 112 | bits << 80 | u128::from(rest);
        [address.to_ipv6_mapped(), (nat64 | bits).into(), six_to_four.into()]
    }

    proptest! {
        #[test]
        fn no_address_that_std_knows_to_be_special_is_public(bits: u32) {
            let address = Ipv4Addr::from(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!(special && is_public(address.into())), "{address}");
        }

        #[test]
        fn an_ipv4_address_is_as_public_in_ipv6_clothes(bits: u32, near in 0..SPECIAL_V4.len(), take_near: bool, rest: u64) {
            let (network, length) = SPECIAL_V4[near];
            let inside = Ipv4Addr::from(network).to_bits() | bits & (u32::MAX >> length);
            let address = Ipv4Addr::from(if take_near { inside } else { bits });
            prop_assert!(!take_near || !is_public(address.into()), "{address} is in {network:?}/{length}");
            for form in v6_forms(address, rest) {
                prop_assert_eq!(is_public(form.into()), is_public(address.into()), "{}", form);
            }
        }

        #[test]
        fn no_ipv6_address_that_std_knows_to_be_special_is_public(low: u128, start in prop_oneof![
            Just(0xfc00_u128), Just(0xfe80), Just(0xfec0), Just(0xff00), Just(0), Just(0x100), Just(0x5f00),
        ]) {
            let address = Ipv6Addr::from(start << 112 | low >> 16);
            prop_assume!(inner(address).is_none());
            prop_assert!(!is_public(address.into()), "{address}");
        }
    }

    #[test]
    fn these_are_public_and_those_are_not() {
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "172.32.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
        for special in [
            "0.0.0.0",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "100.64.0.1",
            "192.168.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "4000::1",
        ] {
            assert!(!is_public(special.parse().expect("an address")), "{special}");
        }
    }
}
