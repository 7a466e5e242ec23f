//! Where the engine is, as operators write it.

/// Where the engine is.
#[derive(Clone)]
pub struct Address {
    /// `redis://`, `rediss://`, or, for a cluster, several of them.
    pub(super) urls: Vec<String>,
    pub(super) is_cluster: bool,
}

impl Address {
    /// Reads `redis://HOST:PORT[/DB]`, `rediss://…`, or, for a cluster,
    /// `redis-cluster://HOST:PORT,HOST:PORT` and `rediss-cluster://…`. A password may stand before
    /// the host, or come by itself.
    pub fn parse(text: &str, password: Option<&str>) -> Result<Address, String> {
        const EXPECTED: &str = "expected redis://HOST:PORT, rediss://HOST:PORT, \
             redis-cluster://HOST:PORT,HOST:PORT or rediss-cluster://HOST:PORT,HOST:PORT";
        let (scheme, rest) = text.split_once("://").ok_or(EXPECTED)?;
        let (scheme, is_cluster) = match scheme {
            "redis" | "rediss" => (scheme, false),
            "redis-cluster" => ("redis", true),
            "rediss-cluster" => ("rediss", true),
            _ => return Err(EXPECTED.to_owned()),
        };
        let (credentials, hosts) = match rest.rsplit_once('@') {
            Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
            None => (String::new(), rest),
        };
        let credentials = match password {
            Some(_) if credentials.contains(':') => {
                return Err("the password is given twice: in the address and by itself".to_owned());
            }
            // A user of the engine's (ACL) may stand in the address.
            Some(password) => {
                let user = credentials.trim_end_matches('@');
                format!("{user}:{}@", percent_encoded(password))
            }
            None if !credentials.is_empty() && !credentials.contains(':') => {
                return Err(
                    "a user in the address needs a password: store_password_file".to_owned(),
                );
            }
            None => credentials,
        };
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.len() > 1 && !is_cluster || hosts.iter().any(|host| host.is_empty()) {
            return Err(EXPECTED.to_owned());
        }
        Ok(Address {
            urls: hosts
                .into_iter()
                .map(|host| format!("{scheme}://{credentials}{host}"))
                .collect(),
            is_cluster,
        })
    }
}

impl Address {
    /// The URL of a further part of a cluster, at this host and port.
    pub(super) fn url_of(&self, host: &str) -> String {
        let first = &self.urls[0];
        let at = first.find("://").map_or(0, |at| at + 3);
        let at = first.rfind('@').map_or(at, |credentials| credentials + 1);
        format!("{}{host}", &first[..at])
    }
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|byte| match byte {
            byte if plain(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str, password: Option<&str>) -> Result<Vec<String>, String> {
        Address::parse(text, password).map(|address| address.urls)
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
}
