//! Rows of "logged out, and the logout is pending".

use super::*;
use error::*;

/// Alice has logged out. Returns the logout's call and the number of its request.
fn logging_out() -> (Machine, CallId, u64) {
    let (mut machine, _) = Machine::logged_in();
    let (call, step) = machine.logout();
    (machine, call, step.request())
}

#[test]
fn telling_is_retried_and_ends_at_the_deadline_with_the_network_code() {
    let (mut machine, call, mut seq) = logging_out();
    let start = machine.now.ms;
    let completions = loop {
        machine.fail(seq, ERR_CONNECT_REFUSED);
        let step = machine.pass_to_deadline();
        match step.requests()[..] {
            [(next, _)] => seq = next,
            _ => break step.completions(),
        }
    };
    assert_eq!(completions, [(call, ERR_CONNECT_REFUSED)]);
    assert_eq!(machine.now.ms - start, REQUEST_MS);
    machine.is(LoginStatus::LoggedOut, "");
    assert_eq!(machine.session.next_deadline(), None);
}

#[test]
fn a_logout_that_ran_out_has_the_code_of_the_attempt_that_came_furthest() {
    let (mut machine, call, seq) = logging_out();
    let step = machine.fail(seq, ERR_CONNECTION_RESET);
    let step = renewals::fail_until_completion(&mut machine, step, &[ERR_CONNECT_REFUSED]);
    assert_eq!(step.completions(), [(call, ERR_CONNECTION_RESET)]);
    assert_eq!(machine.last_code(), ERR_CONNECTION_RESET);
}

#[test]
fn a_session_that_the_server_does_not_know_is_ended_all_the_same() {
    for code in [
        code::USER_SIG_EXPIRED,
        6208,
        code::BANNED,
        code::SESSION_TOKEN_INVALID,
    ] {
        let (mut machine, call, seq) = logging_out();
        assert_eq!(
            machine.refuse(seq, code).completions(),
            [(call, OK)],
            "{code}"
        );
    }
}

#[test]
fn an_answer_to_a_logout_by_token_echoes_its_seq_alone() {
    for (seq_off, outcome) in [(0, OK), (1, ERR_NOT_TIM_SERVER)] {
        let (mut machine, call, seq) = logging_out();
        let answer = Answer::Refused(Refused {
            http_status: 401,
            tim_protocol: true,
            refusal: Some(wire::Refusal {
                code: code::SESSION_TOKEN_INVALID,
                message: String::new(),
                instance: String::new(),
                seq: seq + seq_off,
                kick: None,
            }),
            retry_after_ms: None,
            address: String::new(),
        });
        let step = machine.step(Input::Answer { seq, answer });
        assert_eq!(step.completions(), [(call, outcome)]);
    }
}

#[test]
fn a_second_logout_completes_7502() {
    let (mut machine, first, seq) = logging_out();
    let (second, step) = machine.logout();
    assert_eq!(step.completions(), [(second, ERR_LOGOUT_IN_PROGRESS)]);
    assert_eq!(machine.logged_out(seq).completions(), [(first, OK)]);
}

#[test]
fn a_login_carries_the_ending_and_its_answer_completes_the_logout_first() {
    let (mut machine, logout, seq) = logging_out();
    let (login, step) = machine.login("bob");
    assert_eq!(step.abandoned(), [seq]);
    assert_eq!(step.login_request().ends.len(), 1);
    let step = machine.accept(step.request());
    assert_eq!(step.completions(), [(logout, OK), (login, OK)]);
}

#[test]
fn a_logout_that_rides_along_keeps_its_own_deadline() {
    let (mut machine, logout, _) = logging_out();
    let (login, step) = machine.login("bob");
    let seq = step.request();
    let step = machine.pass(REQUEST_MS);
    assert_eq!(step.completions(), [(logout, ERR_RESPONSE_TIMEOUT)]);
    machine.is(LoginStatus::LoggingIn, "");
    assert_eq!(machine.accept(seq).completions(), [(login, OK)]);
}

#[test]
fn a_renewal_during_a_logout_is_refused_with_6014() {
    let (mut machine, _, _) = logging_out();
    let (call, step) = machine.renew("new");
    assert_eq!(step.completions(), [(call, ERR_NOT_LOGGED_IN)]);
}

#[test]
fn destroy_completes_the_logout_with_7009() {
    let (mut machine, logout, _) = logging_out();
    assert_eq!(
        machine.step(Input::Destroy).completions(),
        [(logout, ERR_INTERRUPTED)]
    );
}

#[test]
fn endings_of_more_logins_than_a_request_carries_lose_the_oldest_and_complete_all() {
    let mut machine = Machine::new();
    let mut calls = Vec::new();
    for user in ["a", "b", "c", "d", "e", "f", "g"] {
        calls.push(machine.login(user).0);
    }
    let (_, step) = machine.login("h");
    assert_eq!(step.login_request().ends.len(), wire::ENDS_MAX);
}
