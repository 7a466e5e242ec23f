//! Logins, resumes, kicks and logouts as the protocol defines them, including late and duplicate
//! ones, and across a power failure: a real process, and requests that are exactly what the test
//! says.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::{Store, instance, login, now_s, resume, ticket};
use serde_json::{Value, json};

fn a_login_is_a_stream_that_begins_with_its_session(store: Store) {
    let server = store.start();
    let (answer, session) = server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("tim-protocol"), Some("1"));
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    assert_eq!(
        answer.header("cache-control"),
        Some("no-cache, no-transform")
    );
    assert_eq!(session["instance"], instance(1));
    assert_eq!(session["seq"], 1);
    assert_eq!(session["heartbeat_ms"], 25_000);
    let server_s = session["server_time_ms"].as_i64().unwrap() / 1000;
    assert!((server_s - now_s()).abs() <= 5);
    let ends_s = session["user_sig_expires_ms"].as_i64().unwrap() / 1000;
    assert!((ends_s - now_s() - 3600).abs() <= 5);
    assert!(session["session"].as_str().unwrap().len() > 40);
}

fn a_silent_stream_carries_heartbeats(store: Store) {
    let server = store.with("heartbeat_ms = 100");
    let (mut stream, session) = server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(session["heartbeat_ms"], 100);
    for _ in 0..3 {
        assert!(stream.block().unwrap().starts_with(':'));
    }
}

fn a_second_device_of_the_same_platform_kicks_the_first_and_says_who_it_is(store: Store) {
    let server = store.start();
    let (mut first, _) = server.log_in(&login("alice", 1, 1, 1));
    let (_second, _) = server.log_in(&login("alice", 2, 1, 1));
    let (name, kick) = first.event().unwrap();
    assert_eq!(name, "kicked");
    assert_eq!(kick["cause"], "other_device");
    assert_eq!(kick["platform"], "android");
    assert_eq!(kick["device_name"], "phone 2");
    assert!((kick["time_ms"].as_i64().unwrap() / 1000 - now_s()).abs() <= 5);
    assert_eq!(first.event(), None, "and the stream ends");
}

fn other_users_and_other_platforms_are_left_alone(store: Store) {
    let server = store.with("heartbeat_ms = 100");
    let (mut phone, _) = server.log_in(&login("alice", 1, 1, 1));
    let mut page = login("alice", 2, 1, 1);
    page["platform"] = "web".into();
    let (_page, _) = server.log_in(&page);
    let (_bob, _) = server.log_in(&login("bob", 3, 1, 1));
    assert!(phone.block().unwrap().starts_with(':'), "only heartbeats");
}

fn the_same_device_replaces_itself_and_a_stream_that_is_still_read_is_notified(store: Store) {
    let server = store.start();
    let (mut first, _) = server.log_in(&login("alice", 1, 1, 1));
    let mut clone = login("alice", 1, 1, 1);
    clone["instance"] = instance(9).into();
    let (_clone, _) = server.log_in(&clone);
    let (name, kick) = first.event().unwrap();
    assert_eq!(
        (name.as_str(), &kick["cause"]),
        ("kicked", &json!("same_device"))
    );
}

fn a_client_that_logs_in_anew_gets_no_kick_of_its_own(store: Store) {
    let server = store.start();
    let (mut first, _) = server.log_in(&login("alice", 1, 1, 1));
    let (_second, _) = server.log_in(&login("alice", 1, 2, 2));
    assert_eq!(first.event(), None);
}

fn a_resume_continues_the_session_at_its_epoch_and_closes_the_old_stream(store: Store) {
    let server = store.start();
    let (mut old, session) = server.log_in(&login("alice", 1, 1, 1));
    let mut answer = server.post("/v1/resume", &resume(&session, 1, 1, 2));
    assert_eq!(answer.status, 200);
    let (name, resumed) = answer.event().unwrap();
    assert_eq!(name, "session");
    assert_eq!(resumed["epoch"], session["epoch"]);
    assert_eq!(old.event(), None);
}

fn a_resume_of_a_kicked_session_reports_the_kick_and_who_did_it(store: Store) {
    let server = store.start();
    let (_first, session) = server.log_in(&login("alice", 1, 1, 1));
    let (_second, _) = server.log_in(&login("alice", 2, 1, 1));
    let mut answer = server.post("/v1/resume", &resume(&session, 1, 1, 2));
    let refusal = answer.json();
    assert_eq!((answer.status, &refusal["code"]), (403, &json!(6208)));
    assert_eq!(refusal["kick"]["device_name"], "phone 2");
    assert_eq!(
        (&refusal["instance"], &refusal["seq"]),
        (&json!(instance(1)), &json!(2))
    );
}

fn another_holder_of_the_token_takes_the_stream_over_and_the_first_is_notified(store: Store) {
    let server = store.start();
    let (mut first, session) = server.log_in(&login("alice", 1, 1, 1));
    let mut clone = server.post("/v1/resume", &resume(&session, 9, 1, 1));
    assert_eq!(clone.status, 200);
    assert_eq!(clone.event().unwrap().0, "session");
    let (name, kick) = first.event().unwrap();
    assert_eq!(
        (name.as_str(), &kick["cause"]),
        ("kicked", &json!("same_device"))
    );
}

fn a_request_that_comes_twice_or_late_has_no_effect(store: Store) {
    let server = store.with("heartbeat_ms = 100");
    let first = login("alice", 1, 1, 5);
    let (mut stream, _) = server.log_in(&first);
    assert_eq!(
        server.refusal("/v1/login", &first).1,
        70402,
        "the same again"
    );
    assert_eq!(
        server.refusal("/v1/login", &login("alice", 1, 1, 4)).1,
        70402,
        "an earlier one"
    );
    assert!(
        stream.block().unwrap().starts_with(':'),
        "the session is untouched"
    );
    let (_stream, _) = server.log_in(&login("alice", 1, 2, 6));
    assert_eq!(
        server.refusal("/v1/login", &login("alice", 1, 1, 7)).1,
        70402,
        "an earlier login"
    );
}

fn a_retry_of_an_accepted_login_gets_that_session_and_kicks_nobody(store: Store) {
    let server = store.start();
    let (_lost, session) = server.log_in(&login("alice", 1, 1, 1));
    let (_stream, again) = server.log_in(&login("alice", 1, 1, 2));
    assert_eq!(again["epoch"], session["epoch"]);
    // The retry learns that it was displaced meanwhile, and does not displace in turn.
    let (mut second, _) = server.log_in(&login("alice", 2, 1, 1));
    assert_eq!(
        server.refusal("/v1/login", &login("alice", 1, 1, 3)),
        (403, 6208)
    );
    let (_third, _) = server.log_in(&login("alice", 1, 2, 4));
    assert_eq!(second.event().unwrap().0, "kicked");
}

fn a_login_with_intent_reconnect_displaces_nobody(store: Store) {
    let server = store.start();
    let (_first, _) = server.log_in(&login("alice", 1, 1, 1));
    let mut reconnect = login("alice", 2, 1, 1);
    reconnect["intent"] = "reconnect".into();
    assert_eq!(server.refusal("/v1/login", &reconnect), (403, 6208));
    reconnect["user_id"] = "bob".into();
    reconnect["user_sig"] = ticket("bob", 60).into();
    server.log_in(&reconnect);
}

fn a_logout_ends_the_session_and_the_token_is_dead(store: Store) {
    let server = store.start();
    let (mut stream, session) = server.log_in(&login("alice", 1, 1, 1));
    let mut answer = server.post(
        "/v1/logout",
        &json!({"session": session["session"], "seq": 2}),
    );
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"code": 0, "seq": 2}))
    );
    assert_eq!(stream.event(), None);
    assert_eq!(
        server.refusal("/v1/resume", &resume(&session, 1, 1, 3)),
        (403, 6208)
    );
}

fn logout_by_number(which: u8, login_no: u64) -> Value {
    json!({
        "sdk_app_id": process::APP, "user_id": "alice", "user_sig": ticket("alice", 60),
        "device_id": format!("device {which}"), "instance": instance(which),
        "login_no": login_no, "seq": 9,
    })
}

fn a_logout_by_number_ends_that_login_also_if_it_arrives_later(store: Store) {
    let server = store.start();
    let (mut stream, _) = server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(
        server.post("/v1/logout", &logout_by_number(1, 1)).status,
        200
    );
    assert_eq!(stream.event(), None);
    assert_eq!(
        server.post("/v1/logout", &logout_by_number(2, 1)).status,
        200
    );
    assert_eq!(
        server.refusal("/v1/login", &login("alice", 2, 1, 1)).1,
        70402
    );
    server.log_in(&login("alice", 2, 2, 2));
}

fn a_login_ends_earlier_ones_whatever_becomes_of_itself(store: Store) {
    let server = store.start();
    let (mut alice, session) = server.log_in(&login("alice", 1, 1, 1));
    let mut bob = login("bob", 1, 2, 2);
    bob["user_sig"] = "not a ticket".into();
    bob["ends"] = json!([{"session": session["session"]}]);
    assert_eq!(server.refusal("/v1/login", &bob), (401, 70003));
    assert_eq!(alice.event(), None);
}

fn a_ticket_that_ends_on_an_open_stream_is_reported_and_ends_the_session(store: Store) {
    let server = store.start();
    let mut short = login("alice", 1, 1, 1);
    short["user_sig"] = ticket("alice", 1).into();
    let (mut stream, session) = server.log_in(&short);
    let (name, end) = stream.event().unwrap();
    assert_eq!(
        (name.as_str(), &end["code"]),
        ("user_sig_expired", &json!(70001))
    );
    assert_eq!(stream.event(), None);
    assert_eq!(
        server.refusal("/v1/resume", &resume(&session, 1, 1, 2)),
        (401, 70001)
    );
}

fn a_resume_with_a_new_ticket_renews_and_with_a_bad_one_changes_nothing(store: Store) {
    let server = store.with("heartbeat_ms = 100");
    let mut short = login("alice", 1, 1, 1);
    short["user_sig"] = ticket("alice", 600).into();
    let (mut stream, session) = server.log_in(&short);
    let mut renewal = resume(&session, 1, 1, 2);
    renewal["user_sig"] = ticket("bob", 7200).into();
    assert_eq!(server.refusal("/v1/resume", &renewal), (401, 70013));
    assert!(
        stream.block().unwrap().starts_with(':'),
        "the old stream stays"
    );
    renewal["user_sig"] = ticket("alice", 7200).into();
    renewal["seq"] = 3.into();
    let mut answer = server.post("/v1/resume", &renewal);
    let (_, renewed) = answer.event().unwrap();
    assert_eq!(renewed["epoch"], session["epoch"]);
    let longer = |event: &Value| event["user_sig_expires_ms"].as_i64().unwrap();
    assert!(longer(&renewed) > longer(&session) + 6_000_000);
}

fn a_session_survives_a_kill_by_its_token(store: Store) {
    let server = store.start();
    let (_stream, session) = server.log_in(&login("alice", 1, 1, 1));
    let server = server.after_a_kill();
    let mut answer = server.post("/v1/resume", &resume(&session, 1, 1, 2));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.event().unwrap().1["epoch"], session["epoch"]);
    // It is still the same session: another device's login kicks it.
    server.log_in(&login("alice", 2, 1, 1));
    assert_eq!(answer.event().unwrap().0, "kicked");
}

fn what_has_ended_does_not_come_back_after_a_kill(store: Store) {
    let server = store.start();
    let (_stream, out) = server.log_in(&login("alice", 1, 1, 1));
    let answer = server.post("/v1/logout", &json!({"session": out["session"], "seq": 2}));
    assert_eq!(answer.status, 200);
    let (_stream, kicked) = server.log_in(&login("bob", 2, 1, 1));
    let (_stream, _) = server.log_in(&login("bob", 3, 1, 1));
    let server = server.after_a_kill();
    assert_eq!(
        server.refusal("/v1/resume", &resume(&out, 1, 1, 3)),
        (403, 6208)
    );
    assert_eq!(
        server.refusal("/v1/resume", &resume(&kicked, 2, 1, 3)),
        (403, 6208)
    );
}

fn epochs_grow_over_a_kill_too(store: Store) {
    let server = store.start();
    let (_stream, before) = server.log_in(&login("alice", 1, 1, 1));
    let server = server.after_a_kill();
    let (_stream, after) = server.log_in(&login("alice", 2, 1, 1));
    assert!(after["epoch"].as_u64() > before["epoch"].as_u64());
    // The older session is not resumed past the newer one.
    assert_eq!(
        server.refusal("/v1/resume", &resume(&before, 1, 1, 2)),
        (403, 6208)
    );
}

fn a_token_that_was_changed_anywhere_is_void(store: Store) {
    let server = store.start();
    let (_stream, session) = server.log_in(&login("alice", 1, 1, 1));
    let token = session["session"].as_str().unwrap();
    for at in (0..token.len()).step_by(7) {
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        let changed = json!({"session": format!("{}{other}{}", &token[..at], &token[at + 1..])});
        let (status, code) = server.refusal("/v1/resume", &resume(&changed, 1, 1, 2));
        assert_eq!((status, code), (401, 7726), "character {at}");
    }
}

#[test]
fn a_stream_announces_another_time_to_come_back_over() {
    let server = Store::Embedded.with("heartbeat_ms = 100");
    let (mut first, session) = server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(session["spread_ms"], 0);
    let log_in = |user: u32| server.log_in(&login(&format!("user {user}"), 1, 1, 1));
    let others: Vec<_> = (0..200).map(log_in).collect();
    let mut announced = || {
        let (name, data) = first.event().unwrap();
        assert_eq!(name, "spread");
        data["spread_ms"].as_u64().unwrap()
    };
    let many = announced();
    assert!((50..=100).contains(&many), "{many}");
    drop(others);
    // The announcement may have come in two steps; now it is shorter.
    while announced() >= many {}
}

over_each_store! {
    a_login_is_a_stream_that_begins_with_its_session
    a_silent_stream_carries_heartbeats
    a_second_device_of_the_same_platform_kicks_the_first_and_says_who_it_is
    other_users_and_other_platforms_are_left_alone
    the_same_device_replaces_itself_and_a_stream_that_is_still_read_is_notified
    a_client_that_logs_in_anew_gets_no_kick_of_its_own
    a_resume_continues_the_session_at_its_epoch_and_closes_the_old_stream
    a_resume_of_a_kicked_session_reports_the_kick_and_who_did_it
    another_holder_of_the_token_takes_the_stream_over_and_the_first_is_notified
    a_request_that_comes_twice_or_late_has_no_effect
    a_retry_of_an_accepted_login_gets_that_session_and_kicks_nobody
    a_login_with_intent_reconnect_displaces_nobody
    a_logout_ends_the_session_and_the_token_is_dead
    a_logout_by_number_ends_that_login_also_if_it_arrives_later
    a_login_ends_earlier_ones_whatever_becomes_of_itself
    a_ticket_that_ends_on_an_open_stream_is_reported_and_ends_the_session
    a_resume_with_a_new_ticket_renews_and_with_a_bad_one_changes_nothing
    a_session_survives_a_kill_by_its_token
    what_has_ended_does_not_come_back_after_a_kill
    epochs_grow_over_a_kill_too
    a_token_that_was_changed_anywhere_is_void
}
