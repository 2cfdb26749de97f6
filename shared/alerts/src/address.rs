//! Which addresses are of the open internet. A name that leads elsewhere than it seems is the platform's to stop: a Worker
//! reaches no private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::Host;

/// Whether a host is this machine itself.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => is_or_ends_with(&lower(name), "localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Whether a host can be one of the open internet.
pub(crate) fn is_public(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => is_public_name(&lower(name)),
        Host::Ipv4(address) => is_public_v4(*address),
        Host::Ipv6(address) => is_public_v6(*address),
    }
}

/// Names of special use (RFC 6761, 6762, 8375, 9476), and those without a dot, which only a network of its own knows.
fn is_public_name(name: &str) -> bool {
    const INNER: [&str; 7] = [
        "localhost",
        "local",
        "internal",
        "home.arpa",
        "lan",
        "test",
        "invalid",
    ];
    name.contains('.') && !INNER.iter().any(|inner| is_or_ends_with(name, inner))
}

fn is_or_ends_with(name: &str, end: &str) -> bool {
    name == end
        || name
            .strip_suffix(end)
            .is_some_and(|rest| rest.ends_with('.'))
}

fn lower(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// But for the blocks that IANA keeps for special purposes.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19)))
}

/// Of the block of global addresses alone; one that carries an IPv4 address is as public as that.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, ..] = address.segments();
    let [.., a, b, c, d] = address.octets();
    let inner = Ipv4Addr::new(a, b, c, d);
    match IpAddr::V6(address).to_canonical() {
        IpAddr::V4(mapped) => is_public_v4(mapped),
        IpAddr::V6(_) if (first, second, third) == (0x64, 0xff9b, 0) => is_public_v4(inner),
        IpAddr::V6(_) if first == 0x2002 => false,
        IpAddr::V6(_) => {
            first & 0xe000 == 0x2000 && !(first == 0x2001 && (second < 0x200 || second == 0xdb8))
        }
    }
}
