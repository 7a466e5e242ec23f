//! Renewals that come to nothing.

use super::*;
use error::*;

/// Fails every request in turn, until something completes.
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
fn a_wait_that_a_renewal_is_told_stands_in_the_last_error() {
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
    machine.step(Input::Heard { seq: stream });
    machine.now.ms += 60_001;
    machine.now.boot_ms += 60_001;
    machine.step(Input::Heard { seq: stream });
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
