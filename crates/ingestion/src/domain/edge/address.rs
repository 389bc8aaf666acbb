//! Network addresses, cut before they are kept anywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proto::event::v1::Event;

/// Cuts the address of an event. What is no address goes: it might hold one.
pub(crate) fn cut(event: &mut Event) {
    if let Some(context) = &mut event.context
        && !context.ip.is_empty()
    {
        context.ip = cut_text(&context.ip);
    }
}

/// Returns the address cut to its network, 24 bits of an IPv4 address and 48 of an IPv6 address; empty when it is none.
/// Cutting again changes nothing.
pub(crate) fn cut_text(text: &str) -> String {
    parse(text).map(|address| network(address).to_string()).unwrap_or_default()
}

/// Reads an address with or without a port; of a list the first.
pub(super) fn parse(text: &str) -> Option<IpAddr> {
    let first = text.split(',').next()?.trim();
    if let Ok(address) = first.parse() {
        return Some(address);
    }
    if let Some(rest) = first.strip_prefix('[') {
        return rest.split_once(']')?.0.parse().ok();
    }
    first.split_once(':')?.0.parse().ok()
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_end() {
        for (text, kept) in [
            ("203.0.113.77", "203.0.113.0"),
            (" 203.0.113.77:443 ", "203.0.113.0"),
            ("203.0.113.77, 10.0.0.1", "203.0.113.0"),
            ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3::"),
            ("[2001:db8:1:2::3]:443", "2001:db8:1::"),
            ("::ffff:203.0.113.77", "203.0.113.0"),
            ("203.0.113.0", "203.0.113.0"),
            ("2001:db8:1::", "2001:db8:1::"),
            ("", ""),
            ("unknown", ""),
            ("fe80::1%eth0", ""),
        ] {
            assert_eq!(cut_text(text), kept, "{text}");
            assert_eq!(cut_text(&cut_text(text)), kept, "cut twice");
        }
    }
}
