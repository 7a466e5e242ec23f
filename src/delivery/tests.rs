//! What is delivered, in which order, and how long setters wait.

use super::*;
use crate::error;
use std::sync::mpsc::{Receiver, Sender, channel};

const LIMIT: Duration = Duration::from_secs(60);

fn connection(code: i32) -> Event {
    Event::Connection {
        status: ConnectionStatus::ConnectFailed,
        code,
    }
}

fn recorder(tx: &Sender<String>, name: &'static str) -> Completion {
    let tx = tx.clone();
    Box::new(move |code| tx.send(format!("{name} {code}")).unwrap())
}

fn accepted(delivery: &Delivery, completion: Completion) -> CallId {
    let accepted = delivery.accept(completion.into()).ok();
    accepted.unwrap()
}

fn watch(delivery: &Delivery, tx: &Sender<String>) {
    for kind in [Kind::Connection, Kind::UserSigExpired, Kind::Closed] {
        let tx = tx.clone();
        delivery.set(
            kind,
            Some(Arc::new(move |notice| {
                tx.send(match notice {
                    Notice::Connection { code, .. } => format!("connection {code}"),
                    Notice::UserSigExpired { code, .. } => format!("expired {code}"),
                    other => format!("{other:?}").to_lowercase(),
                })
                .unwrap()
            })),
            LIMIT,
        );
    }
}

fn drain(delivery: &Delivery, rx: &Receiver<String>) -> Vec<String> {
    while delivery.deliver_next() {}
    rx.try_iter().collect()
}

#[test]
fn items_are_delivered_in_the_order_in_which_they_happened() {
    let (tx, rx) = channel();
    let delivery = Delivery::default();
    watch(&delivery, &tx);
    let first = accepted(&delivery, recorder(&tx, "login"));
    delivery.event(connection(9511), 1);
    delivery.complete(first, 0);
    delivery.event(Event::UserSigExpired { code: 70001 }, 1);
    delivery.closed();
    assert_eq!(
        drain(&delivery, &rx),
        ["connection 9511", "login 0", "expired 70001", "closed"]
    );
}

#[test]
fn a_newer_connection_event_replaces_one_that_was_not_delivered() {
    let (tx, rx) = channel();
    let delivery = Delivery::default();
    watch(&delivery, &tx);
    delivery.event(connection(9511), 1);
    delivery.event(Event::UserSigExpired { code: 70001 }, 1);
    delivery.event(connection(9510), 1);
    assert_eq!(drain(&delivery, &rx), ["expired 70001", "connection 9510"]);
}

#[test]
fn dropping_events_keeps_completions_and_the_closed_event() {
    let (tx, rx) = channel();
    let delivery = Delivery::default();
    watch(&delivery, &tx);
    let call = accepted(&delivery, recorder(&tx, "login"));
    delivery.complete(call, 7700);
    delivery.event(connection(9511), 1);
    delivery.closed();
    delivery.drop_events();
    assert_eq!(drain(&delivery, &rx), ["login 7700", "closed"]);
}

#[test]
fn the_65th_unfinished_or_undelivered_call_is_refused() {
    let (tx, rx) = channel();
    let delivery = Delivery::default();
    let calls: Vec<_> = (0..MAX_UNFINISHED)
        .map(|_| accepted(&delivery, recorder(&tx, "call")))
        .collect();
    assert!(delivery.accept(recorder(&tx, "65th").into()).is_err());
    for call in calls {
        delivery.complete(call, 0);
    }
    assert!(
        delivery.accept(recorder(&tx, "65th").into()).is_err(),
        "finished, but not delivered"
    );
    assert!(delivery.deliver_next());
    assert!(delivery.accept(recorder(&tx, "again").into()).is_ok());
    assert_eq!(drain(&delivery, &rx).len(), MAX_UNFINISHED);
}

#[test]
fn a_completion_may_make_the_next_call() {
    let delivery = Arc::new(Delivery::default());
    for _ in 0..MAX_UNFINISHED {
        let inner = delivery.clone();
        let call = delivery.accept(Reply::Callback(Box::new(move |_| {
            assert!(inner.accept(Reply::Callback(Box::new(|_| ()))).is_ok());
        })));
        delivery.complete(call.ok().unwrap(), 0);
    }
    while delivery.deliver_next() {}
    assert!(
        delivery.accept(Reply::Callback(Box::new(|_| ()))).is_err(),
        "all 64 calls were made"
    );
}

#[test]
fn a_panic_in_a_callback_does_not_reach_the_network_thread() {
    let (tx, rx) = channel();
    let delivery = Delivery::default();
    let first = delivery.accept(Reply::Callback(Box::new(|_| panic!("the app's fault"))));
    delivery.complete(first.ok().unwrap(), 0);
    let second = delivery.accept(recorder(&tx, "second").into());
    delivery.complete(second.ok().unwrap(), 0);
    assert_eq!(drain(&delivery, &rx), ["second 0"]);
    assert!(!in_callback());
}

#[test]
fn a_setter_inside_a_callback_takes_effect_and_says_that_it_did_not_wait() {
    let (tx, rx) = channel();
    let delivery = Arc::new(Delivery::default());
    let inner = delivery.clone();
    delivery.set(
        Kind::Connection,
        Some(Arc::new(move |_| {
            tx.send(inner.set(Kind::Connection, None, LIMIT)).unwrap();
        })),
        LIMIT,
    );
    delivery.event(connection(1), 1);
    delivery.event(Event::UserSigExpired { code: 1 }, 1);
    while delivery.deliver_next() {}
    delivery.event(connection(2), 1);
    while delivery.deliver_next() {}
    assert_eq!(
        rx.try_iter().collect::<Vec<_>>(),
        [Replaced::MayBeRunning],
        "the second event met no callback"
    );
}

#[test]
fn a_setter_waits_no_longer_than_its_limit_and_says_so() {
    let delivery = Arc::new(Delivery::default());
    let (entered_tx, entered) = channel();
    let (leave, may_leave) = channel::<()>();
    let may_leave = std::sync::Mutex::new(may_leave);
    delivery.set(
        Kind::Connection,
        Some(Arc::new(move |_| {
            entered_tx.send(()).unwrap();
            let _ = may_leave.lock().unwrap().recv();
        })),
        LIMIT,
    );
    delivery.event(connection(1), 1);
    let inner = delivery.clone();
    let network = std::thread::spawn(move || while inner.deliver_next() {});
    entered.recv().unwrap();
    let set = |limit| delivery.set(Kind::Connection, None, limit);
    assert_eq!(set(Duration::from_millis(1)), Replaced::StillRunning);
    assert_eq!(
        delivery.set(Kind::Closed, None, Duration::ZERO),
        Replaced::NotRunning,
        "of another kind"
    );
    drop(leave);
    assert_eq!(set(LIMIT), Replaced::NotRunning);
    network.join().unwrap();
}

#[test]
fn all_unfinished_calls_complete_oldest_first_behind_what_is_queued() {
    let (tx, rx) = channel();
    let delivery = Delivery::default();
    let [first, _, _] = ["a", "b", "c"].map(|name| accepted(&delivery, recorder(&tx, name)));
    delivery.complete(first, 0);
    delivery.complete_all(7712);
    assert_eq!(drain(&delivery, &rx), ["a 0", "b 7712", "c 7712"]);
    assert!(delivery.accept(recorder(&tx, "d").into()).is_ok());
}

// Polling.

fn polled() -> Delivery {
    Delivery::new(Mode::Poll)
}

fn take(delivery: &Delivery) -> Result<Polled, i32> {
    delivery.poll(Duration::ZERO)
}

#[test]
fn polls_take_completions_and_events_in_order_and_nothing_more() {
    let delivery = polled();
    let call = delivery.accept(Reply::Polled(42)).ok().unwrap();
    delivery.complete(call, 7009);
    delivery.event(connection(1), 1);
    delivery.event(connection(2), 1);
    delivery.closed();
    assert_eq!(
        take(&delivery),
        Ok(Polled::Completion {
            code: 7009,
            user_data: 42
        })
    );
    let newest = Notice::of(connection(2), 1);
    assert_eq!(take(&delivery), Ok(Polled::Notice(newest)));
    assert_eq!(take(&delivery), Ok(Polled::Notice(Notice::Closed)));
    assert_eq!(take(&delivery), Err(error::ERR_NO_SUCH_CLIENT));
}

#[test]
fn an_untaken_completion_keeps_its_place_among_the_pending_calls() {
    let delivery = polled();
    for _ in 0..MAX_UNFINISHED {
        let call = delivery.accept(Reply::Polled(0)).ok().unwrap();
        delivery.complete(call, 0);
    }
    assert!(delivery.accept(Reply::Polled(0)).is_err());
    take(&delivery).unwrap();
    assert!(delivery.accept(Reply::Polled(0)).is_ok());
}

#[test]
fn a_client_with_callbacks_is_not_polled() {
    let delivery = Delivery::default();
    assert_eq!(take(&delivery), Err(error::ERR_WRONG_DELIVERY_MODE));
    assert_eq!(delivery.signal_fd(), Err(error::ERR_WRONG_DELIVERY_MODE));
}

#[test]
fn one_wake_up_follows_the_first_arrival_after_everything_was_taken() {
    let delivery = polled();
    let (tx, rx) = channel();
    let wakes = move |_| tx.send("woken".to_owned()).unwrap();
    delivery.set(Kind::Pending, Some(Arc::new(wakes)), LIMIT);
    assert_eq!(drain(&delivery, &rx), Vec::<String>::new());
    delivery.event(connection(1), 1);
    delivery.event(Event::UserSigExpired { code: 70001 }, 1);
    assert_eq!(drain(&delivery, &rx), ["woken"]);
    take(&delivery).unwrap();
    delivery.event(connection(2), 1);
    assert_eq!(
        drain(&delivery, &rx),
        Vec::<String>::new(),
        "not all was taken"
    );
    while take(&delivery).is_ok() {}
    delivery.event(connection(3), 1);
    assert_eq!(drain(&delivery, &rx), ["woken"]);
    assert!(delivery.is_idle());
}

#[test]
fn a_dropped_event_wakes_nobody() {
    let delivery = polled();
    let (tx, rx) = channel();
    let wakes = move |_| tx.send("woken".to_owned()).unwrap();
    delivery.set(Kind::Pending, Some(Arc::new(wakes)), LIMIT);
    delivery.event(connection(1), 1);
    delivery.drop_events();
    assert_eq!(drain(&delivery, &rx), Vec::<String>::new());
    assert_eq!(take(&delivery), Err(error::ERR_TIMEOUT));
}
