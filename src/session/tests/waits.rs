//! How long the machine waits before it reconnects.

use super::*;
use error::*;
use tim_proto::wire::SpreadEvent;

/// The wait that has just begun.
fn wait(machine: &Machine) -> u64 {
    machine.session.next_deadline().unwrap() - machine.now.ms
}

/// How many of a thousand clients that lose their stream return in each tenth of `spread_ms`.
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
    for (requested_ms, least, most) in [(7_000, 7_000, 8_000), (100_000_000, 3_600_000, 3_601_000)]
    {
        let (mut machine, stream) = Machine::logged_in();
        let seq = machine.resuming(stream);
        machine.refuse_with(seq, code::SERVER_OVERLOADED, None, Some(requested_ms));
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

/// Streams with these lives, one after another: the longest wait after each, over many clients.
fn longest_waits_after_lives_of(life_ms: u64, count: usize) -> Vec<u64> {
    let mut longest = vec![0; count];
    for seed in 0..200 {
        let mut machine = Machine::with_seed(seed);
        let (_, step) = machine.login("alice");
        let mut stream = step.request();
        for longest in &mut longest {
            machine.accept(stream);
            machine.pass(life_ms);
            machine.lose(stream);
            *longest = wait(&machine).max(*longest);
            stream = machine.pass_to_deadline().request();
        }
    }
    longest
}

#[test]
fn waits_grow_from_the_second_stream_on_that_did_not_live() {
    let waits = longest_waits_after_lives_of(9_999, 9);
    assert!(
        waits[0] <= 2_000,
        "the time that the server gave: {waits:?}"
    );
    assert!(waits[3] > 6_000, "{waits:?}");
    assert!(waits[7] > 50_000 && waits[8] <= 60_000, "{waits:?}");
}

#[test]
fn after_a_stream_that_lived_the_back_off_is_forgotten() {
    let waits = longest_waits_after_lives_of(10_000, 9);
    assert!(waits.iter().all(|wait| *wait <= 2_000), "{waits:?}");
}

#[test]
fn two_heartbeats_are_a_life_but_no_less_than_a_second() {
    for (heartbeat_ms, life_ms) in [(2_000, 4_000), (100, 1_000), (0, 1_000)] {
        for (lived_ms, is_forgotten) in [(life_ms, true), (life_ms - 1, false)] {
            let mut longest = 0;
            for seed in 0..200 {
                let mut machine = Machine::with_seed(seed);
                let (_, step) = machine.login("alice");
                let mut seq = step.request();
                machine.accept(seq);
                // The back-off has grown by the time this stream begins.
                seq = machine.resuming(seq);
                for _ in 0..5 {
                    machine.fail(seq, ERR_CONNECT_REFUSED);
                    seq = machine.pass_to_deadline().request();
                }
                let mut event = machine.session_event(seq, TICKET_MS);
                event.heartbeat_ms = heartbeat_ms;
                let answer = Answer::Session(event);
                machine.step(Input::Answer { seq, answer });
                machine.now.ms += lived_ms;
                machine.step(Input::Received { seq });
                machine.lose(seq);
                longest = wait(&machine).max(longest);
            }
            assert_eq!(longest <= 2_000, is_forgotten, "{heartbeat_ms}: {longest}");
        }
    }
}

#[test]
fn a_server_that_goes_away_at_once_again_and_again_is_left_alone_for_longer_and_longer() {
    let mut longest = [0; 8];
    for seed in 0..200 {
        let mut machine = Machine::with_seed(seed);
        let (_, step) = machine.login("alice");
        let mut stream = step.request();
        for longest in &mut longest {
            machine.accept(stream);
            machine.stream(stream, going_away(0));
            *longest = wait(&machine).max(*longest);
            stream = machine.pass_to_deadline().request();
        }
    }
    assert!(longest[0] <= 1_000, "{longest:?}");
    assert!(longest[7] > 50_000, "{longest:?}");
}

#[test]
fn numbers_of_the_server_that_are_out_of_bounds_are_taken_for_the_nearest_bound() {
    // A heartbeat of 0 would end every stream at once; one of forever, never.
    for (heartbeat_ms, silence_ms) in [(0, 250), (u64::MAX, 1_500_000)] {
        let mut machine = Machine::new();
        let (_, step) = machine.login("alice");
        let seq = step.request();
        let mut event = machine.session_event(seq, TICKET_MS);
        (event.heartbeat_ms, event.spread_ms) = (heartbeat_ms, u64::MAX);
        let answer = Answer::Session(event);
        machine.step(Input::Answer { seq, answer });
        assert_eq!(wait(&machine), silence_ms);
        machine.lose(seq);
        assert!(wait(&machine) <= 600_000, "{}", wait(&machine));
    }
    for retry_after_ms in [0, u64::MAX] {
        let (mut machine, stream) = Machine::logged_in();
        let seq = machine.resuming(stream);
        machine.gateway_with(seq, 503, Some(retry_after_ms));
        assert!(wait(&machine) <= 3_601_000, "{}", wait(&machine));
    }
    let (mut machine, stream) = Machine::logged_in();
    machine.stream(stream, going_away(u64::MAX));
    assert!(wait(&machine) <= 3_601_000, "{}", wait(&machine));
    let (mut machine, _) = Machine::logged_in();
    let (call, step) = machine.logout();
    let step = machine.gateway_with(step.request(), 503, Some(u64::MAX));
    assert_eq!(step.completions(), []);
    let mut step = machine.pass_to_deadline();
    if let [(seq, _)] = step.requests()[..] {
        step = machine.logged_out(seq);
        assert_eq!(step.completions(), [(call, OK)]);
    }
}

#[test]
fn a_hint_joins_an_attempt_and_begins_the_next_if_that_has_no_answer_within_two_seconds() {
    let (mut machine, stream) = Machine::logged_in();
    let seq = machine.resuming(stream);
    let began = machine.now.ms;
    machine.pass(500);
    machine.step(Input::NetworkChanged).is_nothing();
    let step = machine.pass_to_deadline();
    assert_eq!(machine.now.ms - began, HINT_JOINS_MS);
    assert_eq!(step.abandoned(), [seq]);
    assert_eq!(step.requests().len(), 1);
    let step = machine.accept(step.request());
    assert_eq!(
        step.connection_events(),
        [(ConnectionStatus::Connected, OK)]
    );

    let (mut machine, stream) = Machine::logged_in();
    let (call, step) = machine.renew("new");
    let beside = step.request();
    machine.step(Input::NetworkChanged).is_nothing();
    let step = machine.pass(HINT_JOINS_MS);
    assert_eq!(step.abandoned(), [stream, beside]);
    assert_eq!(step.resume().user_sig.as_deref(), Some("new"));
    assert_eq!(machine.accept(step.request()).completions(), [(call, OK)]);
}

#[test]
fn hints_in_a_loop_never_keep_a_slow_server_from_answering() {
    for takes_ms in [300, 1_900, 2_100, 7_000, 14_000] {
        let (mut machine, stream) = Machine::logged_in();
        let mut seq = machine.resuming(stream);
        let mut since = machine.now.ms;
        let connected = (0..400).any(|_| {
            let hinted = machine.step(Input::NetworkChanged);
            let passed = machine.pass(100);
            for step in [hinted, passed] {
                if let [(next, _)] = step.requests()[..] {
                    (seq, since) = (next, machine.now.ms);
                }
            }
            machine.now.ms - since >= takes_ms && {
                machine.accept(seq);
                machine.session.connection_status() == ConnectionStatus::Connected
            }
        });
        assert!(connected, "{takes_ms}");
    }
}

#[test]
fn a_stream_that_has_only_just_been_opened_answers_a_hint() {
    let (mut machine, stream) = Machine::logged_in();
    machine.step(Input::NetworkChanged).is_nothing();
    machine.pass(HINT_JOINS_MS);
    let step = machine.step(Input::NetworkChanged);
    assert_eq!(step.abandoned(), [stream], "an older one is not believed");
    assert_eq!(step.requests().len(), 1);
}

#[test]
fn a_foreground_hint_keeps_a_stream_that_is_not_silent_and_replaces_one_that_is() {
    let (mut machine, stream) = Machine::logged_in();
    machine.pass(HEARTBEAT_MS);
    machine.step(Input::Foreground).is_nothing();
    machine.step(Input::Received { seq: stream }).is_nothing();
    machine.pass(HEARTBEAT_MS);
    machine.step(Input::Foreground).is_nothing();
    machine.pass(HEARTBEAT_MS / 2);
    let step = machine.step(Input::Foreground);
    assert_eq!(step.abandoned(), [stream]);
    assert_eq!(step.requests().len(), 1);
}

#[test]
fn a_foreground_hint_leaves_a_request_in_progress_alone() {
    let (mut machine, stream) = Machine::logged_in();
    machine.resuming(stream);
    machine.pass(500);
    machine.step(Input::Foreground).is_nothing();
    machine.pass(HINT_JOINS_MS).is_nothing();
}

#[test]
fn hints_in_a_loop_cut_a_wait_short_once_in_two_seconds() {
    let (mut machine, stream) = Machine::logged_in();
    let mut seq = machine.resuming(stream);
    let mut attempts = 0;
    for _ in 0..100 {
        machine.refuse_with(seq, code::SERVER_OVERLOADED, None, Some(600_000));
        let step = machine.step(Input::NetworkChanged);
        if let [(next, _)] = step.requests()[..] {
            (seq, attempts) = (next, attempts + 1);
        }
        let step = machine.pass(100);
        if let [(next, _)] = step.requests()[..] {
            (seq, attempts) = (next, attempts + 1);
        }
    }
    assert!((4..=6).contains(&attempts), "{attempts} within 10 s");
}

#[test]
fn a_hint_or_a_sleep_probes_at_once() {
    let (mut machine, stream) = Machine::logged_in();
    let seq = machine.resuming(stream);
    machine.refuse_with(seq, code::SERVER_OVERLOADED, None, Some(600_000));
    let step = machine.step(Input::NetworkChanged);
    assert_eq!(step.requests().len(), 1);

    let (mut machine, stream) = Machine::logged_in();
    let seq = machine.resuming(stream);
    machine.sleep(3_000);
    let step = machine.step(Input::Tick);
    assert_eq!(step.abandoned(), [seq], "what began before a sleep is old");
    assert_eq!(step.requests().len(), 1);

    let (mut machine, stream) = Machine::logged_in();
    machine.sleep(3_000);
    let step = machine.step(Input::Tick);
    assert_eq!(step.abandoned(), [stream]);
    assert_eq!(step.resume().session, format!("token {stream}"));

    let (mut machine, _) = Machine::logged_in();
    machine.sleep(1_500);
    machine.step(Input::Tick).is_nothing();
}
