//! Requests from web pages: which origins may read the answers.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, Request, Response};

/// Any page may.
const ANY: &str = "*";

/// The origin of a request, if the settings allow it.
pub fn allowed<B>(request: &Request<B>, origins: &[String]) -> Option<HeaderValue> {
    let origin = request.headers().get(ORIGIN)?;
    let is_it = |allowed: &String| allowed == ANY || allowed.as_bytes() == origin.as_bytes();
    origins.iter().any(is_it).then(|| origin.clone())
}

/// Whether the request is a browser's preflight.
pub fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Lets a page of that origin read the answer.
pub fn allow<B>(answer: &mut Response<B>, origin: HeaderValue) {
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let readable = HeaderValue::from_static("tim-protocol, retry-after");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, readable);
    headers.insert(VARY, HeaderValue::from_static("origin"));
}

/// Adds the headers that tell a browser what a page may send.
pub fn describe(headers: &mut HeaderMap) {
    let methods = HeaderValue::from_static("POST, GET");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let sent = HeaderValue::from_static("content-type, tim-protocol");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, sent);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
}

/// Checks that a setting is an origin: `*`, or a scheme, a host and an optional port.
pub fn check(origin: &str) -> Result<(), &'static str> {
    const EXPECTED: &str =
        "expected \"*\" or an origin such as \"https://app.example.org\", without a path";
    let has_scheme = origin.split_once("://").is_some_and(|(scheme, host)| {
        matches!(scheme, "http" | "https")
            && !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'/')
    });
    if origin == ANY || has_scheme {
        Ok(())
    } else {
        Err(EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_path() {
        for good in ["*", "https://app.example.org", "http://localhost:8080"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "app.example.org",
            "https://app.example.org/",
            "https://",
            "ftp://a",
            "https://a b",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_origins_of_the_settings_and_no_others_are_allowed() {
        let allowed = |origin: Option<&str>, origins: &[&str]| {
            let mut request = Request::new(());
            if let Some(origin) = origin {
                let origin = HeaderValue::from_str(origin).unwrap();
                request.headers_mut().insert(ORIGIN, origin);
            }
            let origins: Vec<String> = origins.iter().map(|&origin| origin.to_owned()).collect();
            super::allowed(&request, &origins).is_some()
        };
        let ours = ["https://app.example.org"];
        assert!(allowed(Some("https://app.example.org"), &ours));
        assert!(!allowed(Some("https://app.example.org.evil.net"), &ours));
        assert!(!allowed(Some("http://app.example.org"), &ours));
        assert!(!allowed(None, &ours));
        assert!(!allowed(Some("https://app.example.org"), &[]));
        assert!(allowed(Some("https://whatever.net"), &["*"]));
    }
}
