//! Rows that begin in "logged in".

use super::*;
use error::*;

fn still_alice(machine: &Machine) {
    machine.is(LoginStatus::LoggedIn, "alice");
}

#[test]
fn a_lost_stream_is_reported_and_resumed_and_the_user_stays_logged_in() {
    let (mut machine, stream) = Machine::logged_in();
    let step = machine.lose(stream);
    assert_eq!(
        step.connection_events(),
        [(ConnectionStatus::Disconnected, ERR_CONNECTION_RESET)]
    );
    still_alice(&machine);
    let wait = machine.session.next_deadline().unwrap() - machine.now.ms;
    assert!(wait <= 2_000, "spread as the server said");
    let step = machine.pass_to_deadline();
    assert_eq!(step.resume().session, format!("token {stream}"));
    assert_eq!(step.resume().user_sig, None);
    assert_eq!(
        step.connection_events(),
        [(ConnectionStatus::Connecting, 0)]
    );
    let step = machine.accept(step.request());
    assert_eq!(step.connection_events(), [(ConnectionStatus::Connected, 0)]);
    assert_eq!(step.completions(), []);
    still_alice(&machine);
}

#[test]
fn a_stream_without_a_byte_for_two_and_a_half_heartbeats_is_lost() {
    let (mut machine, stream) = Machine::logged_in();
    machine.pass(HEARTBEAT_MS * 2).is_nothing();
    machine.step(Input::Received { seq: stream }).is_nothing();
    machine.pass(HEARTBEAT_MS * 5 / 2 - 1).is_nothing();
    let step = machine.pass(1);
    assert_eq!(step.abandoned(), [stream]);
    assert_eq!(
        step.connection_events(),
        [(ConnectionStatus::Disconnected, ERR_RESPONSE_TIMEOUT)]
    );
    still_alice(&machine);
}

#[test]
fn answers_of_gateways_portals_and_proxies_sign_nobody_out() {
    for status in [
        200, 204, 301, 302, 401, 403, 404, 407, 429, 500, 502, 503, 504, 511,
    ] {
        let (mut machine, stream) = Machine::logged_in();
        let seq = machine.resuming(stream);
        let step = machine.gateway(seq, status);
        assert_eq!(
            (step.completions(), step.events()),
            (vec![], vec![]),
            "{status}"
        );
        assert_eq!(
            step.connection_events().len(),
            1,
            "named in the connection event"
        );
        assert_ne!(step.connection_events()[0].1, OK);
        still_alice(&machine);
    }
}

#[test]
fn codes_that_are_no_verdict_sign_nobody_out() {
    for code in [
        code::TOO_MANY_FAILURES,
        code::LOGIN_TOO_OFTEN,
        code::SERVER_TIMEOUT,
        code::SERVER_ERROR,
        code::SERVER_OVERLOADED,
        code::APP_NOT_FOUND,
        code::APP_KEY_NOT_FOUND,
        code::BAD_REQUEST,
        code::SESSION_TOKEN_INVALID,
        424_242,
    ] {
        let (mut machine, stream) = Machine::logged_in();
        let seq = machine.resuming(stream);
        let step = machine.refuse_with(seq, code, None, Some(7_000));
        assert_eq!(
            (step.completions(), step.events()),
            (vec![], vec![]),
            "{code}"
        );
        still_alice(&machine);
    }
}

#[test]
fn a_kick_is_terminal() {
    let (mut machine, stream) = Machine::logged_in();
    let step = machine.stream(stream, StreamEvent::Kicked(kick()));
    assert_eq!(step.events(), [Event::KickedOffline { code: 6208 }]);
    assert_eq!(
        step.connection_events(),
        [(ConnectionStatus::Disconnected, OK)]
    );
    assert_eq!(machine.session.kick_info(), Some((1, &kick())));
    machine.is(LoginStatus::LoggedOut, "");
    assert_eq!(machine.session.next_deadline(), None, "no reconnect");
    machine.lose(stream).is_nothing();
    machine.step(Input::NetworkChanged).is_nothing();
    machine.pass(50_000_000).is_nothing();
    let (_, step) = machine.login("alice");
    assert_eq!(step.login_request().login_no, 2);
}

#[test]
fn a_kick_reported_on_resume_is_one_too() {
    let (mut machine, stream) = Machine::logged_in();
    let seq = machine.resuming(stream);
    let step = machine.refuse_with(seq, 6208, Some(kick()), None);
    assert_eq!(step.events(), [Event::KickedOffline { code: 6208 }]);
    assert_eq!(machine.session.kick_info(), Some((1, &kick())));
    machine.is(LoginStatus::LoggedOut, "");
    assert_eq!(machine.session.next_deadline(), None);
}

#[test]
fn a_ban_a_deletion_and_a_sign_out_are_kicks_with_their_code() {
    for code in [code::BANNED, code::ACCOUNT_NOT_FOUND, 6208] {
        let (mut machine, stream) = Machine::logged_in();
        let step = machine.stream(stream, ended(code));
        assert_eq!(step.events(), [Event::KickedOffline { code }]);
        machine.is(LoginStatus::LoggedOut, "");
    }
}

#[test]
fn a_revoked_ticket_is_an_expired_one_with_its_code() {
    let (mut machine, stream) = Machine::logged_in();
    let code = code::USER_SIG_REVOKED;
    let step = machine.stream(stream, ended(code));
    assert_eq!(step.events(), [Event::UserSigExpired { code }]);
    machine.is(LoginStatus::LoggedOut, "");
}

#[test]
fn a_stream_that_ends_with_a_code_that_ends_nothing_is_checked_by_a_resume() {
    let (mut machine, stream) = Machine::logged_in();
    let step = machine.stream(stream, ended(code::SERVER_ERROR));
    assert_eq!(step.requests().len(), 1);
    still_alice(&machine);
}

#[test]
fn a_ticket_near_its_end_is_reported_once_with_the_seconds_left() {
    for (ticket_ms, lead_ms) in [(TICKET_MS, 600_000), (60_000, 6_000)] {
        let mut machine = Machine::new();
        let (_, step) = machine.login("alice");
        let seq = step.request();
        machine.accept_for(seq, ticket_ms);
        let mut delivered = Vec::new();
        let end = machine.now.ms + u64::try_from(ticket_ms).unwrap();
        while machine.now.ms < end {
            machine.step(Input::Received { seq });
            let next = machine.session.next_deadline().unwrap().min(end);
            let step = machine.pass(next - machine.now.ms);
            delivered.extend(
                step.events()
                    .into_iter()
                    .map(|event| (end - machine.now.ms, event)),
            );
        }
        let seconds_left = lead_ms / 1_000;
        assert_eq!(
            delivered,
            [(lead_ms as u64, Event::UserSigExpiring { seconds_left })]
        );
        still_alice(&machine);
    }
}

#[test]
fn the_server_says_when_the_ticket_has_ended_and_it_is_reported_once() {
    let (mut machine, stream) = Machine::logged_in();
    let code = code::USER_SIG_EXPIRED;
    let step = machine.stream(stream, expired());
    assert_eq!(step.events(), [Event::UserSigExpired { code }]);
    machine.is(LoginStatus::LoggedOut, "");
    machine.stream(stream, expired()).is_nothing();
    assert_eq!(machine.session.next_deadline(), None);
}

#[test]
fn without_a_connection_the_end_of_the_ticket_signs_nobody_out_and_the_token_is_resumed() {
    let mut machine = Machine::new();
    let (_, step) = machine.login("alice");
    let seq = step.request();
    machine.accept_for(seq, 60_000);
    let mut seq = machine.resuming(seq);
    while machine.server_ms() < SERVER_MS + 200_000 {
        machine.fail(seq, ERR_CONNECT_REFUSED);
        let step = loop {
            let step = machine.pass_to_deadline();
            if !step.requests().is_empty() {
                break step;
            }
        };
        assert_eq!(step.resume().user_sig, None, "the dead ticket is not sent");
        seq = step.request();
        still_alice(&machine);
    }
    let step = machine.refuse(seq, code::USER_SIG_EXPIRED);
    assert_eq!(
        step.events(),
        [Event::UserSigExpired {
            code: code::USER_SIG_EXPIRED
        }]
    );
    machine.is(LoginStatus::LoggedOut, "");
}

#[test]
fn a_void_token_is_replaced_by_a_login_that_displaces_nobody() {
    let (mut machine, stream) = Machine::logged_in();
    let seq = machine.resuming(stream);
    machine.refuse(seq, code::SESSION_TOKEN_INVALID);
    let step = machine.pass_to_deadline();
    let login = step.login_request();
    assert_eq!(login.intent, wire::Intent::Reconnect);
    assert_eq!(login.login_no, 1, "it is no new login");
    machine.accept(step.request());
    still_alice(&machine);
    let step = machine.lose(step.request());
    assert_eq!(step.events(), []);
}

#[test]
fn a_void_token_with_a_dead_ticket_is_resumed_on_and_the_ticket_not_sent() {
    let mut machine = Machine::new();
    let (_, step) = machine.login("alice");
    let stream = step.request();
    machine.accept_for(stream, 10_000);
    let seq = machine.resuming(stream);
    machine.now.ms += 11_000;
    machine.now.boot_ms += 11_000;
    machine.refuse(seq, code::SESSION_TOKEN_INVALID);
    let step = loop {
        let step = machine.pass_to_deadline();
        if !step.requests().is_empty() {
            break step;
        }
    };
    assert_eq!(step.resume().user_sig, None);
    still_alice(&machine);
}

// Endings by the app.

#[test]
fn a_logout_takes_effect_at_once_and_completes_when_the_server_has_answered() {
    let (mut machine, stream) = Machine::logged_in();
    let (call, step) = machine.logout();
    assert_eq!(step.completions(), []);
    assert_eq!(step.abandoned(), [stream]);
    machine.is(LoginStatus::LoggedOut, "");
    match &step.logout_request().ends {
        wire::Ending::Session { session } => assert_eq!(*session, format!("token {stream}")),
        wire::Ending::Login { .. } => panic!("there is a token"),
    }
    assert_eq!(
        machine.logged_out(step.request()).completions(),
        [(call, OK)]
    );
}

#[test]
fn a_switch_ends_the_old_session_with_the_new_login_and_kicks_nobody() {
    let (mut machine, stream) = Machine::logged_in();
    let (call, step) = machine.login("bob");
    assert_eq!((step.completions(), step.events()), (vec![], vec![]));
    assert_eq!(step.abandoned(), [stream]);
    assert_eq!(
        step.requests().len(),
        1,
        "one request ends the old and begins the new"
    );
    assert!(
        matches!(&step.login_request().ends[..], [wire::Ending::Session { session }] if *session == format!("token {stream}"))
    );
    machine.is(LoginStatus::LoggingIn, "");
    machine
        .stream(stream, StreamEvent::Kicked(kick()))
        .is_nothing();
    assert_eq!(machine.accept(step.request()).completions(), [(call, OK)]);
    machine.is(LoginStatus::LoggedIn, "bob");
}

#[test]
fn a_switch_that_fails_leaves_nobody_logged_in() {
    let (mut machine, _) = Machine::logged_in();
    let (call, step) = machine.login("bob");
    let step = machine.refuse(step.request(), code::USER_SIG_WRONG_KEY);
    assert_eq!(step.completions(), [(call, code::USER_SIG_WRONG_KEY)]);
    machine.is(LoginStatus::LoggedOut, "");
}

#[test]
fn destroy_ends_a_renewal_and_tells_nothing_else() {
    let (mut machine, _) = Machine::logged_in();
    let (call, _) = machine.renew("new");
    let step = machine.step(Input::Destroy);
    assert_eq!(step.completions(), [(call, ERR_INTERRUPTED)]);
    assert_eq!(step.events(), []);
    assert_eq!(machine.session.next_deadline(), None);
}
