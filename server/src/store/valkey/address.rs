//! Parses the engine's address.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Where the engine is.
#[derive(Clone)]
pub struct Address {
    /// Of the engine, of a cluster's engines, or of sentinels: `redis://` or `rediss://`.
    pub(super) urls: Vec<String>,
    pub(super) engines: Engines,
}

/// What those URLs lead to.
#[derive(Clone)]
pub(super) enum Engines {
    One,
    Cluster,
    /// Sentinels, which know the primary.
    Sentinels {
        /// Their name for it.
        name: String,
        /// The primary's URL except for the host: credentials and database.
        engine: String,
    },
}

/// Passwords kept outside the address.
#[derive(Clone, Copy, Default)]
pub struct Passwords<'a> {
    /// The engine's.
    pub engine: Option<&'a str>,
    /// The sentinels'.
    pub sentinels: Option<&'a str>,
}

const EXPECTED: &str = "expected redis://HOST:PORT, redis-cluster://HOST:PORT,HOST:PORT or \
     redis-sentinel://HOST:PORT,HOST:PORT/NAME, or with TLS rediss://, rediss-cluster:// or \
     rediss-sentinel://";

impl Address {
    /// Parses `redis://HOST:PORT[/DB]`; for a cluster, `redis-cluster://HOST:PORT,HOST:PORT`; for
    /// an engine watched by sentinels, `redis-sentinel://HOST:PORT,HOST:PORT/NAME[/DB]`; with TLS,
    /// `rediss://`, `rediss-cluster://` and `rediss-sentinel://`. The engine's credentials may
    /// precede the hosts; passwords may come separately.
    pub fn parse(text: &str, passwords: Passwords<'_>) -> Result<Address, String> {
        let (scheme, rest) = text.split_once("://").ok_or(EXPECTED)?;
        let (scheme, kind) = scheme.split_once('-').unwrap_or((scheme, ""));
        if !matches!(scheme, "redis" | "rediss") || !matches!(kind, "" | "cluster" | "sentinel") {
            return Err(EXPECTED.to_owned());
        }
        if passwords.sentinels.is_some() && kind != "sentinel" {
            return Err("the sentinels' password is given, but there are no sentinels".to_owned());
        }
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (format!("{credentials}@"), rest),
            None => (String::new(), rest),
        };
        let credentials = with_password(credentials, passwords.engine)?;
        let (hosts, path) = match kind {
            "sentinel" => rest.split_once('/').ok_or(EXPECTED)?,
            _ => (rest, ""),
        };
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.len() > 1 && kind.is_empty() || hosts.iter().any(|host| host.is_empty()) {
            return Err(EXPECTED.to_owned());
        }
        let (engines, credentials) = match kind {
            "sentinel" => {
                let (name, database) = path.split_once('/').unwrap_or((path, "0"));
                if name.is_empty() {
                    return Err(EXPECTED.to_owned());
                }
                let engines = Engines::Sentinels {
                    name: name.to_owned(),
                    // The sentinels provide the host.
                    engine: format!("{scheme}://{credentials}engine/{database}"),
                };
                (engines, with_password(String::new(), passwords.sentinels)?)
            }
            "cluster" => (Engines::Cluster, credentials),
            _ => (Engines::One, credentials),
        };
        Ok(Address {
            urls: hosts
                .into_iter()
                .map(|host| format!("{scheme}://{credentials}{host}"))
                .collect(),
            engines,
        })
    }

    /// The URL of another engine of the cluster, at this host and port.
    pub(super) fn url_of(&self, host: &str) -> String {
        let first = &self.urls[0];
        let at = first.find("://").map_or(0, |at| at + 3);
        let at = first.rfind('@').map_or(at, |credentials| credentials + 1);
        format!("{}{host}", &first[..at])
    }

    pub(super) fn has_tls(&self) -> bool {
        self.urls.iter().all(|url| url.starts_with("rediss://"))
    }
}

/// Credentials in the form of a URL, with a separately given password.
fn with_password(credentials: String, password: Option<&str>) -> Result<String, String> {
    match password {
        Some(_) if credentials.contains(':') => {
            Err("the password is given twice: in the address and by itself".to_owned())
        }
        // The address may name an ACL user.
        Some(password) => {
            let user = credentials.trim_end_matches('@');
            let password = utf8_percent_encode(password, NON_ALPHANUMERIC);
            Ok(format!("{user}:{password}@"))
        }
        None if !credentials.is_empty() && !credentials.contains(':') => {
            Err("a user in the address needs a password: store_password_file".to_owned())
        }
        None => Ok(credentials),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str, password: Option<&str>) -> Result<Vec<String>, String> {
        let passwords = Passwords {
            engine: password,
            sentinels: None,
        };
        Address::parse(text, passwords).map(|address| address.urls)
    }

    #[test]
    fn an_address_is_one_engine_or_a_cluster_with_or_without_tls() {
        assert_eq!(urls("redis://a:1/2", None).unwrap(), ["redis://a:1/2"]);
        assert_eq!(urls("rediss://u:p@a", None).unwrap(), ["rediss://u:p@a"]);
        assert_eq!(
            urls("rediss-cluster://a:1,b:2", None).unwrap(),
            ["rediss://a:1", "rediss://b:2"]
        );
        for bad in [
            "a:1",
            "http://a",
            "redis://a,b",
            "redis://",
            "redis-cluster://a,",
            "redis-sentinel://a:1",
            "redis-sentinel://a:1/",
            "redis-nothing://a:1",
        ] {
            assert!(
                urls(bad, None).unwrap_err().contains("redis://HOST:PORT"),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_password_by_itself_may_have_any_characters_and_is_given_once() {
        assert_eq!(
            urls("redis://a", Some("p@/:é")).unwrap(),
            ["redis://:p%40%2F%3A%C3%A9@a"]
        );
        assert!(
            urls("redis://:p@a", Some("q"))
                .unwrap_err()
                .contains("twice")
        );
    }

    #[test]
    fn a_user_of_the_engine_stands_in_the_address_and_its_password_by_itself() {
        assert_eq!(
            urls("rediss://tim@a:1", Some("secret")).unwrap(),
            ["rediss://tim:secret@a:1"]
        );
        let error = urls("redis://tim@a", None).unwrap_err();
        assert!(error.contains("needs a password"), "{error}");
    }

    #[test]
    fn sentinels_have_the_name_of_the_engine_and_their_own_password() {
        let passwords = Passwords {
            engine: Some("secret"),
            sentinels: Some("other"),
        };
        let text = "rediss-sentinel://tim@a:1,b:2/main/3";
        let address = Address::parse(text, passwords).unwrap();
        assert_eq!(address.urls, ["rediss://:other@a:1", "rediss://:other@b:2"]);
        let Engines::Sentinels { name, engine } = &address.engines else {
            panic!("no sentinels");
        };
        assert_eq!(
            (name.as_str(), engine.as_str()),
            ("main", "rediss://tim:secret@engine/3")
        );
        let error = Address::parse("redis://a:1", passwords).err().unwrap();
        assert!(error.contains("there are no sentinels"), "{error}");
    }
}
