//! How long the machine waits before it comes back.

use super::*;
use error::*;
use tim_proto::wire::SpreadEvent;

/// The wait behind what has just happened.
fn wait(machine: &Machine) -> u64 {
    machine.session.next_deadline().unwrap() - machine.now.ms
}

/// How many of a thousand clients that lose their stream come back in each tenth of `spread_ms`.
fn tenths(spread_ms: u64, before_the_loss: impl Fn(&mut Machine, u64)) -> [u32; 10] {
    let mut tenths = [0; 10];
    for seed in 0..1_000 {
        let mut machine = Machine::with_seed(seed);
        let (_, step) = machine.login("alice");
        let stream = step.request();
        machine.accept(stream);
        before_the_loss(&mut machine, stream);
        machine.lose(stream);
        tenths[usize::try_from(wait(&machine) * 10 / (spread_ms + 1)).unwrap()] += 1;
    }
    tenths
}

#[test]
fn the_first_attempts_after_a_loss_are_spread_over_the_time_that_the_server_gave() {
    let tenths = tenths(2_000, |_, _| ());
    assert!(tenths.iter().all(|count| *count <= 200), "{tenths:?}");
}

#[test]
fn a_time_that_the_server_gives_later_takes_the_place_of_the_first() {
    let tenths = tenths(500, |machine, stream| {
        let event = StreamEvent::Spread(SpreadEvent { spread_ms: 500 });
        machine.stream(stream, event).is_nothing();
    });
    assert!(tenths.iter().all(|count| *count <= 200), "{tenths:?}");
}

#[test]
fn resumes_are_tried_for_as_long_as_it_takes_with_growing_waits_up_to_the_cap() {
    let (mut machine, stream) = Machine::logged_in();
    let mut seq = machine.resuming(stream);
    let mut longest = 0;
    for code in [
        ERR_CONNECT_REFUSED,
        ERR_TLS,
        ERR_CERTIFICATE,
        ERR_NAME_NOT_FOUND,
    ]
    .iter()
    .cycle()
    .take(400)
    {
        let step = machine.fail(seq, *code);
        assert_eq!(
            step.connection_events(),
            [(ConnectionStatus::ConnectFailed, *code)]
        );
        assert_eq!((step.completions(), step.events()), (vec![], vec![]));
        longest = longest.max(wait(&machine));
        seq = machine.pass_to_deadline().request();
        machine.is(LoginStatus::LoggedIn, "alice");
    }
    assert!((50_000..=60_000).contains(&longest), "{longest}");
    machine.accept(seq);
    machine.is(LoginStatus::LoggedIn, "alice");
}

#[test]
fn the_servers_wait_is_obeyed_up_to_an_hour() {
    for (asked_ms, least, most) in [(7_000, 7_000, 8_000), (100_000_000, 3_600_000, 3_601_000)] {
        let (mut machine, stream) = Machine::logged_in();
        let seq = machine.resuming(stream);
        machine.refuse_with(seq, code::SERVER_OVERLOADED, None, Some(asked_ms));
        let wait = wait(&machine);
        assert!((least..=most).contains(&wait), "{wait}");
    }
}

#[test]
fn a_server_that_goes_away_gives_the_time_of_return() {
    let (mut machine, stream) = Machine::logged_in();
    let step = machine.stream(stream, going_away(30_000));
    assert_eq!(step.abandoned(), [stream]);
    assert_eq!(
        step.connection_events(),
        [(ConnectionStatus::Disconnected, OK)]
    );
    let wait = wait(&machine);
    assert!((30_000..=31_000).contains(&wait), "{wait}");
    machine.is(LoginStatus::LoggedIn, "alice");
}

#[test]
fn a_hint_or_a_sleep_probes_at_once() {
    let (mut machine, stream) = Machine::logged_in();
    let seq = machine.resuming(stream);
    machine.refuse_with(seq, code::SERVER_OVERLOADED, None, Some(600_000));
    let step = machine.step(Input::NetworkChanged);
    assert_eq!(step.requests().len(), 1);

    let (mut machine, stream) = Machine::logged_in();
    machine.now.boot_ms += 3_000;
    let step = machine.step(Input::Tick);
    assert_eq!(step.abandoned(), [stream]);
    assert_eq!(step.resume().session, format!("token {stream}"));

    let (mut machine, _) = Machine::logged_in();
    machine.now.boot_ms += 1_500;
    machine.step(Input::Tick).is_nothing();
}
