//! Tickets that are known to have ended, and those of which nothing is known.

use super::*;
use error::*;

#[test]
fn a_ticket_that_ended_by_the_servers_clock_is_refused_here_and_another_is_not() {
    let (mut machine, stream) = {
        let mut machine = Machine::new();
        let (_, step) = machine.login("alice");
        let seq = step.request();
        machine.accept_for(seq, 60_000);
        (machine, seq)
    };
    machine.stream(stream, expired());
    machine.is(LoginStatus::LoggedOut, "");
    machine.now.ms += 61_000;
    machine.now.boot_ms += 61_000;
    let (call, step) = machine.login("alice");
    let code = ERR_USER_SIG_EXPIRED_LOCALLY;
    assert_eq!(step.completions(), [(call, code)]);
    assert_eq!(step.events(), [Event::UserSigExpired { code }]);
    assert_eq!(step.requests().len(), 0, "a dead ticket is not sent again");
    let (_, step) = machine.login_with("alice", "a new one");
    assert_eq!(step.requests().len(), 1);
}

#[test]
fn a_ticket_that_the_server_ended_is_not_sent_again_though_its_clock_seems_to_be_behind() {
    let mut machine = Machine::new();
    let (_, step) = machine.login("alice");
    let stream = step.request();
    // What is known of the server's clock is late by the answer's way.
    machine.accept_for(stream, 100);
    let step = machine.stream(stream, expired());
    assert_eq!(step.events().len(), 1);
    let (call, step) = machine.login("alice");
    let code = ERR_USER_SIG_EXPIRED_LOCALLY;
    assert_eq!(step.completions(), [(call, code)]);
    assert_eq!(step.requests().len(), 0);
    let (_, step) = machine.login_with("alice", "a new one");
    assert_eq!(step.requests().len(), 1);
}

#[test]
fn without_the_servers_time_no_ticket_is_refused_here() {
    let mut machine = Machine::new();
    machine.now = Now {
        ms: u64::MAX / 4,
        boot_ms: u64::MAX / 4,
    };
    let (_, step) = machine.login("alice");
    assert_eq!(
        step.requests().len(),
        1,
        "a wrong device clock decides nothing"
    );
}
