//! Tickets known to have ended, and tickets about which nothing is known.

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
    // Our estimate of the server's clock lags by the time the answer took.
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
        slept_ms: 0,
    };
    let (_, step) = machine.login("alice");
    assert_eq!(
        step.requests().len(),
        1,
        "a wrong device clock decides nothing"
    );
}

#[test]
fn a_ticket_that_the_server_called_expired_is_not_sent_again_by_another_call() {
    let mut machine = Machine::new();
    let (_, step) = machine.login("alice");
    machine.refuse(step.request(), code::USER_SIG_EXPIRED);
    let (call, step) = machine.login("alice");
    let code = ERR_USER_SIG_EXPIRED_LOCALLY;
    assert_eq!(step.completions(), [(call, code)]);
    assert_eq!(step.requests().len(), 0);

    let (mut machine, _) = Machine::logged_in();
    let (_, step) = machine.renew("old");
    machine.refuse(step.request(), code::USER_SIG_EXPIRED);
    let (call, step) = machine.renew("old");
    assert_eq!(step.completions(), [(call, code)]);
    assert_eq!(step.requests().len(), 0);
}

/// Alice is logged in with a ticket for a minute, and her token is void.
fn token_is_void() -> (Machine, u64) {
    let mut machine = Machine::new();
    let (_, step) = machine.login_with("alice", "old");
    let stream = step.request();
    machine.accept_for(stream, 60_000);
    let seq = machine.resuming(stream);
    machine.refuse(seq, code::SESSION_TOKEN_INVALID);
    (machine, seq)
}

/// Plays on with a server that knows nobody. Returns the tickets in the requests after the end.
fn tickets_after_the_end(machine: &mut Machine, end_ms: i64) -> Vec<Option<String>> {
    let mut tickets = Vec::new();
    while tickets.len() < 20 {
        let step = machine.pass_to_deadline();
        let [(seq, ref request)] = step.requests()[..] else {
            continue;
        };
        if machine.server_ms() > end_ms {
            tickets.push(match request {
                Request::Login(login) => Some(login.user_sig.clone()),
                Request::Resume(resume) => resume.user_sig.clone(),
                Request::Logout(_) => panic!("nobody logs out"),
            });
        }
        machine.refuse(seq, code::SESSION_TOKEN_INVALID);
    }
    tickets
}

#[test]
fn a_void_token_never_brings_a_ticket_back_that_has_died_since() {
    let (mut machine, _) = token_is_void();
    let tickets = tickets_after_the_end(&mut machine, SERVER_MS + 66_000);
    assert!(tickets.iter().all(Option::is_none), "{tickets:?}");
    machine.is(LoginStatus::LoggedIn, "alice");
}

#[test]
fn a_renewal_that_fails_leaves_no_way_for_the_dead_ticket_either() {
    let (mut machine, _) = token_is_void();
    machine.pass(70_000);
    let (_, step) = machine.renew("new");
    assert_eq!(step.login_request().user_sig, "new");
    machine.refuse(step.request(), code::SESSION_TOKEN_INVALID);
    let tickets = tickets_after_the_end(&mut machine, 0);
    let fresh = |ticket: &Option<String>| ticket.as_deref() != Some("old");
    assert!(tickets.iter().all(fresh), "{tickets:?}");
    machine.is(LoginStatus::LoggedIn, "alice");
}

#[test]
fn an_ending_that_names_its_login_by_a_dead_ticket_is_not_sent() {
    let mut machine = Machine::new();
    let (_, step) = machine.login("alice");
    machine.accept_for(step.request(), 1_000);
    let (_, step) = machine.logout();
    machine.logged_out(step.request());
    machine.login("alice");
    machine.now.boot_ms += 2_000;
    let (_, step) = machine.logout();
    assert_eq!(step.requests().len(), 0, "the login ends with its ticket");
    assert_eq!(machine.state(), "Logged out");
}

#[test]
fn a_ticket_that_was_refused_is_sent_again_at_the_apps_word_alone() {
    let (mut machine, stream) = Machine::logged_in();
    let seq = machine.resuming(stream);
    machine.refuse(seq, code::SESSION_TOKEN_INVALID);
    // The same ticket, passed again: the key that signed it is gone.
    let (_, step) = machine.renew("ticket of alice");
    let step = machine.refuse(step.request(), code::USER_SIG_WRONG_KEY);
    assert_eq!(step.resume().user_sig, None, "the token is the only hope");
    let (_, step) = machine.renew("ticket of alice");
    assert_eq!(step.login_request().user_sig, "ticket of alice");
}
