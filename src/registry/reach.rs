//! Who can reach an address: everybody, a site, a link or this machine alone.
//!
//! A registry names its token server, so it could name the metadata service of the cloud that the client
//! runs in. What a registry names may therefore be no nearer to the client than the registry itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who can reach an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Everybody.
    Public,
    /// Those of one site: RFC 1918, RFC 4193, RFC 6598 and what else is not routed.
    Private,
    /// Those on one link: RFC 3927, RFC 4291.
    LinkLocal,
    /// This machine: RFC 1122, section 3.2.1.3. An address of zeros leads here too.
    Loopback,
}

impl Reach {
    /// Who can reach `address`, in whatever form it is wrapped.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [0 | 127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [10 | 224..=255, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [100, 64..=127, ..]
            | [192, 0, 0, _]
            | [198, 18..=19, ..] => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let wrapped = |high: u16, low: u16| {
            let [[a, b], [c, d]] = [high, low].map(u16::to_be_bytes);
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Self::Loopback,
            // IPv4-compatible (RFC 4291), translated (RFC 6052) and tunnelled (RFC 3056) addresses.
            [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                wrapped(high, low)
            }
            [0x2002, high, low, ..] => wrapped(high, low),
            [0x64, 0xff9b, 1, ..] | [0xfc00..=0xfdff | 0xff00..=0xffff, ..] => Self::Private,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            _ => Self::Public,
        }
    }
}

/// What a registry within a reach has named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Naming {
    /// Its token server, which is shown credentials.
    TokenServer(Reach),
    /// A place to redirect to. A public registry may have its storage within the site that uses it.
    Storage(Reach),
}

impl Naming {
    /// Whether that may be within the reach `named`.
    pub(super) fn allows(self, named: Reach) -> bool {
        let (Self::TokenServer(registry) | Self::Storage(registry)) = self;
        match named {
            Reach::Public => true,
            Reach::Private => registry != Reach::Public || matches!(self, Self::Storage(_)),
            Reach::LinkLocal | Reach::Loopback => registry == named,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Reach {
        Reach::of(text.parse().unwrap())
    }

    #[test]
    fn an_address_is_known_in_every_form() {
        for text in ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "172.32.0.1", "100.128.0.1"] {
            assert_eq!(of(text), Reach::Public, "{text}");
        }
        for text in [
            "10.0.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::",
            "239.1.1.1",
            "ff02::1",
        ] {
            assert_eq!(of(text), Reach::Private, "{text}");
        }
        for text in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "::169.254.169.254"] {
            assert_eq!(of(text), Reach::LinkLocal, "{text}");
        }
        for text in ["127.0.0.1", "127.9.9.9", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(of(text), Reach::Loopback, "{text}");
        }
    }

    #[test]
    fn nobody_names_what_is_nearer_than_itself() {
        use Reach::{LinkLocal, Loopback, Private, Public};
        let all = [Public, Private, LinkLocal, Loopback];
        let named = |naming: Naming| all.map(|named| naming.allows(named));
        assert_eq!(named(Naming::TokenServer(Public)), [true, false, false, false]);
        assert_eq!(named(Naming::TokenServer(Private)), [true, true, false, false]);
        assert_eq!(named(Naming::TokenServer(LinkLocal)), [true, true, true, false]);
        assert_eq!(named(Naming::TokenServer(Loopback)), [true, true, false, true]);
        assert_eq!(named(Naming::Storage(Public)), [true, true, false, false]);
        assert_eq!(named(Naming::Storage(Loopback)), [true, true, false, true]);
    }
}
