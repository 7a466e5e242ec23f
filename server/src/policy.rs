//! Decides who may be logged in beside whom. Pure: given a user's sessions and a new login, returns
//! the sessions that the login displaces.
//!
//! A group allows one platform at a time, with as many instances of it as its limit says; a login
//! from another platform of the group displaces all instances of the old one. The newest login
//! always wins; among instances, the oldest is displaced first.

use serde::Deserialize;
use std::collections::BTreeMap;
use tim_proto::Platform;

/// Which platforms form a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All platforms, including the Web, form one group.
    Single,
    /// Phones, tablets and desktops form one; the Web its own.
    #[default]
    Dual,
    /// Phones and tablets form one, desktops another; the Web its own.
    Triple,
    /// Each platform forms its own.
    Multi,
}

/// The policy of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    pub mode: Mode,
    /// How many instances a platform may have; 1 if not listed.
    pub instances: BTreeMap<Platform, usize>,
}

/// The highest number of instances that can be configured for a platform.
pub fn instances_max(platform: Platform) -> usize {
    if platform == Platform::Web { 10 } else { 3 }
}

impl Mode {
    fn group(self, platform: Platform) -> usize {
        let (mobile, desktop, web) = (0, 1, 2);
        let kind = match platform {
            Platform::Android | Platform::Iphone | Platform::Ipad => mobile,
            Platform::Windows | Platform::Mac | Platform::Linux => desktop,
            Platform::Web => web,
        };
        match self {
            Mode::Single => mobile,
            Mode::Dual if kind == desktop => mobile,
            Mode::Dual | Mode::Triple => kind,
            Mode::Multi => platform as usize,
        }
    }
}

impl Policy {
    /// Identifies a policy, also in tokens from earlier runs: FNV-1a over its content. Never 0.
    pub fn print(&self) -> u32 {
        let mode = [self.mode as u8];
        let instances = self.instances.iter();
        let pairs = instances.flat_map(|(platform, count)| [*platform as u8, *count as u8]);
        let hash = mode
            .into_iter()
            .chain(pairs)
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        hash.max(1)
    }

    /// The indexes in `sessions` (platform and epoch of each) that a login of `platform` displaces,
    /// oldest first.
    pub fn displaced(&self, sessions: &[(Platform, u64)], platform: Platform) -> Vec<usize> {
        let limit = self.instances.get(&platform).copied().unwrap_or(1).max(1);
        let group = self.mode.group(platform);
        let mut by_age: Vec<usize> = (0..sessions.len()).collect();
        by_age.sort_by_key(|at| sessions[*at].1);
        let same = by_age
            .iter()
            .filter(|at| sessions[**at].0 == platform)
            .count();
        let mut too_many = (same + 1).saturating_sub(limit);
        by_age.retain(|at| {
            let other = sessions[*at].0;
            if other != platform {
                return self.mode.group(other) == group;
            }
            let goes = too_many > 0;
            too_many = too_many.saturating_sub(1);
            goes
        });
        by_age
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Platform::{Android, Ipad, Iphone, Linux, Mac, Web, Windows};

    fn policy(mode: Mode, limit: usize) -> Policy {
        Policy {
            mode,
            instances: Platform::ALL.into_iter().map(|p| (p, limit)).collect(),
        }
    }

    /// Pairs of an old and a new login, and whether the old one is kicked under single, dual,
    /// triple and multi.
    const PAIRS: [(Platform, Platform, [bool; 4]); 12] = [
        (Android, Iphone, [true, true, true, false]),
        (Iphone, Ipad, [true, true, true, false]),
        (Android, Ipad, [true, true, true, false]),
        (Android, Windows, [true, true, false, false]),
        (Mac, Iphone, [true, true, false, false]),
        (Windows, Mac, [true, true, true, false]),
        (Linux, Windows, [true, true, true, false]),
        (Linux, Android, [true, true, false, false]),
        (Android, Web, [true, false, false, false]),
        (Web, Windows, [true, false, false, false]),
        (Web, Ipad, [true, false, false, false]),
        (Linux, Web, [true, false, false, false]),
    ];
    const MODES: [Mode; 4] = [Mode::Single, Mode::Dual, Mode::Triple, Mode::Multi];

    #[test]
    fn every_pair_of_platforms_is_kept_or_kicked_as_the_table_says_whatever_the_limit() {
        for limit in [1, 2, 3, 10] {
            for (a, b, kicked) in PAIRS {
                for (mode, kicked) in MODES.into_iter().zip(kicked) {
                    for (old, new) in [(a, b), (b, a)] {
                        let displaced = policy(mode, limit).displaced(&[(old, 1)], new);
                        assert_eq!(displaced == [0], kicked, "{mode:?}: {old:?} then {new:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_platform_has_as_many_instances_as_its_limit_and_the_oldest_goes_first() {
        for mode in MODES {
            for platform in Platform::ALL {
                for limit in [1, 2, 3, 10] {
                    let full: Vec<_> = (0..limit).map(|at| (platform, 100 - at as u64)).collect();
                    let policy = policy(mode, limit);
                    assert_eq!(policy.displaced(&full, platform), [limit - 1]);
                    assert_eq!(policy.displaced(&full[1..], platform), Vec::<usize>::new());
                }
            }
        }
    }

    #[test]
    fn another_platform_of_the_group_displaces_all_instances_oldest_first() {
        let sessions = [(Android, 5), (Android, 3), (Web, 1)];
        assert_eq!(policy(Mode::Dual, 3).displaced(&sessions, Iphone), [1, 0]);
    }

    #[test]
    fn a_lowered_limit_counts_from_the_next_login() {
        let sessions = [(Web, 1), (Web, 2), (Web, 3)];
        assert_eq!(policy(Mode::Dual, 1).displaced(&sessions, Web), [0, 1, 2]);
    }

    #[test]
    fn the_default_is_dual_with_one_instance() {
        let policy = Policy::default();
        assert_eq!(policy.displaced(&[(Android, 1), (Web, 2)], Linux), [0]);
        assert_eq!(policy.displaced(&[(Web, 1)], Web), [0]);
    }
}
