//! Rows of "logged in": the connection comes and goes, and the user stays.

use super::scripted_server::SERVER_MS;
use super::*;
use std::time::{Duration, Instant};
use tim::error::*;
use tim_proto::wire::GoingAwayEvent;

/// The stream was lost, and the event carries this code.
fn is_lost(notice: &Notice, code: i32) -> bool {
    is_connection(notice, ConnectionStatus::Disconnected, code)
}

#[test]
fn a_lost_stream_is_reported_and_resumed_for_as_long_as_it_takes() {
    let (alice, stream) = alice(QUICK);
    stream.close();
    alice
        .recorder
        .wait(alice.seen, |n| is_lost(n, ERR_CONNECTION_RESET));
    for _ in 0..20 {
        let request = alice.server.next_on("/v1/resume");
        assert_eq!(request.body["session"], "token 1");
        alice.is_logged_in();
    }
    let stream = alice.server.next_on("/v1/resume").accept();
    alice.recorder.connected(alice.seen);
    alice.is_reached_on(stream);
}

#[test]
fn a_stream_without_a_byte_for_two_and_a_half_heartbeats_is_lost() {
    let since = Instant::now();
    let (alice, stream) = alice_with(QUICK, |event| event.heartbeat_ms = 200);
    alice
        .recorder
        .wait(alice.seen, |n| is_lost(n, ERR_RESPONSE_TIMEOUT));
    assert!(since.elapsed() >= Duration::from_millis(500));
    stream.wait_until_left();
    let stream = alice.server.next_on("/v1/resume").accept();
    alice.recorder.connected(alice.seen);
    alice.is_reached_on(stream);
}

#[test]
fn a_server_that_goes_away_gives_the_time_of_return() {
    let (alice, mut stream) = alice(QUICK);
    let since = Instant::now();
    let return_in_ms = 400;
    stream.tell(&StreamEvent::GoingAway(GoingAwayEvent { return_in_ms }));
    alice.recorder.wait(alice.seen, |n| is_lost(n, OK));
    let stream = alice.server.next_on("/v1/resume").accept();
    assert!(since.elapsed() >= Duration::from_millis(return_in_ms));
    alice.recorder.connected(alice.seen);
    alice.is_reached_on(stream);
}

#[test]
fn the_servers_wait_is_obeyed() {
    let (alice, stream) = alice(QUICK);
    stream.close();
    let request = alice.server.next_on("/v1/resume");
    let since = Instant::now();
    request.refuse(ERR_SERVER_OVERLOADED, "Retry-After: 1\r\n");
    alice.failed_with(ERR_SERVER_OVERLOADED);
    assert_eq!(last_error(&alice.client)["retry_after_ms"], 1_000);
    let stream = alice.server.next_on("/v1/resume").accept();
    assert!(since.elapsed() >= Duration::from_secs(1));
    alice.recorder.connected(alice.seen);
    alice.is_reached_on(stream);
}

#[test]
fn streams_that_do_not_live_are_resumed_after_growing_waits() {
    let (alice, stream) = alice(SLOW);
    stream.close();
    // A first loss is nothing unusual.
    alice.server.next_on("/v1/resume").accept().close();
    // From the second on, the waits are those after failures, which take minutes here.
    alice
        .recorder
        .wait(alice.seen, |n| is_lost(n, ERR_CONNECTION_RESET));
    let seen = alice.recorder.connected(alice.seen);
    alice
        .recorder
        .wait(seen, |n| is_lost(n, ERR_CONNECTION_RESET));
    alice.server.nobody_asks();
    alice.is_logged_in();
}

#[test]
fn hints_in_a_loop_do_not_keep_a_resume_from_its_answer() {
    let (alice, stream) = alice(QUICK);
    stream.close();
    let request = alice.server.next_on("/v1/resume");
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(600) {
        alice.client.notify(Hint::NetworkChanged).unwrap();
    }
    let stream = request.accept();
    alice.recorder.connected(alice.seen);
    for _ in 0..1_000 {
        alice.client.notify(Hint::NetworkChanged).unwrap();
    }
    alice.is_reached_on(stream);
    alice.server.nobody_asks();
}

#[test]
fn a_hint_probes_at_once() {
    let (alice, stream) = alice(SLOW);
    stream.close();
    drop(alice.server.next_on("/v1/resume"));
    alice.failed_with(ERR_CONNECTION_RESET);
    // The next attempt would be minutes away.
    alice.client.notify(Hint::NetworkChanged).unwrap();
    let stream = alice.server.next_on("/v1/resume").accept();
    let seen = alice.recorder.connected(alice.seen);
    // After a change of networks, an open stream is not trusted either, unless it was only just opened.
    stream.wait_until_left_during(|| alice.client.notify(Hint::NetworkChanged).unwrap());
    let stream = alice.server.next_on("/v1/resume").accept();
    alice.recorder.connected(seen);
    alice.is_reached_on(stream);
}

#[test]
fn the_foreground_ends_a_wait_and_keeps_a_stream_that_lives() {
    let (alice, stream) = alice(SLOW);
    stream.close();
    drop(alice.server.next_on("/v1/resume"));
    alice.failed_with(ERR_CONNECTION_RESET);
    // The next attempt would be minutes away.
    alice.client.notify(Hint::Foreground).unwrap();
    let stream = alice.server.next_on("/v1/resume").accept();
    alice.recorder.connected(alice.seen);
    alice.client.notify(Hint::Foreground).unwrap();
    alice.is_reached_on(stream);
    alice.server.nobody_asks();
}

#[test]
fn a_ticket_near_its_end_is_reported_with_the_seconds_left() {
    // A minute, whose last tenth begins soon, as a later answer of the server says.
    let minute = |event: &mut SessionEvent| event.user_sig_expires_ms = SERVER_MS + 60_000;
    let (alice, stream) = alice_with(QUICK, minute);
    stream.close();
    let _stream = alice.server.next_on("/v1/resume").accept_with(|event| {
        minute(event);
        event.server_time_ms = SERVER_MS + 53_900;
    });
    let seen = alice.recorder.wait(alice.seen, |notice| {
        matches!(notice, Notice::UserSigExpiring { login_id: 1, .. })
    });
    match alice.recorder.since(seen - 1)[0] {
        Notice::UserSigExpiring { seconds_left, .. } => {
            assert!((1..=6).contains(&seconds_left), "{seconds_left}");
        }
        ref other => panic!("{other:?}"),
    }
    alice.is_logged_in();
}
