//! Rows that begin in "logged out" and "logging in".

use super::*;
use error::*;

#[test]
fn a_login_connects_and_completes_with_0_when_the_server_accepts() {
    let mut machine = Machine::new();
    let (call, step) = machine.login("alice");
    assert_eq!(
        step.connection_events(),
        [(ConnectionStatus::Connecting, 0)]
    );
    let request = step.login_request();
    assert_eq!(request.user_id, "alice");
    assert_eq!(request.intent, wire::Intent::Interactive);
    machine.is(LoginStatus::LoggingIn, "");
    let seq = step.request();
    let step = machine.accept(seq);
    assert_eq!(step.completions(), [(call, OK)]);
    assert_eq!(step.connection_events(), [(ConnectionStatus::Connected, 0)]);
    machine.is(LoginStatus::LoggedIn, "alice");
    assert_eq!(
        machine.session.server_time_ms(machine.now),
        Some(machine.server_ms())
    );
}

#[test]
fn a_refusal_completes_with_the_servers_code_and_nobody_is_logged_in() {
    for code in [
        code::USER_SIG_UNREADABLE,
        code::USER_SIG_WRONG_KEY,
        code::USER_SIG_OTHER_USER,
        code::USER_SIG_OTHER_APP,
        code::USER_SIG_REVOKED,
        code::BANNED,
        code::ACCOUNT_NOT_FOUND,
    ] {
        let mut machine = Machine::new();
        let (call, step) = machine.login("alice");
        let step = machine.refuse(step.request(), code);
        assert_eq!(step.completions(), [(call, code)]);
        assert_eq!(step.events(), []);
        assert_eq!(
            step.connection_events(),
            [(ConnectionStatus::Disconnected, code)]
        );
        machine.is(LoginStatus::LoggedOut, "");
        assert_eq!(machine.last_code(), code);
        assert_eq!(
            machine.session.next_deadline(),
            None,
            "it is never retried by itself"
        );
    }
}

#[test]
fn an_expired_ticket_completes_first_and_raises_the_event_then() {
    let mut machine = Machine::new();
    let (call, step) = machine.login("alice");
    let step = machine.refuse(step.request(), code::USER_SIG_EXPIRED);
    let code = code::USER_SIG_EXPIRED;
    assert_eq!(step.completions(), [(call, code)]);
    assert_eq!(step.events(), [Event::UserSigExpired { code }]);
    let place = |wanted: &dyn Fn(&Action) -> bool| step.0.iter().position(wanted);
    assert!(
        place(&|action| matches!(action, Action::Complete { .. }))
            < place(&|action| matches!(action, Action::Event { .. }))
    );
}

#[test]
fn kicked_while_away_is_reported_by_the_completion_with_who_it_was_and_without_the_event() {
    let mut machine = Machine::new();
    let (call, step) = machine.login("alice");
    let step = machine.refuse_with(step.request(), 6208, Some(kick()), None);
    assert_eq!(step.completions(), [(call, 6208)]);
    assert_eq!(step.events(), []);
    assert_eq!(machine.session.kick_info(), Some((1, &kick())));
}

#[test]
fn network_trouble_is_retried_within_the_deadline_as_the_same_login() {
    let mut machine = Machine::new();
    let (call, first) = machine.login("alice");
    let first = first.login_request().clone();
    let step = machine.fail(first.seq, ERR_CONNECT_REFUSED);
    assert_eq!(step.completions(), []);
    assert_eq!(
        step.connection_events(),
        [(ConnectionStatus::ConnectFailed, ERR_CONNECT_REFUSED)]
    );
    machine.is(LoginStatus::LoggingIn, "");
    let step = machine.pass_to_deadline();
    let second = step.login_request();
    assert_eq!(second.login_no, first.login_no);
    assert!(second.seq > first.seq);
    assert_eq!(machine.accept(step.request()).completions(), [(call, OK)]);
}

#[test]
fn a_login_that_ran_out_has_the_code_of_the_attempt_that_came_furthest() {
    let mut machine = Machine::new();
    let start = machine.now.ms;
    let (call, mut step) = machine.login("alice");
    let mut failures = [
        ERR_NAME_NOT_FOUND,
        ERR_CONNECTION_RESET,
        ERR_CONNECT_REFUSED,
    ]
    .iter()
    .cycle();
    let completions = loop {
        if let [(seq, _)] = step.requests()[..] {
            step = machine.fail(seq, *failures.next().unwrap());
        } else {
            step = machine.pass_to_deadline();
        }
        if !step.completions().is_empty() {
            break step.completions();
        }
    };
    assert_eq!(completions, [(call, ERR_CONNECTION_RESET)]);
    assert_eq!(
        machine.now.ms - start,
        LOGIN_MS,
        "not before its deadline, and not after"
    );
    machine.is(LoginStatus::LoggedOut, "");
    assert_eq!(machine.session.last_error().unwrap().phase, Phase::Connect);
}

#[test]
fn an_attempt_that_the_deadline_cut_short_does_not_hide_what_was_wrong_before() {
    let mut machine = Machine::new();
    let deadline = machine.now.ms + LOGIN_MS;
    let (call, mut step) = machine.login("alice");
    loop {
        let seq = match step.requests()[..] {
            [(seq, _)] => seq,
            _ => {
                step = machine.pass_to_deadline();
                continue;
            }
        };
        if deadline - machine.now.ms < 500 {
            machine.now.ms = deadline;
            step = machine.fail(seq, ERR_CONNECT_TIMEOUT);
            break;
        }
        // So that the last attempt comes late, whatever the waits.
        machine.now.ms += 300;
        step = machine.fail(seq, ERR_CONNECT_REFUSED);
    }
    assert_eq!(step.completions(), [(call, ERR_CONNECT_REFUSED)]);
}

#[test]
fn a_server_that_never_answers_ends_the_login_even_if_the_network_forgets_to() {
    let mut machine = Machine::new();
    let (call, step) = machine.login("alice");
    let (seq, start) = (step.request(), machine.now.ms);
    let step = machine.pass_to_deadline();
    assert_eq!(step.abandoned(), [seq]);
    assert_eq!(step.completions(), [(call, ERR_RESPONSE_TIMEOUT)]);
    assert!(machine.now.ms - start <= LOGIN_MS + 1_000);
}

#[test]
fn what_another_attempt_cannot_help_ends_the_login_at_once() {
    for code in [
        ERR_CERTIFICATE,
        ERR_PROXY_AUTH,
        ERR_PLAINTEXT_REFUSED,
        ERR_NOT_TIM_SERVER,
    ] {
        let mut machine = Machine::new();
        let (call, step) = machine.login("alice");
        assert_eq!(
            machine.fail(step.request(), code).completions(),
            [(call, code)]
        );
        machine.is(LoginStatus::LoggedOut, "");
    }
}

#[test]
fn gateways_are_retried_and_portals_are_not() {
    for status in [408, 429, 500, 502, 503, 504, 511] {
        let mut machine = Machine::new();
        let (call, step) = machine.login("alice");
        let step = machine.gateway(step.request(), status);
        assert_eq!(step.completions(), [], "{status}");
        machine.is(LoginStatus::LoggingIn, "");
        assert_eq!(machine.last_code(), ERR_HTTP);
        let step = machine.pass_to_deadline();
        assert_eq!(machine.accept(step.request()).completions(), [(call, OK)]);
    }
    for status in [200, 302, 401, 403, 404] {
        let mut machine = Machine::new();
        let (call, step) = machine.login("alice");
        let step = machine.gateway(step.request(), status);
        assert_eq!(step.completions(), [(call, ERR_NOT_TIM_SERVER)], "{status}");
    }
    let mut machine = Machine::new();
    let (call, step) = machine.login("alice");
    let step = machine.gateway(step.request(), 407);
    assert_eq!(step.completions(), [(call, ERR_PROXY_AUTH)]);
}

#[test]
fn an_answer_without_the_header_or_for_another_request_decides_nothing() {
    for (tim_protocol, instance, seq_off) in [(false, true, 0), (true, false, 0), (true, true, 1)] {
        let mut machine = Machine::new();
        let (call, step) = machine.login("alice");
        let seq = step.request();
        let instance = if instance {
            machine.session.cx.identity.instance.clone()
        } else {
            "x".to_owned()
        };
        let answer = Answer::Refused(Refused {
            http_status: 401,
            tim_protocol,
            refusal: Some(wire::Refusal {
                code: code::USER_SIG_EXPIRED,
                message: String::new(),
                instance,
                seq: seq + seq_off,
                kick: None,
            }),
            retry_after_ms: None,
            address: String::new(),
        });
        let step = machine.step(Input::Answer { seq, answer });
        assert_eq!(step.completions(), [(call, ERR_NOT_TIM_SERVER)]);
        assert_eq!(
            step.events(),
            [],
            "the ticket has not expired: a proxy said so"
        );
    }
}

#[test]
fn overload_and_throttling_complete_at_once_with_the_wait_in_the_last_error() {
    for code in [
        code::SERVER_OVERLOADED,
        code::TOO_MANY_FAILURES,
        code::LOGIN_TOO_OFTEN,
    ] {
        let mut machine = Machine::new();
        let (call, step) = machine.login("alice");
        let step = machine.refuse_with(step.request(), code, None, Some(10_000));
        assert_eq!(step.completions(), [(call, code)]);
        assert_eq!(machine.session.last_error().unwrap().retry_after_ms, 10_000);
        machine.is(LoginStatus::LoggedOut, "");
        assert_eq!(machine.session.next_deadline(), None);
    }
}

#[test]
fn a_wait_within_the_deadline_is_obeyed_and_a_longer_one_ends_the_login() {
    let mut machine = Machine::new();
    let (call, step) = machine.login("alice");
    let step = machine.refuse_with(step.request(), code::SERVER_ERROR, None, Some(4_000));
    assert_eq!(step.completions(), []);
    assert!(machine.session.next_deadline().unwrap() >= machine.now.ms + 4_000);
    let step = machine.pass_to_deadline();
    let step = machine.refuse_with(step.request(), code::SERVER_ERROR, None, Some(20_000));
    assert_eq!(step.completions(), [(call, code::SERVER_ERROR)]);
}

#[test]
fn a_gateways_wait_is_obeyed_where_it_fits_and_never_ends_a_login() {
    for (requested_ms, least_ms) in [(4_000, 4_000), (20_000, 0), (u64::MAX, 0)] {
        let mut machine = Machine::new();
        let (call, step) = machine.login("alice");
        let step = machine.gateway_with(step.request(), 503, Some(requested_ms));
        assert_eq!(step.completions(), []);
        let wait = machine.session.next_deadline().unwrap() - machine.now.ms;
        assert!(
            (least_ms..LOGIN_MS).contains(&wait),
            "{requested_ms}: {wait}"
        );
        let step = machine.pass_to_deadline();
        assert_eq!(machine.accept(step.request()).completions(), [(call, OK)]);
    }
}

#[test]
fn a_login_whose_ticket_dies_between_two_attempts_is_refused_here() {
    let mut machine = Machine::new();
    let (_, step) = machine.login("alice");
    machine.accept_for(step.request(), 1_000);
    machine.logout();
    let (call, step) = machine.login("alice");
    machine.refuse_with(step.request(), code::SERVER_ERROR, None, Some(4_000));
    let step = machine.pass_to_deadline();
    let code = ERR_USER_SIG_EXPIRED_LOCALLY;
    assert_eq!(step.completions(), [(call, code)]);
    assert_eq!(step.events(), [Event::UserSigExpired { code }]);
    assert_eq!(step.requests().len(), 0);
    machine.is(LoginStatus::LoggedOut, "");
}

#[test]
fn a_server_that_does_not_know_the_app_says_so_and_is_not_contacted_again() {
    for code in [code::APP_NOT_FOUND, code::APP_KEY_NOT_FOUND] {
        let mut machine = Machine::new();
        let (call, step) = machine.login("alice");
        assert_eq!(
            machine.refuse(step.request(), code).completions(),
            [(call, code)]
        );
        machine.is(LoginStatus::LoggedOut, "");
    }
}

#[test]
fn a_second_login_of_the_same_user_completes_7501_and_the_first_goes_on() {
    let mut machine = Machine::new();
    let (first, step) = machine.login("alice");
    let (second, answer) = machine.login("alice");
    assert_eq!(answer.completions(), [(second, ERR_LOGIN_IN_PROGRESS)]);
    assert_eq!(machine.session.login_id(), 1);
    assert_eq!(machine.accept(step.request()).completions(), [(first, OK)]);
}

#[test]
fn a_login_of_another_user_supersedes_the_first_whose_late_answer_is_ignored() {
    let mut machine = Machine::new();
    let (alice, first) = machine.login("alice");
    let late = first.request();
    let (bob, second) = machine.login("bob");
    assert_eq!(second.completions(), [(alice, ERR_SUPERSEDED)]);
    assert_eq!(second.abandoned(), [late]);
    assert!(second.0.contains(&Action::DropEarlierEvents));
    assert!(
        matches!(&second.login_request().ends[..], [wire::Ending::Login { user_id, login_no: 1, .. }] if user_id == "alice"),
        "the server is asked to end alice's, in case it was accepted"
    );
    machine.accept(late).is_nothing();
    machine.is(LoginStatus::LoggingIn, "");
    assert_eq!(machine.accept(second.request()).completions(), [(bob, OK)]);
    machine.is(LoginStatus::LoggedIn, "bob");
    assert_eq!(machine.session.login_id(), 2);
}

#[test]
fn a_renewal_during_a_login_is_refused_with_7501() {
    let mut machine = Machine::new();
    machine.login("alice");
    let (call, step) = machine.renew("new");
    assert_eq!(step.completions(), [(call, ERR_LOGIN_IN_PROGRESS)]);
}

#[test]
fn a_logout_during_a_login_completes_6023_then_0_and_is_sent_to_the_server() {
    let mut machine = Machine::new();
    let (login, step) = machine.login("alice");
    let late = step.request();
    let (logout, step) = machine.logout();
    assert_eq!(
        step.completions(),
        [(login, ERR_LOGGED_OUT_DURING_LOGIN), (logout, OK)]
    );
    assert_eq!(step.abandoned(), [late]);
    machine.is(LoginStatus::LoggedOut, "");
    match &step.logout_request().ends {
        wire::Ending::Login {
            login_no,
            instance,
            user_sig,
            ..
        } => {
            assert_eq!(*login_no, 1);
            assert_eq!(*instance, machine.session.cx.identity.instance);
            assert_eq!(user_sig, "ticket of alice");
        }
        wire::Ending::Session { .. } => panic!("there is no token"),
    }
    machine.accept(late).is_nothing();
    machine.logged_out(step.request()).is_nothing();
}

#[test]
fn destroy_completes_what_is_unfinished_with_7009_and_then_there_is_nothing() {
    let mut machine = Machine::new();
    let (login, step) = machine.login("alice");
    let late = step.request();
    assert_eq!(
        machine.step(Input::Destroy).completions(),
        [(login, ERR_INTERRUPTED)]
    );
    machine.accept(late).is_nothing();
    machine.pass(1_000_000).is_nothing();
    machine.step(Input::Destroy).is_nothing();
    assert_eq!(machine.session.next_deadline(), None);
}

#[test]
fn time_in_which_the_device_sleeps_is_not_counted_and_hurries_the_next_attempt() {
    let mut machine = Machine::new();
    let (_, step) = machine.login("alice");
    machine.refuse_with(step.request(), code::SERVER_ERROR, None, Some(4_000));
    machine.sleep(60_000);
    let step = machine.step(Input::Tick);
    assert_eq!(
        step.requests().len(),
        1,
        "the network may be another one: at once"
    );
    machine.is(LoginStatus::LoggingIn, "");
}

#[test]
fn logged_out_a_logout_completes_0_and_a_renewal_6014() {
    let mut machine = Machine::new();
    let (call, step) = machine.logout();
    assert_eq!(step.completions(), [(call, OK)]);
    assert_eq!(step.requests().len(), 0);
    let (call, step) = machine.renew("new");
    assert_eq!(step.completions(), [(call, ERR_NOT_LOGGED_IN)]);
}
