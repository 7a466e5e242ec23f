//! Resolves the host name of a URL to addresses.

use super::failure::{Cause, Phase};
use super::lookups;
use super::wait::Waiters;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// More addresses than any host has that are worth trying.
const ADDRESSES_MAX: usize = 16;

/// The resolver that ureq calls.
#[derive(Debug)]
pub(super) struct Lookup {
    waiters: Arc<Waiters>,
}

impl Lookup {
    pub(super) fn new(waiters: Arc<Waiters>) -> Lookup {
        Lookup { waiters }
    }

    fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ureq::Error> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        // RFC 6761: the name is this host, whatever a name server says.
        if bare.eq_ignore_ascii_case("localhost") {
            return Ok(vec![
                SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
                SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port),
            ]);
        }
        let waiter = self.waiters.newest();
        waiter.reach(Phase::Resolve);
        let lookup =
            lookups::start(bare, waiter.poller()).map_err(|error| waiter.stop_io(&error))?;
        waiter.wait_until(|| lookup.is_done())?;
        match lookup.answer() {
            Ok(addresses) if addresses.is_empty() => {
                Err(waiter.stop(Cause::Dns, "the name has no address"))
            }
            Ok(addresses) => Ok(addresses
                .into_iter()
                .map(|address| SocketAddr::new(address, port))
                .collect()),
            Err(text) => Err(waiter.stop(Cause::Dns, text)),
        }
    }
}

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut resolved = self.empty();
        let https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let is_target = config.proxy().is_some_and(|proxy| proxy.uri() != uri);
        if is_target {
            // The proxy resolves the server's name, but ureq requires an address.
            resolved.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
            return Ok(resolved);
        }
        let addresses = self.addresses(uri.host().unwrap_or_default(), port)?;
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            resolved.push(address);
        }
        Ok(resolved)
    }
}
