//! Addresses in the configuration: the server's URL and the proxy's.

use crate::secret::Secret;
use crate::transport::{Proxy, authority};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use tim_proto::edges;

/// The longest host name, in bytes.
const HOST_MAX: usize = 253;

/// Where the server is. Its `Display` is the URL, which holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    pub(crate) https: bool,
    /// Without brackets, in lower case.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Starts with `/` or is empty; never ends with `/`.
    pub(crate) path_prefix: String,
}

impl ServerUrl {
    pub(super) fn parse(url: &str) -> Result<ServerUrl, String> {
        let wrong = |what: &str| {
            format!("server_url: {what}; expected something like \"https://im.example.com\"")
        };
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(wrong("white space or a control character in it"));
        }
        let (https, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err(wrong("it does not begin with https:// or http://")),
        };
        if https && cfg!(not(feature = "tls")) {
            return Err(
                "server_url: this build of libtim has no TLS, so https:// cannot be \
                        reached; use a build with TLS"
                    .to_owned(),
            );
        }
        if rest.contains(['?', '#']) {
            return Err(wrong("it has a query or a fragment"));
        }
        let (place, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if place.contains('@') {
            return Err(wrong("it has a user name or password"));
        }
        if !path.chars().all(is_path_character) {
            return Err(wrong(
                "its path has characters that a URL has in percent-encoded form only",
            ));
        }
        let default_port = if https { 443 } else { 80 };
        let (host, port) = host_and_port(place, default_port).map_err(|what| wrong(&what))?;
        Ok(ServerUrl {
            https,
            host,
            port,
            path_prefix: path.trim_end_matches('/').to_owned(),
        })
    }
}

/// RFC 3986, section 3.3.
fn is_path_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%/".contains(c)
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        let place = authority(&self.host, self.port);
        write!(f, "{scheme}://{place}{}", self.path_prefix)
    }
}

fn host_and_port(place: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest
                .split_once(']')
                .ok_or("the bracket of its IPv6 address is not closed")?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err("the text in brackets is not an IPv6 address".to_owned());
            }
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err("something follows its IPv6 address".to_owned()),
            }
        }
        None => match place.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(
                    "an IPv6 address must be in brackets, as in http://[::1]:7700".to_owned(),
                );
            }
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
        return Err("it names no host".to_owned());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if !host.chars().all(plain) {
        return Err(
            "its host has characters that no host name has (write an international name \
                    in its xn-- form)"
                .to_owned(),
        );
    }
    // A host name may end with a dot; otherwise there must be text between dots.
    let labels = host.strip_suffix('.').unwrap_or(host);
    if host.len() > HOST_MAX || labels.split('.').any(str::is_empty) {
        return Err("its host is no host name".to_owned());
    }
    let port = match port {
        None => default_port,
        Some(port) => Some(port)
            .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|port| port.parse().ok())
            .filter(|port| *port > 0)
            .ok_or("its port is not a number from 1 to 65535")?,
    };
    Ok((host.to_ascii_lowercase(), port))
}

/// Parses `http://[user:password@]host:port`. `name` is the key, for messages, which never repeat
/// the address: it may contain a password.
pub(super) fn parse_proxy(name: &str, url: &str) -> Result<Proxy, String> {
    const WANT: &str = "expected http://[user:password@]host:port, or \"env\"";
    let lower = url.to_ascii_lowercase();
    if lower.starts_with("socks") {
        return Err(format!("{name}: SOCKS proxies are not supported; {WANT}"));
    }
    if lower.starts_with("https://") {
        return Err(format!(
            "{name}: a proxy that itself is reached over TLS is not supported; {WANT}"
        ));
    }
    let rest = match lower.split_once("://") {
        Some(("http", rest)) => &url[url.len() - rest.len()..],
        Some(_) => return Err(format!("{name}: it does not begin with http://; {WANT}")),
        // As in other programs, no scheme means http://.
        None => url,
    };
    let rest = rest.trim_end_matches('/');
    let (user_info, place) = match rest.rsplit_once('@') {
        Some((user_info, place)) => (Some(user_info), place),
        None => (None, rest),
    };
    if place.contains(['/', '?', '#']) {
        return Err(format!("{name}: something follows the port; {WANT}"));
    }
    let (host, port) =
        host_and_port(place, 80).map_err(|what| format!("{name}: {what}; {WANT}"))?;
    let credentials = match user_info {
        None => None,
        Some(user_info) => {
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            let bad = || format!("{name}: its user name or password is not well encoded; {WANT}");
            Some((
                // In HTTP, the user name ends at the first colon.
                decoded(user)
                    .filter(|user| !user.contains(':'))
                    .ok_or_else(bad)?,
                Secret::new(decoded(password).ok_or_else(bad)?),
            ))
        }
    };
    Ok(Proxy {
        host,
        port,
        credentials,
    })
}

/// Percent-decodes.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
}

/// The proxy that the environment names for this server, read the way most programs do.
pub(super) fn proxy_of_environment(
    server: &ServerUrl,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, String> {
    let first = |names: &[&'static str]| {
        names
            .iter()
            .map(|name| (*name, variable(name).unwrap_or_default()))
            .map(|(name, value)| (name, edges::trimmed(&value).to_owned()))
            .find(|(_, value)| !value.is_empty())
    };
    if let Some((_, except)) = first(&["no_proxy", "NO_PROXY"]) {
        let excepted = except
            .split(|c: char| c == ',' || c.is_whitespace())
            .any(|entry| is_excepted(server, &entry.to_ascii_lowercase()));
        if excepted {
            return Ok(None);
        }
    }
    let names: &[&str] = if server.https {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        // Not HTTP_PROXY: a web server sets that for its children from a request header.
        &["http_proxy", "all_proxy", "ALL_PROXY"]
    };
    match first(names) {
        None => Ok(None),
        Some((name, url)) => parse_proxy(name, &url).map(Some),
    }
}

/// Whether an entry of `no_proxy` matches this server: `*`; a host or its domain, with or without a
/// leading `.` or `*.`, with a port or for all ports; or addresses, as in `10.0.0.0/8`.
pub(super) fn is_excepted(server: &ServerUrl, entry: &str) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        return is_within(&server.host, network, bits).unwrap_or(false);
    }
    let host = match host_and_port(entry, server.port) {
        Ok((host, port)) if port == server.port => host,
        Ok(_) => return false,
        // An IPv6 address without brackets, a leading dot, a star.
        Err(_) => match entry.trim_start_matches('*').strip_prefix('.') {
            Some(domain) => return is_excepted(server, domain),
            None => entry.to_owned(),
        },
    };
    // A dot may end a host name.
    let host = host.trim_end_matches('.');
    let rest = server.host.trim_end_matches('.').strip_suffix(host);
    !host.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether a host is an address whose first bits are those of the network. `None` if one of them is no
/// such thing.
fn is_within(host: &str, network: &str, bits: &str) -> Option<bool> {
    let network = network.trim_start_matches('[').trim_end_matches(']');
    let bits: u32 = bits.parse().ok()?;
    Some(match (host.parse().ok()?, network.parse().ok()?) {
        (IpAddr::V4(host), IpAddr::V4(network)) if bits <= 32 => {
            let differ = host.to_bits() ^ network.to_bits();
            differ.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(host), IpAddr::V6(network)) if bits <= 128 => {
            let differ = host.to_bits() ^ network.to_bits();
            differ.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    })
}
