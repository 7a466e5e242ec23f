//! The engines that have the keys between them: one, or the primaries of a cluster.

use super::address::Address;
use super::link::{Link, unavailable};
use crate::store::StoreError;
use redis::{Client, cmd};
use std::ops::RangeInclusive;

/// An engine that is written to.
pub struct Primary {
    pub link: Link,
    /// The hash slots that it has.
    pub slots: Vec<RangeInclusive<u16>>,
}

/// Connects to each of them.
pub async fn all(address: &Address) -> Result<Vec<Primary>, StoreError> {
    let mut failure = None;
    // Any of a cluster's that lives knows the others.
    for url in &address.urls {
        match all_by(address, url).await {
            Ok(primaries) => return Ok(primaries),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| StoreError::Failed("there is no address".to_owned())))
}

async fn all_by(address: &Address, url: &str) -> Result<Vec<Primary>, StoreError> {
    let link = connect(url).await?;
    if !address.is_cluster {
        let slots = vec![0..=u16::MAX];
        return Ok(vec![Primary { link, slots }]);
    }
    let nodes: String = link.query(cmd("CLUSTER").arg("NODES")).await?;
    let mut primaries = Vec::new();
    for (host, slots) in nodes.lines().filter_map(read) {
        let link = connect(&address.url_of(host)).await?;
        primaries.push(Primary { link, slots });
    }
    Ok(primaries)
}

async fn connect(url: &str) -> Result<Link, StoreError> {
    let client = Client::open(url).map_err(|error| unavailable(&error))?;
    Link::connect_to_one(&client).await
}

/// A line of `CLUSTER NODES`: `ID HOST:PORT@BUS FLAGS PRIMARY PING PONG EPOCH STATE SLOTS...`. Nothing
/// where it is no primary that lives.
fn read(line: &str) -> Option<(&str, Vec<RangeInclusive<u16>>)> {
    let mut fields = line.split(' ').skip(1);
    let (place, mut flags) = (fields.next()?, fields.next()?.split(','));
    if !flags.clone().any(|flag| flag == "master")
        || flags.any(|flag| matches!(flag, "fail" | "noaddr"))
    {
        return None;
    }
    let host = place.split(['@', ',']).next()?;
    let slots = fields.skip(5).filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    Some((host, slots.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primaries_that_live_are_read_with_their_slots() {
        let line = "07c3 127.0.0.1:30001@31001,host master - 0 1426238317239 4 connected 0-5460 5462 [77->-ab]";
        let (host, slots) = read(line).unwrap();
        assert_eq!(
            (host, slots),
            ("127.0.0.1:30001", vec![0..=5460, 5462..=5462])
        );
        for other in [
            "07c3 127.0.0.1:30004@31004 slave e7d1 0 1426238317239 4 connected",
            "07c3 127.0.0.1:30001@31001 master,fail - 0 1426238317239 4 disconnected 0-5460",
            "",
        ] {
            assert!(read(other).is_none(), "{other}");
        }
    }
}
