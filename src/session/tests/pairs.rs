//! Every state with every input: `docs/login-states.md` lists the result of each pair, and is
//! compared with what the machine does.

use super::*;
use std::fmt::Write;

/// A state to start in: its name, how to reach it, and the number of the newest request there.
pub(super) type State = (&'static str, fn() -> (Machine, u64));

pub(super) const STATES: [State; 9] = [
    ("Logged out", || (Machine::new(), 99)),
    ("Logged out, the logout is pending", || {
        let (mut machine, _) = Machine::logged_in();
        let (_, step) = machine.logout();
        (machine, step.request())
    }),
    ("Logging in, a request is on its way", || {
        let mut machine = Machine::new();
        let (_, step) = machine.login("alice");
        (machine, step.request())
    }),
    ("Logging in, waiting for the next attempt", || {
        let mut machine = Machine::new();
        let (_, step) = machine.login("alice");
        let seq = step.request();
        machine.fail(seq, error::ERR_CONNECT_REFUSED);
        (machine, seq)
    }),
    ("Logged in, the stream is open", Machine::logged_in),
    (
        "Logged in, a renewal is on its way beside the stream",
        || {
            let (mut machine, _) = Machine::logged_in();
            let (_, step) = machine.renew("new");
            (machine, step.request())
        },
    ),
    ("Logged in, a resume is on its way", || {
        let (mut machine, stream) = Machine::logged_in();
        let seq = machine.resuming(stream);
        (machine, seq)
    }),
    ("Logged in, waiting for the next resume", || {
        let (mut machine, stream) = Machine::logged_in();
        let seq = machine.resuming(stream);
        machine.fail(seq, error::ERR_CONNECT_REFUSED);
        (machine, seq)
    }),
    ("Destroyed", || {
        let (mut machine, stream) = Machine::logged_in();
        machine.step(Input::Destroy);
        (machine, stream)
    }),
];

/// An input: its name, and how to feed it to a machine whose newest request is known.
type Given = (&'static str, fn(&mut Machine, u64) -> Step);

const INPUTS: [Given; 28] = [
    ("login of alice", |machine, _| {
        machine.login_with("alice", "another ticket").1
    }),
    ("login of bob", |machine, _| machine.login("bob").1),
    ("logout", |machine, _| machine.logout().1),
    ("renewal", |machine, _| machine.renew("another ticket").1),
    ("destroy", |machine, _| machine.step(Input::Destroy)),
    ("the network changed", |machine, _| {
        // Too late to join the last attempt. There is no network thread here to end it.
        machine.now.ms += HINT_JOINS_MS;
        machine.now.boot_ms += HINT_JOINS_MS;
        machine.step(Input::NetworkChanged)
    }),
    (
        "the network changed, within 2 s of an attempt",
        |machine, _| {
            machine.now.ms += HINT_JOINS_MS - 1;
            machine.now.boot_ms += HINT_JOINS_MS - 1;
            machine.step(Input::NetworkChanged)
        },
    ),
    ("the app came to the foreground", |machine, _| {
        machine.now.ms += HINT_JOINS_MS;
        machine.now.boot_ms += HINT_JOINS_MS;
        machine.step(Input::Foreground)
    }),
    (
        "the app came to the foreground, a heartbeat is missing",
        |machine, _| {
            machine.now.ms += HEARTBEAT_MS * 3 / 2;
            machine.now.boot_ms += HEARTBEAT_MS * 3 / 2;
            machine.step(Input::Foreground)
        },
    ),
    ("accepted", |machine, seq| {
        match machine.session.login_status() {
            LoginStatus::LoggedOut => machine.logged_out(seq),
            _ => machine.accept(seq),
        }
    }),
    ("refused: the ticket is dead (70009)", |machine, seq| {
        machine.refuse(seq, 70009)
    }),
    ("refused: the ticket has expired (70001)", |machine, seq| {
        machine.refuse(seq, 70001)
    }),
    ("refused: ended (6208)", |machine, seq| {
        machine.refuse(seq, 6208)
    }),
    ("refused: throttled (70050)", |machine, seq| {
        machine.refuse(seq, 70050)
    }),
    ("refused: the server failed (70500)", |machine, seq| {
        machine.refuse(seq, 70500)
    }),
    ("refused: unknown app (70020)", |machine, seq| {
        machine.refuse(seq, 70020)
    }),
    ("refused: the token is void (7726)", |machine, seq| {
        machine.refuse(seq, 7726)
    }),
    ("an unknown code", |machine, seq| {
        machine.refuse(seq, 424_242)
    }),
    ("a gateway's 502", |machine, seq| machine.gateway(seq, 502)),
    ("a portal's page", |machine, seq| machine.gateway(seq, 200)),
    ("no connection (9511)", |machine, seq| {
        machine.fail(seq, 9511)
    }),
    ("on the stream: kicked", |machine, _| {
        let stream = stream_of(machine);
        machine.stream(stream, StreamEvent::Kicked(kick()))
    }),
    ("on the stream: the ticket has expired", |machine, _| {
        let stream = stream_of(machine);
        machine.stream(stream, expired())
    }),
    ("on the stream: going away", |machine, _| {
        let stream = stream_of(machine);
        machine.stream(stream, going_away(5_000))
    }),
    ("the stream is lost", |machine, _| {
        let stream = stream_of(machine);
        machine.lose(stream)
    }),
    ("a late answer to an earlier request", |machine, seq| {
        // Of a login or a stream that this request replaced, or of none at all.
        let step = machine.refuse(seq - 1, 70009);
        if step.0.is_empty() {
            machine.refuse(seq + 50, 70009)
        } else {
            step
        }
    }),
    ("the device slept", |machine, _| {
        machine.sleep(10_000);
        machine.step(Input::Tick)
    }),
    ("the next deadline", |machine, _| {
        match machine.session.next_deadline() {
            Some(_) => machine.pass_to_deadline(),
            None => machine.pass(10_000_000),
        }
    }),
];

/// The number of the first request, which is the stream's if there is one.
fn stream_of(_: &Machine) -> u64 {
    1
}

fn status(machine: &Machine) -> &'static str {
    match (&machine.session.state, machine.session.login_status()) {
        (super::super::State::Destroyed, _) => "destroyed",
        (_, LoginStatus::LoggedOut) => "logged out",
        (_, LoginStatus::LoggingIn) => "logging in",
        (_, LoginStatus::LoggedIn) => "logged in",
    }
}

/// The effect of an input, in words. An empty effect: the input is ignored.
fn outcome(state: &State, given: &Given) -> String {
    let (mut machine, seq) = state.1();
    let (before, calls) = (status(&machine), machine.calls);
    let step = given.1(&mut machine, seq);
    let mut words = Vec::new();
    if status(&machine) != before {
        words.push(format!("**{}**", status(&machine)));
    }
    for action in &step.0 {
        words.push(match action {
            Action::Complete { call, code } if *call > calls => {
                format!("the call completes {code}")
            }
            Action::Complete { code, .. } => format!("the earlier call completes {code}"),
            Action::Send { request, .. } => format!("{request:?} is sent").to_lowercase(),
            Action::Event { event, .. } => match event {
                Event::Connection { status, code: 0 } => format!("connection: {}", name(*status)),
                Event::Connection { status, code } => {
                    format!("connection: {} ({code})", name(*status))
                }
                Event::KickedOffline { code } => format!("kicked_offline ({code})"),
                Event::UserSigExpired { code } => format!("user_sig_expired ({code})"),
                Event::UserSigExpiring { .. } => "user_sig_expiring".to_owned(),
            },
            Action::Abandon { .. } | Action::DropEarlierEvents => continue,
        });
    }
    words.join("; ")
}

fn name(status: ConnectionStatus) -> &'static str {
    match status {
        ConnectionStatus::Connected => "connected",
        ConnectionStatus::Disconnected => "disconnected",
        ConnectionStatus::Connecting => "connecting",
        ConnectionStatus::ConnectFailed => "connect failed",
    }
}

/// The generated part of the document.
fn tables() -> String {
    let mut text = String::new();
    for state in &STATES {
        assert_eq!(state.1().0.state(), state.0);
        write!(text, "### {}\n\n", state.0).unwrap();
        let outcomes = INPUTS.map(|given| (given.0, outcome(state, &given)));
        let (ignored, acted): (Vec<_>, Vec<_>) =
            outcomes.iter().partition(|(_, words)| words.is_empty());
        if !acted.is_empty() {
            text.push_str("| input | what happens |\n|---|---|\n");
            for (input, words) in acted {
                writeln!(text, "| {input} | {words} |").unwrap();
            }
            text.push('\n');
        }
        if !ignored.is_empty() {
            let names: Vec<_> = ignored.iter().map(|(input, _)| *input).collect();
            write!(text, "Ignored: {}.\n\n", names.join("; ")).unwrap();
        }
    }
    text
}

#[test]
fn every_state_with_every_input_does_what_the_document_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/login-states.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (begin, end) = (
        "<!-- made by src/session/tests/pairs.rs -->\n\n",
        "<!-- end -->",
    );
    let (head, rest) = document.split_once(begin).unwrap();
    let (written, tail) = rest.split_once(end).unwrap();
    let made = tables();
    if written != made {
        std::fs::write(path, format!("{head}{begin}{made}{end}{tail}")).unwrap();
        panic!(
            "docs/login-states.md was out of date and has been rewritten: look at the difference"
        );
    }
}
