//! The client's address behind proxies: a trusted proxy names its client in a header or with the
//! PROXY protocol. Anyone else's claim is ignored.

use hyper::HeaderMap;
use hyper::header::{FORWARDED, HeaderName};
use ipnet::IpNet;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The header in which proxies name their clients. Only one is read: a proxy passes on headers that
/// it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Header {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// The proxies in front of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    pub trusted: Vec<IpNet>,
    pub header: Header,
    /// Their connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
}

impl Proxies {
    /// Whether the address is one of theirs.
    pub fn trusts(&self, address: IpAddr) -> bool {
        // An IPv4 address may be written as an IPv6 one.
        let address = address.to_canonical();
        self.trusted.iter().any(|net| net.contains(&address))
    }

    /// The address of the client whose request came over a connection from `peer`: the last address
    /// that is not a trusted proxy's.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.trusted.is_empty() || !self.trusts(peer) {
            return peer;
        }
        let name = match self.header {
            Header::XForwardedFor => X_FORWARDED_FOR,
            Header::Forwarded => FORWARDED,
        };
        let lines = headers.get_all(name).into_iter();
        let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
        let hops = lines.iter().rev().flat_map(|line| {
            let mut hops = elements(line);
            hops.reverse();
            hops
        });
        let mut client = peer;
        for hop in hops {
            let named = match self.header {
                Header::XForwardedFor => Some(hop),
                Header::Forwarded => for_of(hop),
            };
            // An entry that hides its address also hides those before it.
            let Some(address) = named.and_then(address) else {
                break;
            };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        client
    }
}

/// The elements of a list; commas inside quotes do not separate.
fn elements(line: &str) -> Vec<&str> {
    let (mut elements, mut start, mut is_quoted) = (Vec::new(), 0, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                elements.push(line[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    elements.push(line[start..].trim());
    elements
}

/// The value of `for=` in an element of `Forwarded`.
fn for_of(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let is_for = name.trim().eq_ignore_ascii_case("for");
        is_for.then(|| value.trim().trim_matches('"'))
    })
}

/// Parses an address with an optional port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.unwrap_or(text).parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn proxies(header: Header) -> Proxies {
        Proxies {
            trusted: ["10.0.0.0/8", "2001:db8:1::/48"]
                .map(|net| net.parse().unwrap())
                .into(),
            header,
            proxy_protocol: false,
        }
    }

    fn client(header: Header, peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        let name = match header {
            Header::XForwardedFor => X_FORWARDED_FOR,
            Header::Forwarded => FORWARDED,
        };
        for line in lines {
            headers.append(&name, HeaderValue::from_str(line).unwrap());
        }
        proxies(header)
            .client(peer.parse().unwrap(), &headers)
            .to_string()
    }

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        let of = |peer, lines: &[&str]| client(Header::XForwardedFor, peer, lines);
        for (lines, expected) in [
            (&["203.0.113.7"][..], "203.0.113.7"),
            (&["203.0.113.7:4711"], "203.0.113.7"),
            (&["198.51.100.1, 203.0.113.7, 10.2.3.4"], "203.0.113.7"),
            (&["198.51.100.1", "203.0.113.7", "10.2.3.4"], "203.0.113.7"),
            (&["2001:db8::1, [2001:db8:1::2]:80"], "2001:db8::1"),
            (&["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
            (&["203.0.113.7, unknown, 10.2.3.4"], "10.2.3.4"),
            (&["whatever"], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(of("10.0.0.1", lines), expected, "{lines:?}");
            assert_eq!(
                of("::ffff:10.0.0.1", lines).replace("::ffff:", ""),
                expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn nobody_else_is_believed() {
        assert_eq!(
            client(Header::XForwardedFor, "203.0.113.1", &["10.0.0.7"]),
            "203.0.113.1"
        );
        assert_eq!(
            client(Header::Forwarded, "203.0.113.1", &["for=10.0.0.7"]),
            "203.0.113.1"
        );
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.7"));
        let other_header = proxies(Header::Forwarded).client([10, 0, 0, 1].into(), &headers);
        assert_eq!(other_header, IpAddr::from([10, 0, 0, 1]));
    }

    #[test]
    fn the_header_of_rfc_7239_is_read_with_its_quotes() {
        let of = |lines: &[&str]| client(Header::Forwarded, "10.0.0.1", lines);
        for (lines, expected) in [
            (
                &["for=203.0.113.7;proto=https;by=10.0.0.1"][..],
                "203.0.113.7",
            ),
            (&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (
                &["for=198.51.100.1, for=203.0.113.7, for=10.2.3.4"],
                "203.0.113.7",
            ),
            (&["for=\"a,b\", for=203.0.113.7"], "203.0.113.7"),
            (&["for=203.0.113.7, for=_hidden"], "10.0.0.1"),
            (&["proto=https"], "10.0.0.1"),
        ] {
            assert_eq!(of(lines), expected, "{lines:?}");
        }
    }
}
