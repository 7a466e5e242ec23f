//! The server's settings: a TOML file, overridden by the command line.

mod bounded;
mod mistake;
mod sections;

use crate::calendar::TimeZone;
use crate::client_address;
use crate::limits::TicketLimits;
use crate::logs;
use crate::policy::{Mode, Policy};
use crate::user::Rules;
use crate::webhook;
use bounded::{admins, heartbeat_ms, instances, networks, origins, some_within};
use ipnet::IpNet;
use sections::{Limits, Takeovers, Throttle, TokenKeys};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tim_proto::{Platform, edges};

/// Where accounts and keys are kept by default.
pub const DEFAULT_DATA_DIR: &str = "./tim-server-data";

/// The settings in a file. Every key is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `ADDR:PORT`.
    pub listen: Option<String>,
    pub data_dir: Option<PathBuf>,
    /// `embedded`, or the address of a Valkey or Redis shared by several nodes.
    pub store: Option<String>,
    pub store_password_file: Option<PathBuf>,
    pub sentinel_password_file: Option<PathBuf>,
    pub sdk_app_id: Option<u32>,
    pub secret_key_file: Option<PathBuf>,
    /// Further keys whose tickets are accepted.
    #[serde(default)]
    pub old_secret_key_files: Vec<PathBuf>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    #[serde(default, deserialize_with = "heartbeat_ms")]
    pub heartbeat_ms: Option<u64>,
    /// The address that answers `GET /metrics`; none by default.
    pub metrics_listen: Option<String>,
    pub log_format: Option<logs::Format>,
    /// How long a server that is shutting down waits for its clients to leave.
    #[serde(default, deserialize_with = "some_within::<_, _, 0, 3600>")]
    pub drain_timeout_s: Option<u64>,
    /// `ADDR:PORT`, or a port on 127.0.0.1; without it there is no listener for the operator.
    pub admin_listen: Option<String>,
    /// Whether that address may be other than a loopback one.
    #[serde(default)]
    pub admin_allow_remote: bool,
    /// Whether `GET /metrics` is answered there without a ticket.
    pub admin_metrics: Option<bool>,
    /// The users who administer the app.
    #[serde(default, deserialize_with = "admins")]
    pub admins: Vec<String>,
    /// The audit log's file; without it the log has the entries.
    pub audit_log: Option<PathBuf>,
    /// Whether logs name users.
    pub log_users: Option<bool>,
    /// The proxies in front of the server, as addresses or networks.
    #[serde(default, deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which the proxies name their clients.
    #[serde(default)]
    pub forwarded_header: client_address::Header,
    /// Whether the proxies' connections begin with a PROXY protocol header.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// The web origins that may talk to the server: `https://app.example.org`.
    #[serde(default, deserialize_with = "origins")]
    pub allowed_origins: Vec<String>,
    /// The time zone of the app's days: `Asia/Shanghai` or `+08:00`.
    #[serde(default)]
    pub time_zone: TimeZone,
    /// The URL of the app's backend, which receives events of who comes and goes.
    pub webhook_url: Option<String>,
    /// The file with the token that signs webhook requests.
    pub webhook_token_file: Option<PathBuf>,
    /// How often an unanswered webhook request is retried.
    #[serde(default, deserialize_with = "some_within::<_, _, 0, 10>")]
    pub webhook_retries: Option<u32>,
    #[serde(default)]
    pub policy: Mode,
    /// The number of instances per platform.
    #[serde(default, deserialize_with = "instances")]
    pub instances: BTreeMap<Platform, usize>,
    /// Whether a device that was kicked while away learns of it at its next login.
    #[serde(default)]
    pub kicked_while_away_notice: bool,
    /// After how many days a session that nobody resumes ends.
    #[serde(default, deserialize_with = "some_within::<_, _, 1, 3650>")]
    pub away_days: Option<u32>,
    /// For how many days a ticket is valid at most, whatever it claims.
    #[serde(default, deserialize_with = "some_within::<_, _, 1, 3650>")]
    pub max_ticket_days: Option<u32>,
    #[serde(default)]
    pub takeovers: Takeovers,
    #[serde(default)]
    pub token_keys: TokenKeys,
    #[serde(default)]
    pub throttle: Throttle,
    #[serde(default)]
    pub limits: Limits,
}

impl Config {
    /// Reads a file. The error names the file, the line and the key.
    pub fn read(path: &Path) -> Result<Config, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        Config::parse(&text).map_err(|error| failed(&error))
    }

    /// Parses the text of a file. The error names the line and the key, but repeats no text.
    pub fn parse(text: &str) -> Result<Config, String> {
        // Some editors start a file with a byte order mark.
        toml::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| mistake::message(&error))
    }

    /// The directory for accounts and keys.
    pub fn data_dir(&self) -> &Path {
        let given = self.data_dir.as_deref();
        given.unwrap_or_else(|| Path::new(DEFAULT_DATA_DIR))
    }

    /// The settings of the webhook, if there is one.
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
            match edges::trimmed(&text) {
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

    /// The proxies between the server and its clients.
    pub fn proxies(&self) -> client_address::Proxies {
        client_address::Proxies {
            trusted: self.trusted_proxies.clone(),
            header: self.forwarded_header,
            proxy_protocol: self.proxy_protocol,
        }
    }

    /// The limits on tickets.
    pub fn tickets(&self) -> TicketLimits {
        TicketLimits {
            longest_s: self.max_ticket_days.map(|days| i64::from(days) * 86_400),
        }
    }

    /// The app's rules for its users' logins.
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
            time_zone: self.time_zone.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Config::parse(text).unwrap_err()
    }

    #[test]
    fn every_key_may_be_left_out() {
        let config: Config = toml::from_str("").unwrap();
        assert_eq!(config.rules(), Rules::default());
    }

    /// The keys of a section: the parser lists them when it meets an unknown one.
    fn keys_of(section: &str) -> Vec<String> {
        let text = refused(&format!("{section}\nno_such_key = 1\n"));
        let (_, list) = text.split_once("expected").unwrap();
        let quoted = list.split('`').skip(1).step_by(2);
        quoted.map(str::to_owned).collect()
    }

    #[test]
    fn the_example_has_every_key_and_its_defaults() {
        let example = include_str!("../tim-server.example.toml");
        let config: Config = toml::from_str(example).unwrap();
        let defaults = Config::default();
        assert_eq!(config.rules(), defaults.rules());
        assert_eq!(
            format!("{:?}", config.throttle),
            format!("{:?}", defaults.throttle)
        );
        assert_eq!(
            format!("{:?}", config.limits),
            format!("{:?}", defaults.limits)
        );
        assert_eq!(
            format!("{:?}", config.token_keys),
            format!("{:?}", defaults.token_keys)
        );

        let is_key = |line: &str| line.starts_with(|c: char| c.is_ascii_lowercase());
        let all: String = example
            .lines()
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|key| is_key(key))
                    .unwrap_or(line)
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        let all: toml::Table = toml::from_str::<Config>(&all)
            .map(|_| toml::from_str(&all).unwrap())
            .unwrap();
        for key in keys_of("") {
            assert!(all.contains_key(&key), "{key}");
            if let Some(section) = all[&key].as_table().filter(|_| key != "instances") {
                for inner in keys_of(&format!("[{key}]")) {
                    assert!(section.contains_key(&inner), "{key}.{inner}");
                }
            }
        }
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
        let text = refused("policy = \"dual\"\ntime_zone = \"Asia\"\n");
        assert!(text.contains("line 2") && text.contains("+08:00"), "{text}");
    }

    #[test]
    fn administrators_are_up_to_ten_users() {
        let ten = format!("admins = [{}]", "\"a\", ".repeat(10));
        assert!(toml::from_str::<Config>(&ten).is_ok());
        let eleven = format!("admins = [{}]", "\"a\", ".repeat(11));
        assert!(refused(&eleven).contains("expected at most 10"));
        let text = refused("policy = \"dual\"\nadmins = [\"\"]\n");
        assert!(
            text.contains("line 2") && text.contains("user id"),
            "{text}"
        );
    }

    #[test]
    fn values_outside_their_ranges_are_named_with_their_line() {
        for (section, line, expected) in [
            ("", "heartbeat_ms = 1", "100 to 600000, found 1"),
            ("", "webhook_retries = 11", "0 to 10, found 11"),
            ("[instances]", "web = 11", "1 to 10, found 11"),
            ("[instances]", "mac = 4", "1 to 3, found 4"),
            ("[takeovers]", "max = -1", "0 to 1000, found -1"),
            ("[takeovers]", "wait_s = 0", "1 to 3600, found 0"),
            ("[throttle]", "failures = -1", "0 to 1000000, found -1"),
            ("[throttle]", "window_s = 0", "1 to 3600, found 0"),
            ("[limits]", "connections = 0", "1 to 1000000, found 0"),
            (
                "[limits]",
                "unread_timeout_ms = 99",
                "100 to 600000, found 99",
            ),
        ] {
            let text = refused(&format!("{section}\n{line}\n"));
            for part in ["line 2", line, &format!("expected {expected}")] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }
}
