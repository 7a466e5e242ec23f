//! Numbers within bounds: the parser rejects others, and so names their line.

use crate::cors;
use crate::policy::instances_max;
use ipnet::IpNet;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use tim_proto::Platform;
use tim_proto::bounds::{self, Bounds};
use tim_proto::identity::is_user_id;

/// The most administrators an app may have.
const ADMINS_MAX: usize = 10;

fn bounded<T: TryFrom<u64>, E: Error>(found: i64, min: u64, max: u64) -> Result<T, E> {
    let number = u64::try_from(found).ok();
    number
        .filter(|number| (min..=max).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| E::custom(format!("expected {min} to {max}, found {found}")))
}

/// A number from `MIN` to `MAX`.
pub fn within<'de, D: Deserializer<'de>, T: TryFrom<u64>, const MIN: u64, const MAX: u64>(
    value: D,
) -> Result<T, D::Error> {
    bounded(i64::deserialize(value)?, MIN, MAX)
}

/// The same for a key without a default.
pub fn some_within<'de, D: Deserializer<'de>, T: TryFrom<u64>, const MIN: u64, const MAX: u64>(
    value: D,
) -> Result<Option<T>, D::Error> {
    within::<D, T, MIN, MAX>(value).map(Some)
}

/// An interval between heartbeats that clients accept as it is.
pub fn heartbeat_ms<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    let Bounds { least, greatest } = bounds::HEARTBEAT_MS;
    bounded(i64::deserialize(value)?, least, greatest).map(Some)
}

/// The app's administrators.
pub fn admins<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    let admins = Vec::<String>::deserialize(value)?;
    if admins.len() > ADMINS_MAX {
        return Err(D::Error::custom(format!("expected at most {ADMINS_MAX}")));
    }
    match admins.iter().find(|admin| !is_user_id(admin)) {
        Some(wrong) => Err(D::Error::custom(format!("{wrong:?} cannot be a user id"))),
        None => Ok(admins),
    }
}

/// Addresses and networks: `10.0.0.7`, `10.0.0.0/8`.
pub fn networks<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(value)?;
    let read = |text: &String| {
        let host = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(host).ok_or_else(|| {
            let expected = "expected an address or a network such as \"10.0.0.0/8\"";
            D::Error::custom(format!("{text:?}: {expected}"))
        })
    };
    texts.iter().map(read).collect()
}

/// The origins of web pages.
pub fn origins<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    let origins = Vec::<String>::deserialize(value)?;
    for origin in &origins {
        cors::check(origin).map_err(|what| D::Error::custom(format!("{origin:?}: {what}")))?;
    }
    Ok(origins)
}

/// The number of instances per platform.
pub fn instances<'de, D: Deserializer<'de>>(
    value: D,
) -> Result<BTreeMap<Platform, usize>, D::Error> {
    value.deserialize_map(Instances)
}

struct Instances;

impl<'de> Visitor<'de> for Instances {
    type Value = BTreeMap<Platform, usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("platforms, each with a number")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut instances = BTreeMap::new();
        while let Some(platform) = map.next_key()? {
            instances.insert(platform, map.next_value_seed(Count(platform))?);
        }
        Ok(instances)
    }
}

struct Count(Platform);

impl<'de> DeserializeSeed<'de> for Count {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<usize, D::Error> {
        let max = u64::try_from(instances_max(self.0)).unwrap_or(u64::MAX);
        bounded(i64::deserialize(value)?, 1, max)
    }
}
