//! Parses queries and paths of requests: names and values, percent-decoded.

use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;

/// A route: method, path with variable parts in braces, and its meaning.
pub type Route<T> = (&'static str, &'static str, T);

/// The meaning of a request and the variable parts of its path, or the status and reason of a
/// refusal.
pub fn route<T: Copy>(
    routes: &[Route<T>],
    method: &Method,
    path: &str,
) -> Result<(T, Vec<String>), (StatusCode, &'static str)> {
    let mut is_path = false;
    for (known, form, what) in routes {
        if let Some(parts) = parts(form, path) {
            if *known == method.as_str() {
                return Ok((*what, parts));
            }
            is_path = true;
        }
    }
    Err(if is_path {
        let what = "the path does not take this method";
        (StatusCode::METHOD_NOT_ALLOWED, what)
    } else {
        (StatusCode::NOT_FOUND, "no such path")
    })
}

/// The first value of a name in a query.
pub fn value(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

/// The variable parts of a path, if it matches `template`: `/users/{user_id}`.
pub fn parts(template: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut values = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(values),
            (Some(wanted), Some(given)) if wanted.starts_with('{') => {
                let value = percent_decode_str(given).decode_utf8().ok()?;
                values.push(value.into_owned());
            }
            (wanted, given) if wanted != given => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_name_and_read_without_percent_signs() {
        let query = "a=1&user%69d=%E7%94%A8+x%2B&empty=&flag&a=2";
        assert_eq!(value(query, "a").as_deref(), Some("1"));
        assert_eq!(value(query, "userid").as_deref(), Some("用 x+"));
        assert_eq!(value(query, "empty").as_deref(), Some(""));
        assert_eq!(value(query, "flag").as_deref(), Some(""));
        for (query, name) in [(query, "b"), ("", "a")] {
            assert_eq!(value(query, name), None);
        }
    }

    #[test]
    fn a_path_is_read_by_its_template() {
        let template = "/users/{user_id}/devices/{device_id}";
        let found = parts(template, "/users/a%2Fb/devices/my+phone");
        assert_eq!(found, Some(vec!["a/b".to_owned(), "my+phone".to_owned()]));
        assert_eq!(parts("/users", "/users"), Some(vec![]));
        for path in [
            "/users/a/devices",
            "/users/a/devices/b/c",
            "/user/a/devices/b",
            "/users/%ff/devices/b",
            "",
        ] {
            assert_eq!(parts(template, path), None, "{path}");
        }
    }
}
