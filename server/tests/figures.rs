//! The app's figures: who counts, on which day, and that nobody is lost or counted twice.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::admin::SETTINGS;
use process::{Server, Store, login, resume, ticket};
use serde_json::{Value, json};

fn figures(server: &Server, days: u32) -> Value {
    let (status, figures) = server.own("GET", &format!("/v1/figures?days={days}"), "");
    assert_eq!(status, 200, "{figures}");
    figures
}

/// Of today.
fn active(server: &Server) -> u64 {
    figures(server, 1)["days"][0]["active"].as_u64().unwrap()
}

/// Far enough west or east for it to be another day there.
fn in_zone(zone: &str) -> String {
    format!("{SETTINGS}time_zone = \"{zone}\"\n")
}

fn a_user_counts_once_a_day_however_often_and_wherever_they_log_in(store: Store) {
    let server = store.with_admin("takeovers.max = 0");
    assert_eq!(active(&server), 0);
    std::thread::scope(|scope| {
        for which in 1..=4 {
            let server = &server;
            scope.spawn(move || {
                for user in 0..25 {
                    let number = user + 1;
                    server.log_in(&login(&format!("user {user}"), which, number, number));
                }
            });
        }
    });
    let figures = figures(&server, 1);
    let today = &figures["days"][0];
    assert_eq!(
        (&today["active"], &today["registered"]),
        (&json!(25), &json!(25))
    );
    assert_eq!(
        (&today["logins"], &figures["accounts"]),
        (&json!(100), &json!(25))
    );
    assert!(today["online_max"].as_u64().unwrap() >= 1);
}

fn refused_logins_and_what_the_operator_does_make_nobody_active(store: Store) {
    let server = store.with_admin("");
    let mut expired = login("alice", 1, 1, 1);
    expired["user_sig"] = ticket("alice", -1).into();
    assert_eq!(server.refusal("/v1/login", &expired), (401, 70001));
    server.own("PUT", "/v1/users/bob/ban", "{}");
    assert_eq!(
        server.refusal("/v1/login", &login("bob", 1, 1, 1)),
        (403, 70051)
    );
    server.reference(
        "im_open_login_svc/account_import",
        &json!({"UserID": "carol"}),
    );
    assert_eq!(active(&server), 0);
    assert_eq!(
        figures(&server, 1)["days"][0]["registered"],
        1,
        "carol alone"
    );
}

fn a_day_begins_where_the_time_zone_says_and_a_resume_makes_it_active(store: Store) {
    let server = store.with(&in_zone("-12:00"));
    let (_stream, session) = server.log_in(&login("alice", 1, 1, 1));
    let server = server.after_a_kill_with(&in_zone("+14:00"));
    assert_eq!(active(&server), 0, "a new day");
    let (_stream, _) = server.log_in(&login("bob", 2, 1, 1));
    let answer = server.post("/v1/resume", &resume(&session, 1, 1, 2));
    assert_eq!((answer.status, active(&server)), (200, 2));
    let figures = figures(&server, 3);
    let days = figures["days"].as_array().unwrap();
    let sum = |what: &str| {
        days[1..]
            .iter()
            .map(|day| day[what].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(
        (sum("active"), sum("registered")),
        (1, 1),
        "alice on her day"
    );
    assert_eq!(days[0]["registered"], 1, "bob on his");
}

fn what_was_acknowledged_is_counted_after_a_kill_and_not_counted_again(store: Store) {
    let mut server = store.with_admin("takeovers.max = 0");
    for round in 1..=5 {
        for user in 1..=u8::try_from(round * 4).unwrap() {
            server.log_in(&login(&format!("user {user}"), user, round, round));
        }
        server = server.after_a_kill();
        assert_eq!(active(&server), round * 4);
        let figures = figures(&server, 1);
        assert_eq!(figures["accounts"], round * 4);
        assert_eq!(figures["days"][0]["registered"], round * 4);
    }
}

fn logins_are_counted_over_an_orderly_end(store: Store) {
    let mut server = store.with_admin("");
    server.log_in(&login("alice", 1, 1, 1));
    server.log_in(&login("alice", 1, 2, 2));
    server.signal("TERM");
    assert!(server.wait().success());
    let server = server.after_a_kill();
    assert_eq!(figures(&server, 1)["days"][0]["logins"], 2);
}

fn a_removed_account_leaves_the_number_of_accounts_and_stays_among_the_registered(store: Store) {
    let server = store.with_admin("");
    for user in ["alice", "bob"] {
        server.reference("im_open_login_svc/account_import", &json!({"UserID": user}));
    }
    let delete = json!({"DeleteItem": [{"UserID": "bob"}, {"UserID": "nobody"}]});
    server.reference("im_open_login_svc/account_delete", &delete);
    let figures = figures(&server, 1);
    assert_eq!(
        (&figures["accounts"], &figures["registered"]),
        (&json!(1), &json!(2))
    );
}

fn the_reference_path_returns_thirty_days_as_strings_and_only_the_requested_fields(store: Store) {
    let server = store.with(&in_zone("-12:00"));
    server.log_in(&login("alice", 1, 1, 1));
    let server = server.after_a_kill_with(&in_zone("+14:00"));
    server.log_in(&login("bob", 1, 1, 1));
    let answer = server.reference("openconfigsvr/getappinfo", &json!({}));
    assert_eq!(
        (&answer["ActionStatus"], &answer["ErrorCode"]),
        (&json!("OK"), &json!(0))
    );
    let days = answer["Result"].as_array().unwrap();
    assert_eq!(days.len(), 30);
    let today = &days[0];
    for (name, value) in [
        ("ActiveUserNum", "1"),
        ("LoginUserNum", "1"),
        ("LoginTimes", "1"),
        ("RegistUserNumOneDay", "1"),
        ("RegistUserNumTotal", "2"),
        ("MaxOnlineNum", "1"),
    ] {
        assert_eq!(today[name], value, "{name}");
    }
    assert_eq!(
        days[1..3]
            .iter()
            .filter(|day| day["ActiveUserNum"] == "1")
            .count(),
        1
    );
    assert_eq!(
        (
            &days[1]["RegistUserNumTotal"],
            &days[3]["RegistUserNumTotal"]
        ),
        (&json!("1"), &json!("0"))
    );
    let dates: Vec<&str> = days
        .iter()
        .map(|day| day["Date"].as_str().unwrap())
        .collect();
    assert!(dates.iter().all(|date| date.len() == 8) && dates.is_sorted_by(|a, b| a > b));
    let body = json!({"RequestField": ["LoginTimes", "Unknown"]});
    let answer = server.reference("openconfigsvr/getappinfo", &body);
    assert_eq!(
        answer["Result"][0],
        json!({"Date": dates[0], "LoginTimes": "1"})
    );
    let wrong = json!({"RequestField": "LoginTimes"});
    assert_eq!(
        server.reference("openconfigsvr/getappinfo", &wrong)["ErrorCode"],
        70402
    );
}

fn up_to_four_hundred_days_are_reported(store: Store) {
    let server = store.with_admin("");
    assert_eq!(figures(&server, 400)["days"].as_array().unwrap().len(), 400);
    let (_, by_default) = server.own("GET", "/v1/figures", "");
    assert_eq!(by_default["days"].as_array().unwrap().len(), 30);
    for days in ["0", "401", "-1", "x", ""] {
        assert_eq!(
            server.own("GET", &format!("/v1/figures?days={days}"), "").0,
            400
        );
    }
}

over_each_store! {
    a_user_counts_once_a_day_however_often_and_wherever_they_log_in
    refused_logins_and_what_the_operator_does_make_nobody_active
    a_day_begins_where_the_time_zone_says_and_a_resume_makes_it_active
    what_was_acknowledged_is_counted_after_a_kill_and_not_counted_again
    logins_are_counted_over_an_orderly_end
    a_removed_account_leaves_the_number_of_accounts_and_stays_among_the_registered
    the_reference_path_returns_thirty_days_as_strings_and_only_the_requested_fields
    up_to_four_hundred_days_are_reported
}
