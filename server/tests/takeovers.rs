//! The app's rules for takeovers: the notice for a device that was away, and the wait for two
//! devices that fight over a session.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::{Store, instance, login};
use serde_json::Value;

/// A login of the phone by a restarted app.
fn started_anew(which: u8) -> Value {
    let mut anew = login("alice", 1, 1, 1);
    anew["instance"] = instance(which).into();
    anew
}

fn a_kick_while_away_is_reported_once_at_the_next_login_where_the_app_wants_it(store: Store) {
    let server = store.with("kicked_while_away_notice = true\ntakeovers.max = 0");
    for which in (10..200).step_by(3) {
        let (stream, _) = server.log_in(&started_anew(which));
        drop(stream);
        let number = u64::from(which);
        let (_tablet, _) = server.log_in(&login("alice", 2, number, number));
        let mut anew = started_anew(which + 1);
        let mut answer = server.post("/v1/login", &anew);
        if answer.status == 200 {
            // The server had not noticed yet that the phone was gone, and sent the event to its
            // stream.
            continue;
        }
        let refusal = answer.json();
        assert_eq!(refusal["code"], 6208);
        assert_eq!(refusal["kick"]["device_name"], "phone 2");
        anew["seq"] = 2.into();
        assert_eq!(
            server.refusal("/v1/login", &anew),
            (403, 6208),
            "a retry does not use it up"
        );
        (anew["seq"], anew["login_no"]) = (3.into(), 2.into());
        server.log_in(&anew);
        return;
    }
    panic!("a phone that was gone was never noticed");
}

fn without_the_setting_the_next_login_of_a_kicked_device_just_takes_over(store: Store) {
    let server = store.start();
    drop(server.log_in(&started_anew(10)));
    server.log_in(&login("alice", 2, 1, 1));
    server.log_in(&started_anew(11));
}

fn two_devices_that_fight_have_to_wait_and_a_third_one_has_not(store: Store) {
    let server = store.with("takeovers.max = 3");
    // The first displaces nobody; three takeovers follow.
    for turn in 1..=4 {
        server.log_in(&login("alice", 1 + (turn % 2) as u8, turn, turn));
    }
    let mut answer = server.post("/v1/login", &login("alice", 2, 5, 5));
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("10"))
    );
    assert_eq!(answer.json()["code"], 70114);
    server.log_in(&login("alice", 3, 1, 1));
    server.log_in(&login("alice", 2, 6, 6));
}

fn only_takeovers_count_and_zero_switches_the_waiting_off(store: Store) {
    let server = store.with("takeovers.max = 3");
    for turn in 1..=10 {
        server.log_in(&login("alice", 1, turn, turn));
    }
    let server = store.with("takeovers.max = 0");
    for turn in 1..=10 {
        server.log_in(&login("alice", 1 + (turn % 2) as u8, turn, turn));
    }
}

over_each_store! {
    a_kick_while_away_is_reported_once_at_the_next_login_where_the_app_wants_it
    without_the_setting_the_next_login_of_a_kicked_device_just_takes_over
    two_devices_that_fight_have_to_wait_and_a_third_one_has_not
    only_takeovers_count_and_zero_switches_the_waiting_off
}
