//! State.StateChange webhooks: inform the app's own backend about who comes online and who goes.
//!
//! An event is stored with the decision that caused it and delivered by `delivery.rs`; no login
//! waits for that.

mod delivery;

pub use delivery::Delivery;

use crate::clock::now_ms;
use crate::event::Event;
use crate::user::Change;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::Duration;
use tim_proto::Platform;
use ureq::Agent;

const COMMAND: &str = "State.StateChange";
/// How long the backend may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Where events go. It has no `Debug`: the token is a secret.
#[derive(Clone)]
pub struct Settings {
    pub url: String,
    /// Signs the requests.
    pub token: Option<String>,
    /// How often an event not answered with a status of 200 to 299 is sent again.
    pub retries: u32,
    pub sdk_app_id: u32,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "CallbackCommand")]
    command: &'static str,
    #[serde(rename = "EventTime")]
    time_ms: i64,
    #[serde(rename = "Info")]
    info: Info<'a>,
    #[serde(rename = "KickedDevice", skip_serializing_if = "Vec::is_empty")]
    kicked: Vec<Device>,
}

#[derive(Serialize)]
struct Info<'a> {
    #[serde(rename = "Action")]
    action: &'static str,
    #[serde(rename = "To_Account")]
    user_id: &'a str,
    #[serde(rename = "Reason")]
    reason: &'static str,
}

#[derive(Serialize)]
struct Device {
    #[serde(rename = "Platform")]
    platform: &'static str,
}

/// A kicked device, as the reference system spells it.
fn kicked_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Iphone => "iOS",
        Platform::Android => "Android",
        Platform::Web => "Web",
        Platform::Windows => "Windows",
        Platform::Ipad => "iPad",
        Platform::Mac => "Mac",
        Platform::Linux => "Linux",
    }
}

/// The cause of a change, as the reference system spells it.
fn cause_name(platform: Option<Platform>) -> &'static str {
    match platform {
        None => "RESTAPI",
        Some(Platform::Iphone) => "IOS",
        Some(Platform::Linux) => "Unknown",
        Some(other) => kicked_name(other),
    }
}

/// A change as the reference system describes it: action, reason, whose platform, whom it kicked.
type Described<'a> = (&'static str, &'static str, Option<Platform>, &'a [Platform]);

impl Event {
    fn described(&self) -> Described<'_> {
        match &self.change {
            Change::Came(platform, kicked) => ("Login", "Register", Some(*platform), kicked),
            Change::Left(platform) => ("Logout", "Unregister", *platform, &[]),
            Change::Lost(platform) => ("Disconnect", "LinkClose", Some(*platform), &[]),
            Change::TimedOut(platform) => ("Disconnect", "TimeOut", Some(*platform), &[]),
        }
    }

    fn body(&self) -> Vec<u8> {
        let (action, reason, _, kicked) = self.described();
        let kicked = kicked.iter().map(|platform| Device {
            platform: kicked_name(*platform),
        });
        let body = Body {
            command: COMMAND,
            time_ms: self.time_ms,
            info: Info {
                action,
                user_id: &self.user_id,
                reason,
            },
            kicked: kicked.collect(),
        };
        // Serializing strings and numbers into memory cannot fail.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl Settings {
    /// Whether requests can be sent to the URL.
    pub fn check(&self) -> Result<(), String> {
        let is_http = ["http://", "https://"]
            .iter()
            .any(|scheme| self.url.starts_with(scheme));
        if is_http && self.url.parse::<hyper::Uri>().is_ok() {
            Ok(())
        } else {
            Err("webhook_url: expected http:// or https://".to_owned())
        }
    }

    /// The URL of a request at that time, in seconds.
    fn url_of(&self, event: &Event, now_s: i64) -> String {
        let first = if self.url.contains('?') { '&' } else { '?' };
        let mut url = format!(
            "{}{first}SdkAppid={}&CallbackCommand={COMMAND}&contenttype=json",
            self.url, self.sdk_app_id
        );
        // Writing into a string cannot fail.
        if let Some(from) = event.from {
            let _ = write!(url, "&ClientIP={}", from.to_canonical());
        }
        let _ = write!(url, "&OptPlatform={}", cause_name(event.described().2));
        if let Some(token) = &self.token {
            let sign = sign(token, now_s);
            let _ = write!(url, "&RequestTime={now_s}&Sign={sign}");
        }
        url
    }
}

fn sign(token: &str, now_s: i64) -> String {
    let digest = Sha256::digest(format!("{token}{now_s}"));
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The HTTP client. It goes where the settings say and nowhere else.
fn agent() -> Agent {
    Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(None)
        .user_agent("tim-server")
        .build()
        .into()
}

/// The error never contains the URL, which may hold a secret.
fn send(settings: &Settings, agent: &Agent, event: &Event) -> Result<(), String> {
    let now_s = now_ms().div_euclid(1000);
    let answer = agent
        .post(settings.url_of(event, now_s))
        .content_type("application/json")
        .send(event.body());
    match answer {
        // The body does not matter: the change has already happened.
        Ok(mut answer) if answer.status().is_success() => {
            let _ = answer.body_mut().read_to_vec();
            Ok(())
        }
        Ok(answer) => Err(format!("status {}", answer.status().as_u16())),
        Err(ureq::Error::Timeout(_)) => Err("no answer in time".to_owned()),
        Err(ureq::Error::Io(error)) => Err(error.kind().to_string()),
        Err(ureq::Error::HostNotFound) => Err("no such host".to_owned()),
        Err(_) => Err("the request failed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(change: Change) -> Event {
        Event {
            user_id: "alice".into(),
            change,
            from: None,
            time_ms: 1_700_000_000_123,
        }
    }

    #[test]
    fn a_signature_is_the_hash_of_token_and_time() {
        let sign = sign("xxxxyyyy", 1_669_872_112);
        assert!(
            sign.starts_with("17773bc3") && sign.ends_with("4061"),
            "{sign}"
        );
    }

    #[test]
    fn a_body_is_as_documented() {
        let kicked = vec![Platform::Iphone, Platform::Windows, Platform::Linux];
        let body = event(Change::Came(Platform::Web, kicked)).body();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            concat!(
                r#"{"CallbackCommand":"State.StateChange","EventTime":1700000000123,"#,
                r#""Info":{"Action":"Login","To_Account":"alice","Reason":"Register"},"#,
                r#""KickedDevice":[{"Platform":"iOS"},{"Platform":"Windows"},{"Platform":"Linux"}]}"#,
            )
        );
        let body = event(Change::Lost(Platform::Web)).body();
        assert!(!String::from_utf8(body).unwrap().contains("KickedDevice"));
    }

    #[test]
    fn a_url_keeps_its_own_query_and_names_who_caused_the_change() {
        let settings = |url: &str, token: Option<&str>| Settings {
            url: url.into(),
            token: token.map(str::to_owned),
            retries: 0,
            sdk_app_id: 7,
        };
        let by_iphone = event(Change::Came(Platform::Iphone, vec![]));
        assert_eq!(
            settings("http://a/b?c=d", None).url_of(&by_iphone, 1),
            "http://a/b?c=d&SdkAppid=7&CallbackCommand=State.StateChange&contenttype=json\
             &OptPlatform=IOS"
        );
        let from = |from: &str| Event {
            from: Some(from.parse().unwrap()),
            ..event(Change::TimedOut(Platform::Web))
        };
        for (address, client_ip) in [
            ("10.0.0.7", "10.0.0.7"),
            ("::ffff:10.0.0.7", "10.0.0.7"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            let url = settings("http://a", None).url_of(&from(address), 1);
            let expected = format!("&contenttype=json&ClientIP={client_ip}&OptPlatform=Web");
            assert!(url.ends_with(&expected), "{url}");
        }
        let by_operator = event(Change::Left(None));
        let signed = settings("http://a", Some("t")).url_of(&by_operator, 1_700_000_000);
        assert!(signed.starts_with("http://a?SdkAppid=7&"), "{signed}");
        assert!(
            signed.contains("&OptPlatform=RESTAPI&RequestTime=1700000000&Sign="),
            "{signed}"
        );
    }

    #[test]
    fn only_http_urls_are_taken() {
        for (url, is_good) in [
            ("https://example.org/hook?x=1", true),
            ("http://127.0.0.1:8080", true),
            ("example.org", false),
            ("file:///etc/passwd", false),
            ("http://a b", false),
            ("", false),
        ] {
            let settings = Settings {
                url: url.into(),
                token: None,
                retries: 0,
                sdk_app_id: 1,
            };
            assert_eq!(settings.check().is_ok(), is_good, "{url}");
        }
    }
}
