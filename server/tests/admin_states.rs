//! The reference system's paths that report who is online.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::admin::admin_query;
use process::{Server, Store, login};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn online(server: &Server, users: &Value, detail: i32) -> Value {
    let body = json!({"To_Account": users, "IsNeedDetail": detail});
    server.reference("openim/query_online_status", &body)
}

fn on(user_id: &str, which: u8, platform: &str) -> Value {
    let mut login = login(user_id, which, 1, 1);
    login["platform"] = platform.into();
    login
}

/// Polls until the server has noticed that a connection is gone.
fn until(server: &Server, status: &str) -> Value {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = online(server, &json!(["alice"]), 1);
        if answer["QueryResult"][0]["Status"] == status {
            return answer;
        }
        assert!(Instant::now() < patience, "alice never became {status}");
    }
}

fn a_user_is_online_with_any_device_and_each_platform_has_its_name(store: Store) {
    let server = store.with_admin("policy = \"multi\"");
    let platforms = [
        "iphone", "android", "ipad", "web", "mac", "windows", "linux",
    ];
    let _streams: Vec<_> = (1..)
        .zip(platforms)
        .map(|(which, platform)| server.log_in(&on("alice", which, platform)))
        .collect();
    let answer = online(&server, &json!(["alice"]), 1);
    assert_eq!(
        (&answer["ErrorCode"], &answer["ErrorList"]),
        (&json!(0), &json!([]))
    );
    let user = &answer["QueryResult"][0];
    assert_eq!(
        (&user["To_Account"], &user["Status"]),
        (&json!("alice"), &json!("Online"))
    );
    let names: Vec<&str> = user["Detail"]
        .as_array()
        .unwrap()
        .iter()
        .inspect(|detail| assert_eq!(detail["Status"], "Online"))
        .map(|detail| detail["Platform"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["iPhone", "Android", "iPad", "Web", "Mac", "PC"]);
    let answer = online(&server, &json!(["alice"]), 0);
    assert_eq!(
        answer["QueryResult"][0],
        json!({"To_Account": "alice", "Status": "Online"})
    );
}

fn a_phone_that_lost_its_connection_can_be_pushed_to_and_a_desktop_is_offline(store: Store) {
    for (platform, name, status) in [
        ("android", "Android", "PushOnline"),
        ("linux", "PC", "Offline"),
        ("web", "Web", "Offline"),
    ] {
        let server = store.with_admin("");
        drop(server.log_in(&on("alice", 1, platform)));
        let answer = until(&server, status);
        let detail = json!([{"Platform": name, "Status": status}]);
        assert_eq!(answer["QueryResult"][0]["Detail"], detail);
    }
}

fn a_user_who_never_logged_in_is_offline_and_one_who_is_not_there_is_an_error(store: Store) {
    let server = store.with_admin("");
    server.reference(
        "im_open_login_svc/account_import",
        &json!({"UserID": "alice"}),
    );
    let answer = online(&server, &json!(["alice", "nobody", ""]), 1);
    assert_eq!(
        (&answer["ActionStatus"], &answer["ErrorCode"]),
        (&json!("OK"), &json!(0))
    );
    assert_eq!(
        answer["QueryResult"],
        json!([{"To_Account": "alice", "Status": "Offline", "Detail": []}])
    );
    let not_there = |user: &str| json!({"To_Account": user, "ErrorCode": 70107});
    assert_eq!(
        answer["ErrorList"],
        json!([not_there("nobody"), not_there("")])
    );
    let answer = online(&server, &json!(["nobody"]), 0);
    assert_eq!(
        (&answer["ActionStatus"], &answer["ErrorCode"]),
        (&json!("FAIL"), &json!(70107))
    );
    assert_eq!(answer["QueryResult"], json!([]));
}

fn the_older_path_says_state_and_spells_one_platform_in_its_own_way(store: Store) {
    let server = store.with_admin("");
    let _stream = server.log_in(&on("alice", 1, "iphone"));
    let body = json!({"To_Account": ["alice"], "IsNeedDetail": 1});
    let answer = server.reference("openim/querystate", &body);
    let detail = json!([{"Platform": "IPhone", "Status": "Online"}]);
    let state = json!({"To_Account": "alice", "State": "Online", "Detail": detail});
    assert_eq!(answer["QueryResult"], json!([state]));
    assert_eq!(answer.get("ErrorList"), None);
}

fn five_hundred_users_are_answered_and_one_more_is_too_many(store: Store) {
    let server = store.with_admin("");
    let users: Vec<String> = (0..501).map(|at| format!("user {at}")).collect();
    let answer = online(&server, &json!(users[..500]), 0);
    assert_eq!(answer["ErrorList"].as_array().unwrap().len(), 500);
    assert_eq!(online(&server, &json!(users), 0)["ErrorCode"], 90011);
}

fn bad_fields_are_refused_with_their_codes(store: Store) {
    let server = store.with_admin("");
    for path in ["openim/query_online_status", "openim/querystate"] {
        for (body, code) in [
            ("[]", 90001),
            ("{", 90001),
            ("{}", 90001),
            (r#"{"To_Account": []}"#, 90001),
            (r#"{"To_Account": "alice"}"#, 90003),
            (r#"{"To_Account": [1]}"#, 90003),
            (r#"{"To_Account": ["alice"], "IsNeedDetail": "1"}"#, 90003),
        ] {
            let answer = server.reference_by("POST", path, &admin_query(), body);
            assert_eq!(answer["ErrorCode"], code, "{path} {body}");
        }
    }
}

over_each_store! {
    a_user_is_online_with_any_device_and_each_platform_has_its_name
    a_phone_that_lost_its_connection_can_be_pushed_to_and_a_desktop_is_offline
    a_user_who_never_logged_in_is_offline_and_one_who_is_not_there_is_an_error
    the_older_path_says_state_and_spells_one_platform_in_its_own_way
    five_hundred_users_are_answered_and_one_more_is_too_many
    bad_fields_are_refused_with_their_codes
}
