//! Rows of "logged in" and of a pending logout: the app leaves the session.

use super::recorder::LONG;
use super::tim_server::{begin_logout, begin_renewal, completion};
use super::*;
use std::sync::mpsc::TryRecvError;
use tim::client;
use tim::error::*;

#[test]
fn a_logout_takes_effect_at_once_and_completes_when_the_server_has_answered() {
    let (alice, stream) = alice(QUICK);
    let logout = begin_logout(&alice.client);
    is(&alice.client, 3, "");
    let request = alice.server.next_on("/v1/logout");
    assert_eq!(request.body["session"], "token 1");
    stream.wait_until_left();
    assert_eq!(logout.try_recv(), Err(TryRecvError::Empty));
    request.end();
    assert_eq!(logout.recv().unwrap(), OK);
    alice.recorder.nobody_was_signed_out();
}

#[test]
fn a_session_that_the_server_does_not_know_is_ended_all_the_same() {
    for code in [6208, ERR_USER_SIG_EXPIRED, ERR_SESSION_TOKEN_INVALID] {
        let (alice, _stream) = alice(QUICK);
        let logout = begin_logout(&alice.client);
        alice.server.next_on("/v1/logout").refuse(code, "");
        assert_eq!(logout.recv().unwrap(), OK);
        alice.recorder.nobody_was_signed_out();
    }
}

#[test]
fn a_logout_without_a_connection_completes_at_its_deadline_with_the_networks_code() {
    let (alice, _stream) = alice(r#", "request_timeout_ms": 500"#);
    let logout = begin_logout(&alice.client);
    drop(alice.server.next_on("/v1/logout"));
    assert_eq!(logout.recv().unwrap(), ERR_CONNECTION_RESET);
    is(&alice.client, 3, "");
}

#[test]
fn while_a_logout_is_pending_another_completes_7502_and_a_renewal_6014() {
    let (alice, _stream) = alice(QUICK);
    let first = begin_logout(&alice.client);
    let request = alice.server.next_on("/v1/logout");
    let second = begin_logout(&alice.client);
    assert_eq!(second.recv().unwrap(), ERR_LOGOUT_IN_PROGRESS);
    let renewal = begin_renewal(&alice.client, "a new ticket");
    assert_eq!(renewal.recv().unwrap(), ERR_NOT_LOGGED_IN);
    request.end();
    assert_eq!(first.recv().unwrap(), OK);
}

#[test]
fn a_login_while_a_logout_is_pending_carries_its_token_and_completes_it_first() {
    let (alice, _stream) = alice(QUICK);
    let (done, logout) = alice.recorder.completion();
    alice.client.logout(done).unwrap();
    let _unanswered = alice.server.next_on("/v1/logout");
    let (done, login) = alice.recorder.completion();
    alice.client.login("bob", &ticket_of("bob"), done).unwrap();
    let request = alice.server.next_on("/v1/login");
    assert_eq!(request.ended_tokens(), ["token 1"]);
    assert_eq!(logout.try_recv(), Err(TryRecvError::Empty));
    let _stream = request.accept();
    let (login, logout) = (login.recv().unwrap(), logout.try_recv().unwrap());
    assert_eq!((logout.0, login.0), (OK, OK), "the logout came first");
    is(&alice.client, 1, "bob");
}

#[test]
fn a_switch_ends_the_old_session_with_the_new_login_and_kicks_nobody() {
    let (alice, stream) = alice(QUICK);
    let switch = begin_login(&alice.client, "bob");
    is(&alice.client, 2, "");
    stream.wait_until_left();
    // One request does both.
    let request = alice.server.next_on("/v1/login");
    assert_eq!(request.body["user_id"], "bob");
    assert_eq!(request.ended_tokens(), ["token 1"]);
    let _stream = request.accept();
    assert_eq!(switch.recv().unwrap(), OK);
    is(&alice.client, 1, "bob");
    assert_eq!(alice.client.login_id(), 2);
    alice.recorder.nobody_was_signed_out();
    alice.server.nobody_asks();
}

#[test]
fn a_switch_that_fails_leaves_nobody_logged_in() {
    let (alice, _stream) = alice(QUICK);
    let switch = begin_login(&alice.client, "bob");
    let request = alice.server.next_on("/v1/login");
    request.refuse(ERR_USER_SIG_WRONG_KEY, "");
    assert_eq!(switch.recv().unwrap(), ERR_USER_SIG_WRONG_KEY);
    is(&alice.client, 3, "");
    alice.recorder.nobody_was_signed_out();
}

#[test]
fn a_login_that_is_refused_here_changes_nothing() {
    let (alice, stream) = alice(QUICK);
    let long = "x".repeat(5_000);
    for (user, ticket, code) in [
        ("", "ticket", ERR_INVALID_USER_ID),
        ("bob\n", "ticket", ERR_INVALID_USER_ID),
        ("bob", "", ERR_USER_SIG_EMPTY),
        ("bob", long.as_str(), ERR_USER_SIG_UNREADABLE),
    ] {
        let (done, login) = completion();
        assert_eq!(alice.client.login(user, ticket, done), Err(code));
        assert_eq!(login.recv().ok(), None, "no completion follows");
    }
    assert_eq!(alice.recorder.since(alice.seen), []);
    alice.server.nobody_asks();
    alice.is_reached_on(stream);
}

#[test]
fn destroy_completes_pending_calls_with_7009_and_nothing_is_delivered_afterwards() {
    let (alice, _stream) = alice(QUICK);
    let renewal = begin_renewal(&alice.client, "a new ticket");
    let _unanswered = alice.server.next_on("/v1/resume");
    assert_eq!(client::destroy(alice.client.handle(), LONG), Ok(()));
    assert_eq!(renewal.try_recv(), Ok(ERR_INTERRUPTED));
    assert_eq!(alice.recorder.since(alice.seen), []);

    let (alice, _stream) = self::alice(QUICK);
    let logout = begin_logout(&alice.client);
    let _unanswered = alice.server.next_on("/v1/logout");
    assert_eq!(client::destroy(alice.client.handle(), LONG), Ok(()));
    assert_eq!(logout.try_recv(), Ok(ERR_INTERRUPTED));
}
