//! The metrics that Prometheus reads, and how they move.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::metrics::{becomes, figures, get};
use process::{Answer, Server, login, resume};
use serde_json::json;
use std::io::Write;
use std::net::TcpStream;

const ON: &str = "metrics_listen = \"127.0.0.1:0\"";

#[test]
fn logins_kicks_resumes_and_logouts_move_their_figures() {
    let server = Server::with(ON);
    let before = figures(&server);
    assert_eq!(before["tim_logins_total{code=\"0\"}"], 0.0);

    let (phone, session) = server.log_in(&login("alice", 1, 1, 1));
    let mut web = login("alice", 2, 2, 2);
    web["platform"] = "web".into();
    let (_web, _) = server.log_in(&web);
    let now = figures(&server);
    assert_eq!(now["tim_logins_total{code=\"0\"}"], 2.0);
    assert_eq!(now["tim_online{platform=\"android\"}"], 1.0);
    assert_eq!(now["tim_online{platform=\"web\"}"], 1.0);
    assert_eq!(now["tim_online{platform=\"mac\"}"], 0.0);
    assert_eq!(now["tim_request_seconds_count{request=\"login\"}"], 2.0);
    assert!(now["tim_request_seconds_sum{request=\"login\"}"] > 0.0);
    assert!(now["tim_store_seconds_count{operation=\"load\"}"] >= 2.0);
    assert!(now["tim_store_seconds_count{operation=\"swap\"}"] >= 2.0);
    assert!(now["tim_connections"] >= 2.0);

    drop(phone);
    becomes(&server, "tim_online{platform=\"android\"}", 0.0);
    let (_phone, session) = server.log_in_by(&resume(&session, 1, 1, 2));
    let (_other_phone, _) = server.log_in(&login("alice", 3, 3, 3));
    assert_eq!(
        server.refusal("/v1/resume", &resume(&session, 1, 1, 4)),
        (403, 6208)
    );
    becomes(&server, "tim_online{platform=\"android\"}", 1.0);
    let mut expired = login("alice", 4, 4, 4);
    expired["user_sig"] = process::ticket("alice", -10).into();
    assert_eq!(server.refusal("/v1/login", &expired), (401, 70001));
    let logout = json!({"session": session["session"], "seq": 5});
    assert_eq!(server.post("/v1/logout", &logout).status, 200);

    let now = figures(&server);
    for (name, value) in [
        ("tim_logins_total{code=\"0\"}", 3.0),
        ("tim_logins_total{code=\"70001\"}", 1.0),
        ("tim_resumes_total{code=\"0\"}", 1.0),
        ("tim_resumes_total{code=\"6208\"}", 1.0),
        ("tim_logouts_total{code=\"0\"}", 1.0),
        ("tim_kicks_total{cause=\"other_device\"}", 1.0),
        (
            "tim_request_seconds_bucket{le=\"+Inf\",request=\"resume\"}",
            2.0,
        ),
    ] {
        assert_eq!(now[name], value, "{name}");
    }
}

#[test]
fn the_process_tells_its_memory_time_and_files() {
    let server = Server::with(ON);
    let now = figures(&server);
    assert!(now["tim_process_resident_memory_bytes"] > 1e6);
    assert!(now["tim_process_open_fds"] > 3.0);
    assert!(now["tim_process_start_time_seconds"] <= process::now_s() as f64 + 1.0);
    assert!(now.contains_key("tim_process_cpu_seconds_total"));
}

#[test]
fn figures_are_on_their_own_listener_where_there_is_one_and_nowhere_else() {
    let server = Server::with(ON);
    assert_eq!(get(server.metrics.as_ref().unwrap(), "/v1/login").0, 404);
    let on_the_main_one = "GET /metrics HTTP/1.1\r\nHost: tim\r\n\r\n";
    assert_eq!(server.send(on_the_main_one).status, 404);
    assert_eq!(Server::start().metrics, None);
    let slow = TcpStream::connect(server.metrics.as_ref().unwrap()).unwrap();
    assert_eq!(get(server.metrics.as_ref().unwrap(), "/metrics").0, 200);
    drop(slow);
    assert_eq!(Answer::read(posted_to(&server)).status, 405);
}

/// The metrics from the operator's listener.
fn of_admin(server: &Server, headers: &str) -> (u16, String) {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: tim\r\n{headers}\r\n");
    let mut answer = server.send_admin(&request);
    (answer.status, answer.text())
}

#[test]
fn the_operators_listener_gives_health_and_figures_to_everybody_and_nothing_else() {
    let server = Server::with_admin("");
    let (_stream, _) = server.log_in(&login("alice", 1, 1, 1));
    let (status, text) = of_admin(&server, "");
    assert_eq!(status, 200);
    assert!(text.contains("tim_logins_total{code=\"0\"} 1\n"), "{text}");
    for (path, expected) in [("/healthz", 200), ("/readyz", 200), ("/v1/figures", 401)] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: tim\r\n\r\n");
        assert_eq!(server.send_admin(&request).status, expected, "{path}");
    }
    let posted = "POST /metrics HTTP/1.1\r\nHost: tim\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(server.send_admin(posted).status, 405);
}

#[test]
fn closed_figures_are_for_administrators_alone_and_may_be_opened_by_a_reload() {
    let server = Server::with_admin("admin_metrics = false\n");
    assert_eq!(of_admin(&server, "").0, 401);
    let bearer = |user: &str| {
        let ticket = process::ticket(user, 3600);
        format!("Authorization: Bearer {ticket}\r\n")
    };
    assert_eq!(of_admin(&server, &bearer("alice")).0, 403);
    let (status, text) = of_admin(&server, &bearer("administrator"));
    assert_eq!(status, 200);
    assert!(text.contains("# TYPE tim_logins counter"), "{text}");
    server.reload(process::admin::SETTINGS, "settings reloaded");
    assert_eq!(of_admin(&server, "").0, 200);
}

fn posted_to(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.metrics.as_ref().unwrap()).unwrap();
    let request = b"POST /metrics HTTP/1.1\r\nHost: tim\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(request).unwrap();
    stream
}
