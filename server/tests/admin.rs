//! The operator's listener: where it is, and who gets in.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::admin::{SETTINGS, admin_query, query_of, ticket_made};
use process::refused::{refused, server_of};
use process::{APP, Server, first_line, login, ticket};
use serde_json::json;
use std::process::Stdio;

/// Starts a server and gives the line that it prints when it is ready.
fn line_when_ready(settings: &str, arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut process = server_of(directory.path(), settings, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let line = first_line(&mut process);
    process.kill().unwrap();
    process.wait().unwrap();
    line
}

#[test]
fn without_the_setting_there_is_no_such_listener_and_no_such_paths() {
    let server = Server::with("admins = [\"administrator\"]");
    assert_eq!(server.admin, None);
    for path in [
        "/v4/im_open_login_svc/kick",
        "/v1/users/alice",
        "/v1/figures",
    ] {
        assert_eq!(server.post(path, &json!({})).status, 404);
    }
}

#[test]
fn a_port_alone_is_one_of_this_machine() {
    let server = Server::with_admin("");
    assert!(server.admin.as_ref().unwrap().starts_with("127.0.0.1:"));
}

#[test]
fn the_command_line_stands_above_the_file_and_the_ready_line_says_where() {
    let line = line_when_ready(SETTINGS, &["--admin-listen", "127.0.0.2:0"]);
    assert!(
        line.starts_with("tim-server ready http=127.0.0.1:"),
        "{line}"
    );
    assert!(line.contains(" admin=http://127.0.0.2:"), "{line}");
}

#[test]
fn other_machines_reach_it_only_where_that_is_allowed() {
    let stderr = refused(SETTINGS, &["--admin-listen", "0.0.0.0:0"]);
    assert!(stderr.contains("admin_allow_remote = true"), "{stderr}");
    let stderr = refused(SETTINGS, &["--admin-listen", "nowhere"]);
    assert!(
        stderr.contains("admin_listen nowhere: expected ADDR:PORT"),
        "{stderr}"
    );
    let settings =
        "admin_listen = \"0.0.0.0:0\"\nadmin_allow_remote = true\nadmins = [\"administrator\"]";
    let server = Server::with(settings);
    assert!(server.admin.as_ref().unwrap().starts_with("0.0.0.0:"));
}

#[test]
fn a_listener_that_nobody_could_use_does_not_start() {
    let stderr = refused("admin_listen = \"0\"", &[]);
    assert!(stderr.contains("admins = [\"administrator\"]"), "{stderr}");
}

#[test]
fn everybody_may_read_health_and_nothing_else() {
    let server = Server::with_admin("");
    let bare = |method: &str, path: &str| {
        server.send_admin(&format!("{method} {path} HTTP/1.1\r\nHost: tim\r\n\r\n"))
    };
    assert_eq!(bare("GET", "/healthz").status, 200);
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1/figures"),
        ("GET", "/v1/users/alice"),
        ("DELETE", "/v1/users/alice/ban"),
        ("POST", "/v1/login"),
    ] {
        let mut answer = bare(method, path);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (401, &json!(70002))
        );
    }
    for path in ["/v4/im_open_login_svc/kick", "/v4/nothing"] {
        let mut answer = bare("GET", path);
        assert_eq!(
            (answer.status, &answer.json()["ErrorCode"]),
            (200, &json!(60012))
        );
    }
}

#[test]
fn the_reference_paths_check_the_app_the_identifier_and_the_ticket_in_this_order() {
    let server = Server::with_admin("");
    let good = ticket("administrator", 3600);
    let alice = ticket("alice", 3600);
    let expired = ticket("administrator", -1);
    for (query, code) in [
        (String::new(), 60012),
        (query_of(APP + 1, "administrator", &good), 60006),
        (
            query_of(APP, "administrator", &good).replace("140", "x"),
            60006,
        ),
        (format!("sdkappid={APP}&usersig={good}"), 60004),
        (format!("sdkappid={APP}&identifier=administrator"), 70002),
        (query_of(APP, "administrator", "x"), 70003),
        (query_of(APP, "administrator", &alice), 70013),
        (query_of(APP, "alice", &good), 70013),
        (query_of(APP, "administrator", &expired), 70001),
    ] {
        let answer = server.reference_by("POST", "im_open_login_svc/account_check", &query, "{}");
        assert_eq!(
            (&answer["ErrorCode"], &answer["ActionStatus"]),
            (&json!(code), &json!("FAIL")),
            "{query}"
        );
    }
}

#[test]
fn who_is_no_administrator_is_refused_with_the_code_of_each_service() {
    let server = Server::with_admin("");
    let query = query_of(APP, "alice", &ticket("alice", 3600));
    for (path, code) in [
        ("im_open_login_svc/account_import", 70403),
        ("im_open_login_svc/multiaccount_import", 70403),
        ("im_open_login_svc/account_check", 70403),
        ("im_open_login_svc/account_delete", 70403),
        ("im_open_login_svc/kick", 70403),
        ("openim/query_online_status", 90009),
        ("openim/querystate", 90009),
        ("openconfigsvr/getappinfo", 60010),
        ("openim/nothing", 70403),
    ] {
        let answer = server.reference_by("POST", path, &query, "{}");
        assert_eq!(answer["ErrorCode"], code, "{path}");
    }
    let header = format!("Authorization: Bearer {}\r\n", ticket("alice", 3600));
    let (status, refusal) = server.own_by("GET", "/v1/figures", &header, "");
    assert_eq!((status, &refusal["code"]), (403, &json!(70403)));
}

#[test]
fn administrators_are_read_again_with_the_settings() {
    let server = Server::with_admin("");
    let ask = |user_id: &str| {
        let query = query_of(APP, user_id, &ticket(user_id, 3600));
        server.reference_by("POST", "openconfigsvr/getappinfo", &query, "{}")["ErrorCode"].clone()
    };
    assert_eq!(
        (ask("administrator"), ask("alice")),
        (json!(0), json!(60010))
    );
    server.reload(
        &SETTINGS.replace("administrator", "alice"),
        "settings reloaded",
    );
    assert_eq!(
        (ask("administrator"), ask("alice")),
        (json!(60010), json!(0))
    );
}

#[test]
fn where_other_machines_reach_it_it_has_tls_if_the_server_has() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("cert"), made.cert.pem()).unwrap();
    std::fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
    for (address, scheme) in [("0.0.0.0:0", "https"), ("127.0.0.1:0", "http")] {
        let settings = format!(
            "admin_listen = \"{address}\"\nadmin_allow_remote = true\nadmins = [\"administrator\"]\n\
             tls_cert = {:?}\ntls_key = {:?}\n",
            path("cert"),
            path("key")
        );
        let line = line_when_ready(&settings, &[]);
        assert!(line.contains(&format!(" admin={scheme}://")), "{line}");
    }
}

#[test]
fn an_administrators_ticket_can_be_voided_and_an_administrator_banned() {
    let server = Server::with_admin("");
    let stolen = ticket_made(60, "administrator");
    let ask = |ticket: &str| {
        let query = query_of(APP, "administrator", ticket);
        server.reference_by("POST", "openconfigsvr/getappinfo", &query, "{}")["ErrorCode"].clone()
    };
    assert_eq!(ask(&stolen), 0);
    let administrator = json!({"UserID": "administrator"});
    server.reference("im_open_login_svc/account_import", &administrator);
    // With a ticket that was used before the kick, perhaps in the same second.
    assert_eq!(
        server.reference("im_open_login_svc/kick", &administrator)["ErrorCode"],
        0
    );
    assert_eq!(ask(&stolen), 70052);
    let header = format!("Authorization: Bearer {stolen}\r\n");
    assert_eq!(server.own_by("GET", "/v1/figures", &header, "").0, 401);
    let made_later = ticket_made(-1, "administrator");
    assert_eq!(ask(&made_later), 0);
    let header = format!("Authorization: Bearer {made_later}\r\n");
    let path = "/v1/users/administrator/ban";
    assert_eq!(server.own_by("PUT", path, &header, "{}").0, 200);
    assert_eq!(ask(&ticket_made(-2, "administrator")), 70051);
}

#[test]
fn administrators_learn_of_missing_paths_and_methods() {
    let server = Server::with_admin("");
    assert_eq!(server.own("GET", "/v1/nothing", "").0, 404);
    assert_eq!(server.own("GET", "/metric", "").0, 404);
    assert_eq!(server.own("POST", "/v1/figures", "").0, 405);
    let nothing = server.reference("openim/nothing", &json!({}));
    assert_eq!(nothing["ErrorCode"], 60009);
    let put = server.reference_by("PUT", "openim/querystate", &admin_query(), "{}");
    assert_eq!(put["ErrorCode"], 60009);
}

#[test]
fn a_body_that_is_too_large_is_not_read_and_the_listener_lives_on() {
    let server = Server::with_admin("");
    let body = "x".repeat(300_000);
    let length = body.len();
    let query = admin_query();
    let answer = server.send_admin(&format!(
        "POST /v4/openim/querystate?{query} HTTP/1.1\r\nHost: tim\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    assert_eq!(answer.status, 413);
    let answer = server.send_admin("rubbish\r\n\r\n");
    assert_eq!(answer.status, 400);
    server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(server.user("alice")["user_id"], "alice");
}
