//! Rows of "logged in": a new ticket for the user who is logged in.

use super::*;
use error::*;

/// Fails every request in turn until something completes.
pub(super) fn fail_until_completion(machine: &mut Machine, step: Step, codes: &[i32]) -> Step {
    let (mut step, mut codes) = (step, codes.iter().cycle());
    while step.completions().is_empty() {
        step = match step.requests()[..] {
            [(seq, _)] => machine.fail(seq, *codes.next().unwrap()),
            _ => machine.pass_to_deadline(),
        };
    }
    step
}

fn still_alice(machine: &Machine) {
    machine.is(LoginStatus::LoggedIn, "alice");
}

#[test]
fn a_renewal_is_made_beside_the_stream_and_takes_over_when_it_is_accepted() {
    for same_user_login in [false, true] {
        let (mut machine, stream) = Machine::logged_in();
        let (call, step) = match same_user_login {
            false => machine.renew("new"),
            true => machine.login_with("alice", "new"),
        };
        assert!(step.abandoned().is_empty(), "the stream stays until then");
        assert_eq!(step.resume().user_sig.as_deref(), Some("new"));
        let seq = step.request();
        let step = machine.accept(seq);
        assert_eq!(step.completions(), [(call, OK)]);
        assert_eq!(step.abandoned(), [stream]);
        assert_eq!(step.connection_events(), [], "there was no gap");
        assert_eq!(machine.session.login_id(), 1, "no new session");
        still_alice(&machine);
        machine
            .stream(stream, StreamEvent::Kicked(kick()))
            .is_nothing();
    }
}

#[test]
fn a_refused_renewal_completes_with_its_code_and_the_session_stays() {
    for code in [
        code::USER_SIG_EXPIRED,
        code::USER_SIG_WRONG_KEY,
        code::USER_SIG_OTHER_USER,
    ] {
        let (mut machine, stream) = Machine::logged_in();
        let (call, step) = machine.renew("bad");
        let step = machine.refuse(step.request(), code);
        assert_eq!(
            (step.completions(), step.events()),
            (vec![(call, code)], vec![])
        );
        still_alice(&machine);
        machine.step(Input::Received { seq: stream }).is_nothing();
        let seq = machine.resuming(stream);
        assert!(seq > stream, "resumed with the token, as before");
    }
}

#[test]
fn a_renewal_that_is_answered_with_an_end_ends_the_session() {
    let (mut machine, _) = Machine::logged_in();
    let (call, step) = machine.renew("new");
    let step = machine.refuse(step.request(), code::BANNED);
    assert_eq!(step.completions(), [(call, ERR_NOT_LOGGED_IN)]);
    assert_eq!(step.events(), [Event::KickedOffline { code: code::BANNED }]);
    machine.is(LoginStatus::LoggedOut, "");
}

#[test]
fn a_renewal_without_a_connection_goes_with_the_next_resume() {
    let (mut machine, stream) = Machine::logged_in();
    let seq = machine.resuming(stream);
    machine.refuse_with(seq, code::SERVER_OVERLOADED, None, Some(600_000));
    let (call, step) = machine.renew("new");
    assert_eq!(
        step.resume().user_sig.as_deref(),
        Some("new"),
        "which is made at once"
    );
    let step = machine.accept(step.request());
    assert_eq!(step.completions(), [(call, OK)]);
    still_alice(&machine);
}

#[test]
fn a_renewal_without_a_connection_completes_at_its_deadline_and_the_session_stays() {
    let (mut machine, stream) = Machine::logged_in();
    machine.lose(stream);
    let start = machine.now.ms;
    let (call, mut step) = machine.renew("new");
    let completions = loop {
        if let [(seq, _)] = step.requests()[..] {
            step = machine.fail(seq, ERR_CONNECT_REFUSED);
        } else {
            step = machine.pass_to_deadline();
        }
        if !step.completions().is_empty() {
            break step.completions();
        }
    };
    assert_eq!(completions[0].0, call);
    assert_eq!(
        completions[0].1 / 100,
        95,
        "a network code: {completions:?}"
    );
    assert!((REQUEST_MS..=REQUEST_MS + 1_000).contains(&(machine.now.ms - start)));
    still_alice(&machine);
}

#[test]
fn the_last_of_two_renewals_wins() {
    let (mut machine, _) = Machine::logged_in();
    let (first, step) = machine.renew("one");
    let late = step.request();
    let (second, step) = machine.renew("two");
    assert_eq!(step.completions(), [(first, ERR_SUPERSEDED)]);
    assert_eq!(step.abandoned(), [late]);
    machine.accept(late).is_nothing();
    assert_eq!(machine.accept(step.request()).completions(), [(second, OK)]);
}

#[test]
fn a_kick_an_end_a_logout_or_a_switch_completes_the_renewal_first() {
    type End = fn(&mut Machine, u64) -> Step;
    let ends: [(End, i32); 4] = [
        (
            |machine, stream| machine.stream(stream, StreamEvent::Kicked(kick())),
            ERR_NOT_LOGGED_IN,
        ),
        (
            |machine, stream| machine.stream(stream, expired()),
            ERR_NOT_LOGGED_IN,
        ),
        (|machine, _| machine.logout().1, ERR_NOT_LOGGED_IN),
        (|machine, _| machine.login("bob").1, ERR_SUPERSEDED),
    ];
    for (end, code) in ends {
        let (mut machine, stream) = Machine::logged_in();
        let (call, _) = machine.renew("new");
        let step = end(&mut machine, stream);
        assert_eq!(step.completions(), [(call, code)]);
        let completion = step
            .0
            .iter()
            .position(|action| matches!(action, Action::Complete { .. }));
        let event = step
            .0
            .iter()
            .position(|action| matches!(action, Action::Event { .. }));
        assert!(
            completion < event,
            "completions before events: {:?}",
            step.0
        );
    }
}

#[test]
fn an_old_stream_that_ends_before_the_renewals_answer_makes_no_gap() {
    let (mut machine, stream) = Machine::logged_in();
    let (call, step) = machine.renew("new");
    machine.lose(stream).is_nothing();
    assert_eq!(
        machine.session.connection_status(),
        ConnectionStatus::Connected
    );
    let step = machine.accept(step.request());
    assert_eq!(step.completions(), [(call, OK)]);
    assert_eq!(step.events(), [], "there was no gap");
    still_alice(&machine);
}

#[test]
fn a_stream_lost_during_a_renewal_that_stays_unanswered_is_resumed_with_the_new_ticket() {
    let (mut machine, stream) = Machine::logged_in();
    let (call, step) = machine.renew("new");
    let beside = step.request();
    machine.lose(stream);
    let lost = machine.now.ms;
    let step = machine.pass_to_deadline();
    assert!(machine.now.ms - lost <= 1_000, "an answer comes at once");
    assert_eq!(step.abandoned(), [beside]);
    assert_eq!(
        step.connection_events(),
        [(ConnectionStatus::Connecting, OK)]
    );
    assert_eq!(step.resume().user_sig.as_deref(), Some("new"));
    machine.accept(beside).is_nothing();
    assert_eq!(machine.accept(step.request()).completions(), [(call, OK)]);
}

#[test]
fn a_renewal_that_another_replaces_after_the_streams_end_is_dropped() {
    let (mut machine, stream) = Machine::logged_in();
    let (first, step) = machine.renew("one");
    let beside = step.request();
    machine.lose(stream);
    let (second, step) = machine.renew("two");
    assert_eq!(step.completions(), [(first, ERR_SUPERSEDED)]);
    assert_eq!(step.abandoned(), [beside]);
    assert_eq!(step.resume().user_sig.as_deref(), Some("two"));
    assert_eq!(machine.accept(step.request()).completions(), [(second, OK)]);
}

#[test]
fn a_stream_lost_during_a_renewal_that_fails_too_is_reported_and_resumed_with_the_new_ticket() {
    let (mut machine, stream) = Machine::logged_in();
    let (call, step) = machine.renew("new");
    machine.lose(stream).is_nothing();
    let step = machine.fail(step.request(), ERR_CONNECTION_RESET);
    assert_eq!(step.completions(), [], "its time is not over");
    assert_eq!(
        step.connection_events(),
        [(ConnectionStatus::ConnectFailed, ERR_CONNECTION_RESET)]
    );
    let step = machine.pass_to_deadline();
    assert_eq!(step.resume().user_sig.as_deref(), Some("new"));
    let step = machine.accept(step.request());
    assert_eq!(step.completions(), [(call, OK)]);
    assert_eq!(
        step.connection_events(),
        [(ConnectionStatus::Connected, OK)]
    );
    still_alice(&machine);
}

#[test]
fn a_stream_lost_during_a_renewal_that_is_refused_is_resumed_with_the_token() {
    let (mut machine, stream) = Machine::logged_in();
    let (call, step) = machine.renew("bad");
    machine.lose(stream).is_nothing();
    let step = machine.refuse(step.request(), code::USER_SIG_WRONG_KEY);
    assert_eq!(step.completions(), [(call, code::USER_SIG_WRONG_KEY)]);
    assert_eq!(step.resume().user_sig, None);
    still_alice(&machine);
}

#[test]
fn a_renewal_that_ran_out_has_the_code_of_the_attempt_that_came_furthest() {
    let (mut machine, stream) = Machine::logged_in();
    machine.lose(stream);
    let (call, step) = machine.renew("new");
    let failures = [
        ERR_CONNECT_REFUSED,
        ERR_CONNECTION_RESET,
        ERR_NAME_NOT_FOUND,
    ];
    let step = fail_until_completion(&mut machine, step, &failures);
    assert_eq!(step.completions(), [(call, ERR_CONNECTION_RESET)]);
    assert_eq!(machine.last_code(), ERR_CONNECTION_RESET);
    machine.is(LoginStatus::LoggedIn, "alice");
}

#[test]
fn a_wait_that_the_server_asks_of_a_renewal_is_in_the_last_error() {
    let (mut machine, _) = Machine::logged_in();
    let (call, step) = machine.renew("new");
    let code = code::TOO_MANY_FAILURES;
    let step = machine.refuse_with(step.request(), code, None, Some(10_000));
    assert_eq!(step.completions(), [(call, code)]);
    assert_eq!(machine.session.last_error().unwrap().retry_after_ms, 10_000);
}

#[test]
fn a_login_or_renewal_with_a_ticket_known_to_have_ended_is_refused_here_and_changes_nothing() {
    let mut machine = Machine::new();
    let (_, step) = machine.login_with("alice", "short");
    let stream = step.request();
    machine.accept_for(stream, 60_000);
    machine.step(Input::Received { seq: stream });
    machine.now.ms += 60_001;
    machine.now.boot_ms += 60_001;
    machine.step(Input::Received { seq: stream });
    for user in ["alice", "bob"] {
        let (call, step) = machine.login_with(user, "short");
        let refused = (vec![(call, ERR_USER_SIG_EXPIRED_LOCALLY)], vec![]);
        assert_eq!((step.completions(), step.events()), refused, "{user}");
        assert_eq!(step.requests().len(), 0);
    }
    let (call, step) = machine.renew("short");
    assert_eq!(step.completions(), [(call, ERR_USER_SIG_EXPIRED_LOCALLY)]);
    machine.is(LoginStatus::LoggedIn, "alice");
    assert_eq!(
        machine.session.connection_status(),
        ConnectionStatus::Connected
    );
    assert_eq!(machine.session.login_id(), 1);
}
