//! Rows of "logged in": a new ticket for the user who is logged in.

use super::scripted_server::ScriptedServer;
use super::tim_server::{begin_logout, begin_renewal};
use super::*;
use tim::error::*;

fn renews(alice: &Alice) -> Receiver<i32> {
    begin_renewal(&alice.client, "a new ticket")
}

#[test]
fn a_login_of_the_same_user_renews_without_a_gap_a_kick_or_a_new_session() {
    let (alice, stream) = alice(QUICK);
    let renewal = begin_login(&alice.client, "alice");
    let request = alice.server.next_on("/v1/resume");
    assert_eq!(request.body["session"], "token 1");
    assert_eq!(request.user_sig(), Some(ticket_of("alice").as_str()));
    let new_stream = request.accept();
    assert_eq!(renewal.recv().unwrap(), OK);
    stream.wait_until_left();
    assert_eq!(alice.recorder.since(alice.seen), []);
    alice.is_reached_on(new_stream);
}

#[test]
fn a_refused_renewal_completes_with_its_code_and_the_session_stays() {
    for code in [
        ERR_USER_SIG_EXPIRED,
        ERR_USER_SIG_WRONG_KEY,
        ERR_USER_SIG_OTHER_USER,
        ERR_TOO_MANY_FAILURES,
    ] {
        let (alice, stream) = alice(QUICK);
        let renewal = renews(&alice);
        alice.server.next_on("/v1/resume").refuse(code, "");
        assert_eq!(renewal.recv().unwrap(), code);
        alice.is_reached_on(stream);
    }
}

#[test]
fn a_renewal_that_is_answered_with_an_end_ends_the_session() {
    let (alice, _stream) = alice(QUICK);
    let renewal = renews(&alice);
    alice.server.next_on("/v1/resume").refuse(ERR_BANNED, "");
    assert_eq!(renewal.recv().unwrap(), ERR_NOT_LOGGED_IN);
    alice.is_signed_out(kicked_offline(ERR_BANNED));
}

/// Alice without a connection, minutes before the next attempt.
fn alone(more: &str) -> Alice {
    let (alice, stream) = alice(&format!("{SLOW}{more}"));
    stream.close();
    drop(alice.server.next_on("/v1/resume"));
    alice.failed_with(ERR_CONNECTION_RESET);
    alice
}

fn goes_with_a_resume(server: &ScriptedServer) -> scripted_server::ReceivedRequest {
    let request = server.next_on("/v1/resume");
    assert_eq!(request.body["session"], "token 1");
    assert_eq!(request.user_sig(), Some("a new ticket"));
    request
}

#[test]
fn a_renewal_without_a_connection_goes_with_a_resume_at_once() {
    let alice = alone("");
    let renewal = renews(&alice);
    let stream = goes_with_a_resume(&alice.server).accept();
    assert_eq!(renewal.recv().unwrap(), OK);
    alice.is_reached_on(stream);
}

#[test]
fn a_renewal_without_a_connection_completes_at_its_deadline_and_the_session_stays() {
    let alice = alone(r#", "request_timeout_ms": 500"#);
    let renewal = renews(&alice);
    drop(goes_with_a_resume(&alice.server));
    assert_eq!(renewal.recv().unwrap(), ERR_CONNECTION_RESET);
    alice.is_logged_in();
    // The ticket that was not accepted is dropped.
    alice.client.notify(Hint::NetworkChanged).unwrap();
    let request = alice.server.next_on("/v1/resume");
    assert_eq!(request.user_sig(), None);
    alice.is_reached_on(request.accept());
}

#[test]
fn the_last_of_two_renewals_wins() {
    let (alice, _stream) = alice(QUICK);
    let first = renews(&alice);
    let late = alice.server.next_on("/v1/resume");
    let second = begin_renewal(&alice.client, "a newer ticket");
    assert_eq!(first.recv().unwrap(), ERR_SUPERSEDED);
    let request = alice.server.next_on("/v1/resume");
    assert_eq!(request.user_sig(), Some("a newer ticket"));
    late.accept().wait_until_left();
    let stream = request.accept();
    assert_eq!(second.recv().unwrap(), OK);
    alice.is_reached_on(stream);
}

#[test]
fn a_kick_or_an_end_completes_the_renewal_first() {
    let expired = ERR_USER_SIG_EXPIRED;
    for (event, notice) in [
        (kicked(), kicked_offline(6208)),
        (
            StreamEvent::UserSigExpired(end(expired)),
            user_sig_expired(expired),
        ),
    ] {
        let (alice, mut stream) = alice(QUICK);
        let (done, renewal) = alice.recorder.completion();
        alice.client.renew_user_sig("a new ticket", done).unwrap();
        let _unanswered = alice.server.next_on("/v1/resume");
        stream.tell(&event);
        let (code, place) = renewal.recv().unwrap();
        assert_eq!(code, ERR_NOT_LOGGED_IN);
        alice.is_signed_out(notice);
        assert!(!alice.recorder.since(0)[..place].contains(&notice));
    }
}

#[test]
fn a_logout_or_a_switch_completes_the_renewal_first() {
    let (alice, _stream) = alice(QUICK);
    let renewal = renews(&alice);
    let _unanswered = alice.server.next_on("/v1/resume");
    let logout = begin_logout(&alice.client);
    assert_eq!(renewal.recv().unwrap(), ERR_NOT_LOGGED_IN);
    alice.server.next_on("/v1/logout").end();
    assert_eq!(logout.recv().unwrap(), OK);

    let (alice, _stream) = self::alice(QUICK);
    let renewal = renews(&alice);
    let _unanswered = alice.server.next_on("/v1/resume");
    let switch = begin_login(&alice.client, "bob");
    assert_eq!(renewal.recv().unwrap(), ERR_SUPERSEDED);
    let _stream = alice.server.next_on("/v1/login").accept();
    assert_eq!(switch.recv().unwrap(), OK);
    alice.recorder.nobody_was_signed_out();
}

#[test]
fn a_stream_lost_during_a_renewal_is_resumed_with_the_new_ticket() {
    let (alice, stream) = alice(QUICK);
    let renewal = renews(&alice);
    let _unanswered = alice.server.next_on("/v1/resume");
    stream.close();
    let stream = goes_with_a_resume(&alice.server).accept();
    assert_eq!(renewal.recv().unwrap(), OK);
    alice.is_reached_on(stream);
}
