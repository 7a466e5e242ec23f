//! The library's JSON and the server's TOML: nothing makes their readers panic, and no error repeats
//! a password, wherever somebody has put it.

#![no_main]

use libfuzzer_sys::fuzz_target;

/// Has characters that no key of a configuration has.
const PASSWORD: &str = "hunter2!Pass";

fn json_with(url: &str) -> [String; 3] {
    let url = serde_json::Value::from(url);
    [
        format!(r#"{{"server_url": "https://a.b", "sdk_app_id": 1, "proxy": {url}}}"#),
        format!(r#"{{"server_url": {url}, "sdk_app_id": 1}}"#),
        format!(r#"{{"proxy": "http://a.b", {url}: 1}}"#),
    ]
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = tim::fuzzing::configuration(text);
    let _ = tim_server::fuzzing::configuration(text);

    let mut pieces = text.splitn(4, '\n');
    let mut piece = || pieces.next().unwrap_or_default();
    let (key, before, after, rest) = (piece(), piece(), piece(), piece());
    let url = format!("{before}http://{key}:{PASSWORD}@{after}");
    for json in json_with(&url) {
        // A piece of it may be cut off.
        for json in [&json, json.trim_end_matches('}')] {
            if let Err(error) = tim::fuzzing::configuration(json) {
                assert!(!error.contains(PASSWORD), "{error}");
            }
        }
    }
    for toml in [
        format!("{key} = {before}{PASSWORD}{after}\n{rest}"),
        format!("{rest}\n{key} = {before}{PASSWORD}{after}"),
        format!("store = \"redis://{before}:{PASSWORD}@{after}\"\n{rest}"),
        format!("webhook_url = \"http://{before}:{PASSWORD}@{after}\"\n{rest}"),
    ] {
        if let Err(error) = tim_server::fuzzing::configuration(&toml) {
            assert!(!error.contains(PASSWORD), "{toml}\n{error}");
        }
    }
});
