//! The settings of a server: a TOML file, and the command line above it.

use crate::calendar::TimeZone;
use crate::policy::{Mode, Policy, instances_max};
use crate::user::Rules;
use crate::webhook;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tim_proto::Platform;
use tim_proto::identity::is_user_id;

/// The most users who may administer an app.
const ADMINS_MAX: usize = 10;

/// The settings of a file. Every key may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `ADDR:PORT`.
    pub listen: Option<String>,
    pub data_dir: Option<PathBuf>,
    /// `embedded`, or the address of a Valkey or Redis that nodes share.
    pub store: Option<String>,
    pub store_password_file: Option<PathBuf>,
    pub sdk_app_id: Option<u32>,
    pub secret_key_file: Option<PathBuf>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub heartbeat_ms: Option<u64>,
    /// `ADDR:PORT`, or a port of 127.0.0.1; without it there is no listener for the operator.
    pub admin_listen: Option<String>,
    /// Whether that address may be another than this machine's own.
    #[serde(default)]
    pub admin_allow_remote: bool,
    /// The users who administer the app.
    #[serde(default)]
    pub admins: Vec<String>,
    #[serde(default)]
    pub policy: Mode,
    /// Platform -> how many instances.
    #[serde(default)]
    pub instances: BTreeMap<Platform, usize>,
    /// Where the app's backend is told who comes and goes.
    pub webhook_url: Option<String>,
    /// The file with the token that signs what it is told.
    pub webhook_token_file: Option<PathBuf>,
    /// How often it is told again where it does not answer.
    pub webhook_retries: Option<u32>,
    /// Whether a device that was kicked while it was away is told so at its next login.
    #[serde(default)]
    pub kicked_while_away_notice: bool,
    /// After how many days a session ends that nobody comes back to.
    pub away_days: Option<u32>,
    #[serde(default)]
    pub takeovers: Takeovers,
    /// Where the app's days begin: `+08:00`.
    #[serde(default)]
    pub time_zone: TimeZone,
    #[serde(default)]
    pub limits: Limits,
}

/// When two devices that take a session from each other have to wait.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Takeovers {
    /// After so many within `window_s`; 0: never.
    pub max: u32,
    pub window_s: u32,
    pub wait_s: u32,
}

impl Default for Takeovers {
    fn default() -> Takeovers {
        Takeovers {
            max: 6,
            window_s: 60,
            wait_s: 10,
        }
    }
}

/// Bounds on what clients can take up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub connections: usize,
    pub header_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 100_000,
            header_timeout_ms: 10_000,
        }
    }
}

impl Config {
    /// Reads a file. The error names the file, the line and the key.
    pub fn read(path: &Path) -> Result<Config, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        let config: Config = toml::from_str(&text).map_err(|error| failed(&error))?;
        config.check().map_err(|error| failed(&error))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(ms) = self.heartbeat_ms
            && !(100..=600_000).contains(&ms)
        {
            return Err(format!("heartbeat_ms: expected 100 to 600000, found {ms}"));
        }
        if self.admins.len() > ADMINS_MAX {
            return Err(format!("admins: expected at most {ADMINS_MAX}"));
        }
        if let Some(wrong) = self.admins.iter().find(|admin| !is_user_id(admin)) {
            return Err(format!("admins: {wrong:?} cannot be a user id"));
        }
        if self.webhook_retries.is_some_and(|retries| retries > 10) {
            return Err("webhook_retries: expected 0 to 10".to_owned());
        }
        for (platform, count) in &self.instances {
            let max = instances_max(*platform);
            if !(1..=max).contains(count) {
                let name = platform.name();
                return Err(format!(
                    "instances.{name}: expected 1 to {max}, found {count}"
                ));
            }
        }
        if self.away_days == Some(0) {
            return Err("away_days: expected at least 1".to_owned());
        }
        if self.takeovers.max > 1000 {
            return Err("takeovers.max: expected 0 (never wait) to 1000".to_owned());
        }
        for (key, seconds) in [
            ("window_s", self.takeovers.window_s),
            ("wait_s", self.takeovers.wait_s),
        ] {
            if !(1..=3600).contains(&seconds) {
                return Err(format!(
                    "takeovers.{key}: expected 1 to 3600, found {seconds}"
                ));
            }
        }
        if !(1..=1_000_000).contains(&self.limits.connections) {
            return Err("limits.connections: expected 1 to 1000000".to_owned());
        }
        if !(100..=600_000).contains(&self.limits.header_timeout_ms) {
            return Err("limits.header_timeout_ms: expected 100 to 600000".to_owned());
        }
        Ok(())
    }

    /// Where and how the app's backend is told who comes and goes.
    pub fn webhook(&self, sdk_app_id: u32) -> Result<Option<webhook::Settings>, String> {
        let Some(url) = &self.webhook_url else {
            return match self.webhook_token_file {
                Some(_) => Err("webhook_token_file belongs to a webhook_url".to_owned()),
                None => Ok(None),
            };
        };
        let token = self.webhook_token_file.as_ref().map(|file| {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            match text.trim_end_matches(['\r', '\n']) {
                "" => Err(format!("{}: the token is empty", file.display())),
                token => Ok(token.to_owned()),
            }
        });
        let settings = webhook::Settings {
            url: url.clone(),
            token: token.transpose()?,
            retries: self.webhook_retries.unwrap_or(3),
            sdk_app_id,
        };
        settings.check()?;
        Ok(Some(settings))
    }

    /// What the app decides about its users' logins.
    pub fn rules(&self) -> Rules {
        Rules {
            policy: Policy {
                mode: self.policy,
                instances: self.instances.clone(),
            },
            kicked_while_away_notice: self.kicked_while_away_notice,
            takeovers_max: self.takeovers.max,
            takeovers_window_ms: i64::from(self.takeovers.window_s) * 1000,
            takeovers_wait_ms: i64::from(self.takeovers.wait_s) * 1000,
            away_max_ms: i64::from(self.away_days.unwrap_or(7)) * 86_400_000,
            time_zone: self.time_zone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match toml::from_str::<Config>(text) {
            Err(error) => error.to_string(),
            Ok(config) => config.check().unwrap_err(),
        }
    }

    #[test]
    fn every_key_may_be_left_out() {
        let config: Config = toml::from_str("").unwrap();
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.rules(), Rules::default());
    }

    #[test]
    fn an_unknown_or_wrong_key_is_named_with_its_line() {
        let text = refused("heartbeat_ms = 1000\nheart_beat = 1\n");
        assert!(
            text.contains("heart_beat") && text.contains("line 2"),
            "{text}"
        );
        let text = refused("sdk_app_id = \"x\"\n");
        assert!(
            text.contains("line 1") && text.contains("sdk_app_id"),
            "{text}"
        );
        assert!(refused("policy = \"all\"").contains("single"));
    }

    #[test]
    fn values_outside_their_ranges_are_named() {
        assert!(refused("heartbeat_ms = 1").starts_with("heartbeat_ms: expected 100"));
        assert!(refused("admins = [\"\"]").starts_with("admins: \"\""));
        let many = format!("admins = [{}]", "\"a\", ".repeat(11));
        assert!(refused(&many).starts_with("admins: expected at most 10"));
        assert!(refused("time_zone = \"UTC\"").contains("+08:00"));
        assert!(refused("[instances]\nweb = 11").starts_with("instances.web: expected 1 to 10"));
        assert!(refused("[instances]\nmac = 4").starts_with("instances.mac: expected 1 to 3"));
        assert!(refused("[takeovers]\nwait_s = 0").starts_with("takeovers.wait_s: expected 1"));
        assert!(refused("[limits]\nconnections = 0").starts_with("limits.connections"));
    }
}
