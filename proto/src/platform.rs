//! The kinds of device that login policies tell apart.

use serde::{Deserialize, Serialize};

/// A device's platform, as written in configurations and on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Android phones and tablets.
    Android,
    /// iPhones.
    Iphone,
    /// iPads.
    Ipad,
    /// Windows desktops.
    Windows,
    /// Mac desktops.
    Mac,
    /// Linux desktops.
    Linux,
    /// Browsers and mini programs.
    Web,
}

impl Platform {
    /// Every platform, in the order of the documentation.
    pub const ALL: [Platform; 7] = [
        Platform::Android,
        Platform::Iphone,
        Platform::Ipad,
        Platform::Windows,
        Platform::Mac,
        Platform::Linux,
        Platform::Web,
    ];

    /// The platform's name in configurations and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Platform::Android => "android",
            Platform::Iphone => "iphone",
            Platform::Ipad => "ipad",
            Platform::Windows => "windows",
            Platform::Mac => "mac",
            Platform::Linux => "linux",
            Platform::Web => "web",
        }
    }

    /// The platform with that name.
    pub fn from_name(name: &str) -> Option<Platform> {
        Platform::ALL.into_iter().find(|p| p.name() == name)
    }

    /// The platform that this code was compiled for.
    pub fn of_this_system() -> Platform {
        match std::env::consts::OS {
            "android" => Platform::Android,
            "ios" => Platform::Iphone,
            "windows" => Platform::Windows,
            "macos" => Platform::Mac,
            _ => Platform::Linux,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_has_the_same_name_in_code_and_json() {
        for platform in Platform::ALL {
            assert_eq!(
                serde_json::to_string(&platform).unwrap(),
                format!("\"{}\"", platform.name())
            );
            assert_eq!(Platform::from_name(platform.name()), Some(platform));
        }
        assert_eq!(Platform::from_name("Linux"), None);
    }
}
