//! What honest clients send: tickets, logins, resumes.

use super::{APP, KEY};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tim_proto::user_sig;

pub fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

pub fn ticket(user_id: &str, expire_s: i64) -> String {
    user_sig::make(KEY, APP, user_id, now_s(), expire_s, None).unwrap()
}

/// The random number of a client; `which` tells clients apart.
pub fn instance(which: u8) -> String {
    format!("{which:032x}")
}

/// A login of a user on a device of a client of its own, which is `which`.
pub fn login(user_id: &str, which: u8, login_no: u64, seq: u64) -> Value {
    json!({
        "sdk_app_id": APP,
        "user_id": user_id,
        "user_sig": ticket(user_id, 3600),
        "device_id": format!("device {which}"),
        "platform": "android",
        "device_name": format!("phone {which}"),
        "intent": "interactive",
        "instance": instance(which),
        "login_no": login_no,
        "seq": seq,
    })
}

/// A resume of a session by its own client.
pub fn resume(session: &Value, which: u8, login_no: u64, seq: u64) -> Value {
    json!({
        "session": session["session"],
        "instance": instance(which),
        "login_no": login_no,
        "seq": seq,
    })
}
