//! Rows of "logged out" and "logging in".

use super::scripted_server::ReceivedRequest;
use super::tim_server::{begin_logout, begin_renewal, log_out};
use super::*;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use tim::delivery::{Kind, Reply};
use tim::error::*;

#[test]
fn a_login_connects_and_completes_with_0_when_the_server_accepts() {
    let (server, client, recorder) = scene("");
    is(&client, 3, "");
    let login = begin_login(&client, "alice");
    let request = server.next_on("/v1/login");
    is(&client, 2, "");
    assert_eq!(request.body["user_id"], "alice");
    assert_eq!(request.body["intent"], "interactive");
    let _stream = request.accept();
    assert_eq!(login.recv().unwrap(), OK);
    is(&client, 1, "alice");
    recorder.connected(0);
    let all = recorder.since(0);
    assert!(is_connection(&all[0], ConnectionStatus::Connecting, OK));
    assert_eq!(all.len(), 2, "{all:?}");
}

#[test]
fn the_time_that_a_callback_takes_is_not_the_logins() {
    let (server, client, _) = scene(r#", "login_timeout_ms": 500"#);
    let slow = |_| thread::sleep(Duration::from_millis(700));
    client
        .set_callback(Kind::Connection, Some(Arc::new(slow)))
        .unwrap();
    let since = Instant::now();
    let login = begin_login(&client, "alice");
    // The callback for "connecting" runs before anything is sent.
    let _stream = server.next().accept();
    assert!(since.elapsed() > Duration::from_millis(500));
    assert_eq!(login.recv().unwrap(), OK);
}

#[test]
fn a_refusal_completes_with_the_servers_code_and_nobody_is_logged_in() {
    for code in [
        ERR_USER_SIG_UNREADABLE,
        ERR_USER_SIG_WRONG_KEY,
        ERR_USER_SIG_OTHER_USER,
        ERR_USER_SIG_OTHER_APP,
        ERR_USER_SIG_REVOKED,
        ERR_BANNED,
        ERR_ACCOUNT_NOT_FOUND,
        ERR_APP_KEY_NOT_FOUND,
        ERR_APP_NOT_FOUND,
    ] {
        let (server, client, recorder) = scene("");
        let login = begin_login(&client, "alice");
        server.next().refuse(code, "");
        assert_eq!(login.recv().unwrap(), code);
        is(&client, 3, "");
        assert_eq!(last_error(&client)["code"], code);
        recorder.wait(1, |_| true);
        recorder.nobody_was_signed_out();
        server.nobody_asks();
    }
}

#[test]
fn an_expired_ticket_completes_the_login_first_and_raises_the_event_then() {
    let (server, client, recorder) = scene("");
    let (done, login) = recorder.completion();
    client.login("alice", &ticket_of("alice"), done).unwrap();
    server.next().refuse(ERR_USER_SIG_EXPIRED, "");
    let (code, place) = login.recv().unwrap();
    assert_eq!(code, ERR_USER_SIG_EXPIRED);
    recorder.wait(place, |n| *n == user_sig_expired(code));
    assert_eq!(recorder.sign_outs().len(), 1);
    is(&client, 3, "");
}

#[test]
fn kicked_while_away_is_reported_by_the_completion_with_who_it_was_and_without_the_event() {
    let (server, client, recorder) = scene("");
    let login = begin_login(&client, "alice");
    server.next().refuse_with(6208, "", kick());
    assert_eq!(login.recv().unwrap(), 6208);
    let who = client.kick_info_json();
    assert!(
        who.contains(r#""login_id":1"#) && who.contains("another phone"),
        "{who}"
    );
    recorder.wait(1, |_| true);
    recorder.nobody_was_signed_out();
    is(&client, 3, "");
}

#[test]
fn trouble_is_tried_again_as_the_same_login() {
    let (server, client, _) = scene("");
    let login = begin_login(&client, "alice");
    let first = server.next();
    let (login_no, seq) = (first.login_no(), first.seq());
    drop(first);
    let second = server.next_on("/v1/login");
    assert_eq!(second.login_no(), login_no);
    assert!(second.seq() > seq);
    let _stream = second.accept();
    assert_eq!(login.recv().unwrap(), OK);
    assert_eq!(client.login_id(), 1);
}

#[test]
fn a_login_that_ran_out_has_the_code_of_the_attempt_that_came_furthest() {
    let (server, client, _) = scene(r#", "login_timeout_ms": 1000"#);
    let login = begin_login(&client, "alice");
    drop(server.next());
    let _never_answered = server.next();
    assert_eq!(login.recv().unwrap(), ERR_CONNECTION_RESET);
    assert_eq!(last_error(&client)["code"], ERR_CONNECTION_RESET);
    is(&client, 3, "");
}

#[test]
fn overload_and_throttling_complete_at_once_with_the_wait_in_the_last_error() {
    let is_told = |code: i32, answer: &dyn Fn(ReceivedRequest)| {
        let (server, client, _) = scene("");
        let login = begin_login(&client, "alice");
        answer(server.next());
        assert_eq!(login.recv().unwrap(), code);
        let last = last_error(&client);
        assert_eq!(
            (&last["code"], &last["retry_after_ms"]),
            (&code.into(), &3_000.into())
        );
        is(&client, 3, "");
        server.nobody_asks();
    };
    for code in [
        ERR_SERVER_OVERLOADED,
        ERR_TOO_MANY_FAILURES,
        ERR_LOGIN_TOO_OFTEN,
    ] {
        is_told(code, &|request| request.refuse(code, "Retry-After: 3\r\n"));
    }
}

#[test]
fn a_gateways_refusal_is_tried_again_and_its_wait_obeyed_where_it_fits() {
    for status in [408, 429, 502, 503, 504] {
        let (server, client, recorder) = scene("");
        let login = begin_login(&client, "alice");
        let since = Instant::now();
        server.next().answer(status, "Retry-After: 1\r\n", "busy");
        let request = server.next_on("/v1/login");
        assert!(since.elapsed() >= Duration::from_secs(1), "{status}");
        request.answer(status, "Retry-After: 600\r\n", "busy");
        recorder.wait(0, |notice| {
            is_connection(notice, ConnectionStatus::ConnectFailed, ERR_HTTP)
        });
        let _stream = server.next_on("/v1/login").accept();
        assert_eq!(login.recv().unwrap(), OK, "{status}");
    }
}

#[test]
fn a_wait_within_the_deadline_is_kept_and_a_longer_one_ends_the_login() {
    let (server, client, _) = scene("");
    let login = begin_login(&client, "alice");
    let since = Instant::now();
    server.next().refuse(ERR_SERVER_ERROR, "Retry-After: 1\r\n");
    let second = server.next();
    assert!(since.elapsed() >= Duration::from_secs(1));
    second.refuse(ERR_SERVER_ERROR, "Retry-After: 20\r\n");
    assert_eq!(login.recv().unwrap(), ERR_SERVER_ERROR);
    assert_eq!(last_error(&client)["retry_after_ms"], 20_000);
    is(&client, 3, "");
}

#[test]
fn a_second_login_of_the_same_user_completes_7501_and_the_first_goes_on() {
    let (server, client, _) = scene("");
    let first = begin_login(&client, "alice");
    let request = server.next();
    let second = begin_login(&client, "alice");
    assert_eq!(second.recv().unwrap(), ERR_LOGIN_IN_PROGRESS);
    let _stream = request.accept();
    assert_eq!(first.recv().unwrap(), OK);
    assert_eq!(client.login_id(), 1);
    server.nobody_asks();
}

#[test]
fn a_login_of_another_user_supersedes_the_first_whose_late_answer_is_ignored() {
    let (server, client, _) = scene("");
    let alice = begin_login(&client, "alice");
    let late = server.next();
    let bob = begin_login(&client, "bob");
    assert_eq!(alice.recv().unwrap(), ERR_SUPERSEDED);
    let request = server.next_on("/v1/login");
    let ends = &request.body["ends"][0];
    assert_eq!(
        (&ends["user_id"], &ends["login_no"]),
        (&"alice".into(), &1.into()),
        "the server is informed, in case it accepts alice's anyway"
    );
    late.accept().wait_until_left();
    assert_eq!(client.login_status(), 2);
    let _stream = request.accept();
    assert_eq!(bob.recv().unwrap(), OK);
    assert_eq!(
        (client.login_user().as_str(), client.login_id()),
        ("bob", 2)
    );
}

#[test]
fn a_renewal_during_a_login_is_refused_with_7501() {
    let (server, client, _) = scene("");
    let login = begin_login(&client, "alice");
    let request = server.next();
    let renewal = begin_renewal(&client, "new");
    assert_eq!(renewal.recv().unwrap(), ERR_LOGIN_IN_PROGRESS);
    let _stream = request.accept();
    assert_eq!(login.recv().unwrap(), OK);
}

#[test]
fn a_logout_during_a_login_completes_6023_then_0_and_is_sent_to_the_server() {
    let (server, client, _) = scene("");
    let story = Arc::new(Mutex::new(Vec::new()));
    let completes = |call: &'static str| {
        let story = story.clone();
        Reply::Callback(Box::new(move |code| {
            story.lock().unwrap().push((call, code));
        }))
    };
    let ticket = ticket_of("alice");
    client.login("alice", &ticket, completes("login")).unwrap();
    let late = server.next();
    client.logout(completes("logout")).unwrap();
    let request = server.next_on("/v1/logout");
    // The server learns of it after both have completed.
    assert_eq!(
        *story.lock().unwrap(),
        [("login", ERR_LOGGED_OUT_DURING_LOGIN), ("logout", OK)]
    );
    is(&client, 3, "");
    assert_eq!(
        (&request.body["instance"], &request.body["login_no"]),
        (&late.body["instance"], &1.into())
    );
    assert_eq!(request.user_sig(), Some(ticket.as_str()));
    late.accept().wait_until_left();
    request.end();
    is(&client, 3, "");
}

#[test]
fn logged_out_a_logout_completes_0_and_a_renewal_6014_and_nothing_is_sent() {
    let (server, client, _) = scene("");
    assert_eq!(log_out(&client), OK);
    let renewal = begin_renewal(&client, "new");
    assert_eq!(renewal.recv().unwrap(), ERR_NOT_LOGGED_IN);
    let logout = begin_logout(&client);
    assert_eq!(logout.recv().unwrap(), OK);
    server.nobody_asks();
}
