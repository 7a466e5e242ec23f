//! The engines that hold the keys: one, or the primaries of a cluster; and the addresses of all
//! engines of a cluster.

use super::address::{Address, Engines};
use super::link::{Link, in_time, unavailable};
use super::sentinel;
use crate::store::StoreError;
use redis::{Client, cmd};
use std::ops::RangeInclusive;

/// A writable engine.
pub struct Primary {
    pub link: Link,
    /// Its hash slots.
    pub slots: Vec<RangeInclusive<u16>>,
}

/// Connects to each primary.
pub async fn all(address: &Address) -> Result<Vec<Primary>, StoreError> {
    let one = match address.engines {
        Engines::Cluster => return of_cluster(address).await,
        Engines::One => connect(&address.urls[0]).await?,
        Engines::Sentinels { .. } => {
            let client = in_time(sentinel::primary(address)).await?;
            Link::connect_to_one(&client).await?
        }
    };
    let slots = vec![0..=u16::MAX];
    Ok(vec![Primary { link: one, slots }])
}

async fn of_cluster(address: &Address) -> Result<Vec<Primary>, StoreError> {
    let nodes = nodes(address).await?;
    let mut primaries = Vec::new();
    for (host, slots) in nodes.lines().filter_map(read_primary) {
        let link = connect(&address.url_of(host)).await?;
        primaries.push(Primary { link, slots });
    }
    Ok(primaries)
}

/// The URLs of a cluster's live engines, including replicas.
pub async fn urls_of_cluster(address: &Address) -> Result<Vec<String>, StoreError> {
    let nodes = nodes(address).await?;
    let hosts = nodes.lines().filter_map(read).map(|node| node.host);
    Ok(hosts.map(|host| address.url_of(host)).collect())
}

/// A cluster's list of its engines.
async fn nodes(address: &Address) -> Result<String, StoreError> {
    let mut failure = None;
    // Any live engine knows the others.
    for url in &address.urls {
        let request = async {
            let link = connect(url).await?;
            link.query(cmd("CLUSTER").arg("NODES")).await
        };
        match request.await {
            Ok(nodes) => return Ok(nodes),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| StoreError::Failed("there is no address".to_owned())))
}

async fn connect(url: &str) -> Result<Link, StoreError> {
    let client = Client::open(url).map_err(|error| unavailable(&error))?;
    Link::connect_to_one(&client).await
}

/// A live engine of a cluster.
struct Node<'a> {
    host: &'a str,
    is_primary: bool,
    slots: Vec<RangeInclusive<u16>>,
}

/// Parses a line of `CLUSTER NODES`: `ID HOST:PORT@BUS FLAGS PRIMARY PING PONG EPOCH STATE
/// SLOTS...`. `None` if the engine is dead.
fn read(line: &str) -> Option<Node<'_>> {
    let mut fields = line.split(' ').skip(1);
    let (place, mut flags) = (fields.next()?, fields.next()?.split(','));
    if flags
        .clone()
        .any(|flag| matches!(flag, "fail" | "noaddr" | "handshake"))
    {
        return None;
    }
    let slots = fields.skip(5).filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    Some(Node {
        host: place.split(['@', ',']).next()?,
        is_primary: flags.any(|flag| flag == "master"),
        slots: slots.collect(),
    })
}

fn read_primary(line: &str) -> Option<(&str, Vec<RangeInclusive<u16>>)> {
    let node = read(line)?;
    node.is_primary.then_some((node.host, node.slots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primaries_that_live_are_read_with_their_slots() {
        let line = "07c3 127.0.0.1:30001@31001,host master - 0 1426238317239 4 connected 0-5460 5462 [77->-ab]";
        let (host, slots) = read_primary(line).unwrap();
        assert_eq!(
            (host, slots),
            ("127.0.0.1:30001", vec![0..=5460, 5462..=5462])
        );
        let replica = "07c3 127.0.0.1:30004@31004 slave e7d1 0 1426238317239 4 connected";
        assert_eq!(read(replica).unwrap().host, "127.0.0.1:30004");
        for other in [
            replica,
            "07c3 127.0.0.1:30001@31001 master,fail - 0 1426238317239 4 disconnected 0-5460",
            "",
        ] {
            assert!(read_primary(other).is_none(), "{other}");
        }
    }
}
