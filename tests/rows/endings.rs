//! Rows of "logged in": the server ends the session, or does not.

use super::scripted_server::SERVER_MS;
use super::tim_server::{begin_renewal, log_in};
use super::*;
use tim::error::*;
use tim_proto::wire::Intent;

#[test]
fn a_kick_is_terminal_until_the_app_logs_in_again() {
    let (alice, mut stream) = alice(QUICK);
    stream.tell(&kicked());
    alice.is_signed_out(kicked_offline(6208));
    let who = alice.client.kick_info_json();
    assert!(
        who.contains(r#""login_id":1"#) && who.contains("another phone"),
        "{who}"
    );
    alice.client.notify(Hint::NetworkChanged).unwrap();
    let login = begin_login(&alice.client, "alice");
    // There was no request in between.
    let request = alice.server.next_on("/v1/login");
    assert_eq!(request.login_no(), 2);
    assert_eq!(request.body["intent"], "interactive");
    let _stream = request.accept();
    assert_eq!(login.recv().unwrap(), OK);
}

#[test]
fn a_kick_reported_on_resume_is_one_too() {
    let (alice, stream) = alice(QUICK);
    stream.close();
    let request = alice.server.next_on("/v1/resume");
    request.refuse_with(6208, "", kick());
    alice.is_signed_out(kicked_offline(6208));
    assert!(alice.client.kick_info_json().contains("another phone"));
    alice.server.nobody_asks();
}

#[test]
fn a_ban_a_deletion_and_a_sign_out_are_kicks_with_their_code() {
    for code in [ERR_BANNED, ERR_ACCOUNT_NOT_FOUND, 6208] {
        let (alice, mut stream) = alice(QUICK);
        stream.tell(&StreamEvent::SessionEnded(end(code)));
        alice.is_signed_out(kicked_offline(code));

        let (alice, stream) = self::alice(QUICK);
        stream.close();
        alice.server.next_on("/v1/resume").refuse(code, "");
        alice.is_signed_out(kicked_offline(code));
    }
}

#[test]
fn a_revoked_ticket_is_an_expired_one_with_its_code() {
    let code = ERR_USER_SIG_REVOKED;
    let (alice, mut stream) = alice(QUICK);
    stream.tell(&StreamEvent::SessionEnded(end(code)));
    alice.is_signed_out(user_sig_expired(code));

    let (alice, stream) = self::alice(QUICK);
    stream.close();
    alice.server.next_on("/v1/resume").refuse(code, "");
    alice.is_signed_out(user_sig_expired(code));
}

#[test]
fn a_stream_that_ends_with_a_code_that_ends_nothing_is_checked_by_a_resume() {
    let (alice, mut stream) = alice(SLOW);
    stream.tell(&StreamEvent::SessionEnded(end(ERR_SERVER_ERROR)));
    let stream = alice.server.next_on("/v1/resume").accept();
    alice.recorder.connected(alice.seen);
    alice.is_reached_on(stream);
}

#[test]
fn the_end_of_the_ticket_is_reported_once_and_the_ticket_not_sent_again() {
    let (alice, mut stream) = alice(QUICK);
    stream.tell(&StreamEvent::UserSigExpired(end(ERR_USER_SIG_EXPIRED)));
    alice.is_signed_out(user_sig_expired(ERR_USER_SIG_EXPIRED));
    let code = ERR_USER_SIG_EXPIRED_LOCALLY;
    assert_eq!(log_in(&alice.client, "alice", &ticket_of("alice")), code);
    alice
        .recorder
        .wait(alice.seen, |n| *n == user_sig_expired(code));
    alice.server.nobody_asks();
}

/// Alice without a connection, when her ticket has expired.
fn after_the_ticket() -> Alice {
    let end_ms = SERVER_MS + 200;
    let (alice, stream) = alice_with(QUICK, |event| event.user_sig_expires_ms = end_ms);
    stream.close();
    while alice.client.server_time_ms().unwrap() <= end_ms {
        let request = alice.server.next_on("/v1/resume");
        assert_eq!(request.user_sig(), None);
    }
    alice.is_logged_in();
    alice
}

#[test]
fn without_a_connection_the_end_of_the_ticket_signs_nobody_out_and_the_server_decides() {
    let alice = after_the_ticket();
    let request = alice.server.next_on("/v1/resume");
    assert_eq!(request.user_sig(), None, "a dead ticket is not sent");
    request.refuse(ERR_USER_SIG_EXPIRED, "");
    alice.is_signed_out(user_sig_expired(ERR_USER_SIG_EXPIRED));
}

#[test]
fn without_a_connection_the_end_of_the_ticket_leaves_renewal_possible() {
    let alice = after_the_ticket();
    let renewal = begin_renewal(&alice.client, "a new ticket");
    let stream = loop {
        let request = alice.server.next_on("/v1/resume");
        // A request without it may have been on its way.
        if request.user_sig().is_some() {
            break request.accept();
        }
    };
    assert_eq!(renewal.recv().unwrap(), OK);
    alice.is_reached_on(stream);
}

#[test]
fn a_void_token_is_replaced_by_a_login_that_displaces_nobody() {
    let (alice, stream) = alice(QUICK);
    stream.close();
    let request = alice.server.next_on("/v1/resume");
    request.refuse(ERR_SESSION_TOKEN_INVALID, "");
    let request = alice.server.next_on("/v1/login");
    assert_eq!(
        request.body["intent"],
        serde_json::to_value(Intent::Reconnect).unwrap()
    );
    assert_eq!(request.login_no(), 1, "it is no new login");
    assert_eq!(request.user_sig(), Some(ticket_of("alice").as_str()));
    let stream = request.accept();
    alice.recorder.connected(alice.seen);
    alice.is_reached_on(stream);
}

/// Plays on with a server that knows no token. Returns the tickets of the requests sent after the
/// end of the first one.
fn tickets_after_the_end(alice: &Alice, end_ms: i64) -> Vec<Option<String>> {
    let mut tickets = Vec::new();
    while tickets.len() < 12 {
        let is_over = alice.client.server_time_ms().unwrap() > end_ms;
        let request = alice.server.next();
        // A request that was on its way when the ticket expired may carry it.
        if is_over {
            tickets.push(request.user_sig().map(str::to_owned));
        }
        request.refuse(ERR_SESSION_TOKEN_INVALID, "");
    }
    tickets
}

#[test]
fn a_dead_ticket_is_not_sent_whatever_becomes_of_the_token() {
    let end_ms = SERVER_MS + 400;
    let (alice, stream) = alice_with(QUICK, |event| event.user_sig_expires_ms = end_ms);
    stream.close();
    let tickets = tickets_after_the_end(&alice, end_ms);
    assert!(tickets[1..].iter().all(Option::is_none), "{tickets:?}");
    // Nor does a failed renewal bring it back.
    let (done, renewed) = completion();
    alice.client.renew_user_sig("a new ticket", done).unwrap();
    let tickets = tickets_after_the_end(&alice, end_ms);
    let old = Some(ticket_of("alice"));
    assert!(!tickets.contains(&old), "{tickets:?}");
    assert!(renewed.try_recv().is_err(), "it still has time");
    alice.is_logged_in();
}

#[test]
fn codes_that_are_no_verdict_sign_nobody_out() {
    for code in [
        ERR_TOO_MANY_FAILURES,
        ERR_SERVER_ERROR,
        ERR_SERVER_OVERLOADED,
        ERR_APP_NOT_FOUND,
        ERR_BAD_REQUEST,
    ] {
        let (alice, stream) = alice(QUICK);
        stream.close();
        alice.server.next_on("/v1/resume").refuse(code, "");
        alice.failed_with(code);
        let stream = alice.server.next_on("/v1/resume").accept();
        alice.recorder.connected(alice.seen);
        alice.is_reached_on(stream);
    }
}
