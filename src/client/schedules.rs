//! A client under random schedules of its threads: delivery, registry, destroy and barriers, with a
//! network thread that answers by itself. A deadlock, a late callback, and a lost or repeated
//! completion each fail the test.

use super::destroy::Destroyed;
use super::*;
use crate::delivery::{Completion, Kind, Notice};
use crate::registry::{self, DeviceKey, Words};
use crate::session::{Answer, ConnectionStatus, Identity, Limits, Refused};
use crate::sync::{Receiver, channel};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::thread::{self, JoinHandle};
use tim_proto::{Platform, wire};

/// How many schedules each test tries, and with how many preemptions the second half.
const SCHEDULES: usize = 3_000;
const PREEMPTIONS: usize = 4;
const LONG: Duration = Duration::from_secs(60);

fn all_schedules(test: fn()) {
    shuttle::check_random(test, SCHEDULES);
    shuttle::check_pct(test, SCHEDULES, PREEMPTIONS);
}

fn registry() -> (&'static Words, &'static Registry<Client>) {
    registry::for_test()
}

fn client(registry: &'static Registry<Client>, device: &str) -> (Arc<Client>, Receiver<Task>) {
    client_that(Mode::Callback, registry, device)
}

fn client_that(
    mode: Mode,
    registry: &'static Registry<Client>,
    device: &str,
) -> (Arc<Client>, Receiver<Task>) {
    let handle = registry
        .reserve(
            DeviceKey {
                server_url: String::new(),
                sdk_app_id: 1,
                device_id: device.to_owned(),
            },
            None,
        )
        .unwrap();
    let session = Session::new(
        Identity {
            sdk_app_id: 1,
            device_id: device.to_owned(),
            platform: Platform::Linux,
            device_name: String::new(),
            instance: "0".repeat(32),
        },
        Limits {
            login_timeout_ms: 15_000,
            request_timeout_ms: 5_000,
            reconnect_first_ms: 1_000,
            reconnect_max_ms: 60_000,
            expiring_lead_s: None,
        },
        1,
    );
    let (tasks, received) = channel();
    let host = Arc::new(Host::default());
    let client = Arc::new(Client::new(host, handle, registry, session, mode, tasks));
    registry.fill(handle, client.clone());
    (client, received)
}

/// The network thread: as in `network.rs`, with immediate answers.
fn network(client: &Arc<Client>, tasks: Receiver<Task>) -> JoinHandle<()> {
    let client = client.clone();
    thread::spawn(move || {
        loop {
            while client.deliver_next() {}
            match tasks.try_recv() {
                Ok(Task::Send { seq, request, .. }) => client.feed(Input::Answer {
                    seq,
                    answer: answer(seq, request),
                }),
                Ok(Task::Abandon { .. }) => {}
                Err(_) if client.has_deliveries() => {}
                Err(_) if client.is_closing() => {
                    if !client.has_deliveries() {
                        break;
                    }
                }
                Err(_) => client.host.sleep(),
            }
        }
        client.finish();
    })
}

fn answer(seq: u64, request: Request) -> Answer {
    match request {
        Request::Login(login) if login.user_sig == "good" => Answer::Session(wire::SessionEvent {
            session: "token".to_owned(),
            epoch: 1,
            server_time_ms: 1_700_000_000_000,
            heartbeat_ms: 25_000,
            spread_ms: 0,
            user_sig_expires_ms: 1_800_000_000_000,
            instance: login.instance,
            seq,
        }),
        Request::Logout(_) => Answer::LoggedOut(wire::LogoutAnswer { code: 0, seq }),
        Request::Login(_) | Request::Resume(_) => Answer::Refused(Refused {
            http_status: 401,
            tim_protocol: true,
            refusal: Some(wire::Refusal {
                code: error::ERR_USER_SIG_EXPIRED,
                message: String::new(),
                instance: "0".repeat(32),
                seq,
                kick: None,
            }),
            retry_after_ms: None,
            address: String::new(),
        }),
    }
}

/// Counts accepted calls and completions, and knows when no callback may run any longer.
#[derive(Default)]
struct App {
    accepted: AtomicUsize,
    completed: AtomicUsize,
    freed: AtomicBool,
}

impl App {
    fn completion(self: &Arc<App>) -> Completion {
        let app = self.clone();
        Box::new(move |_| {
            app.assert_alive();
            app.completed.fetch_add(1, Ordering::SeqCst);
        })
    }

    fn count(&self, accepted: Result<(), i32>) {
        match accepted {
            Ok(()) => {
                self.accepted.fetch_add(1, Ordering::SeqCst);
            }
            Err(code) => assert_eq!(code, error::ERR_CLOSING),
        }
    }

    fn assert_alive(&self) {
        // A panic inside a callback would be caught there and go unseen.
        if self.freed.load(Ordering::SeqCst) {
            eprintln!("a callback ran after destroy had returned");
            std::process::abort();
        }
    }

    fn assert_all_completed(&self) {
        assert_eq!(
            self.accepted.load(Ordering::SeqCst),
            self.completed.load(Ordering::SeqCst)
        );
    }
}

fn login(client: &Client, app: &Arc<App>, user: &str, ticket: &str) {
    app.count(client.login(user, ticket, app.completion()));
}

#[test]
fn shuttle_every_accepted_call_completes_once_and_nothing_runs_after_destroy() {
    all_schedules(|| {
        let (_, registry) = registry();
        let (client, tasks) = client(registry, "device");
        let network = network(&client, tasks);
        let app = Arc::new(App::default());
        let watching = app.clone();
        client
            .set_callback(
                Kind::Connection,
                Some(std::sync::Arc::new(move |_| watching.assert_alive())),
            )
            .unwrap();
        let callers: Vec<_> = [("alice", "good"), ("bob", "bad")]
            .map(|(user, ticket)| {
                let (client, app) = (client.clone(), app.clone());
                thread::spawn(move || {
                    login(&client, &app, user, ticket);
                    app.count(client.logout(app.completion()));
                })
            })
            .into();
        login(&client, &app, "alice", "good");
        assert_eq!(client.destroy(LONG), Destroyed::Closed);
        app.freed.store(true, Ordering::SeqCst);
        for caller in callers {
            caller.join().unwrap();
        }
        network.join().unwrap();
        app.assert_all_completed();
        assert_eq!(
            registry.get(client.handle()).err(),
            Some(error::ERR_NO_SUCH_CLIENT)
        );
    });
}

#[test]
fn shuttle_a_replaced_callback_does_not_run_once_its_setter_has_returned() {
    all_schedules(|| {
        let (_, registry) = registry();
        let (client, tasks) = client(registry, "device");
        let network = network(&client, tasks);
        let old = Arc::new(App::default());
        let watching = old.clone();
        client
            .set_callback(
                Kind::Connection,
                Some(std::sync::Arc::new(move |_| watching.assert_alive())),
            )
            .unwrap();
        let app = Arc::new(App::default());
        let caller = {
            let (client, app) = (client.clone(), app.clone());
            thread::spawn(move || {
                login(&client, &app, "alice", "good");
                app.count(client.logout(app.completion()));
            })
        };
        let replaced = client.set_callback(Kind::Connection, None);
        assert_eq!(replaced, Ok(Replaced::NotRunning));
        old.freed.store(true, Ordering::SeqCst);
        caller.join().unwrap();
        assert_eq!(client.destroy(LONG), Destroyed::Closed);
        network.join().unwrap();
        app.assert_all_completed();
    });
}

#[test]
fn shuttle_destroy_from_a_callback_ends_with_the_closed_event_and_frees_the_handle() {
    all_schedules(|| {
        let (_, registry) = registry();
        let (client, tasks) = client(registry, "device");
        let network = network(&client, tasks);
        let app = Arc::new(App::default());
        let closed = Arc::new(AtomicUsize::new(0));
        let counting = closed.clone();
        client
            .set_callback(
                Kind::Closed,
                Some(std::sync::Arc::new(move |notice| {
                    assert_eq!(notice, Notice::Closed);
                    counting.fetch_add(1, Ordering::SeqCst);
                })),
            )
            .unwrap();
        let (inner, completed) = (client.clone(), app.completion());
        app.count(client.login(
            "alice",
            "bad",
            Reply::Callback(Box::new(move |code| {
                assert_eq!(inner.destroy(LONG), Destroyed::Closing);
                completed(code);
            })),
        ));
        login(&client, &app, "alice", "good");
        network.join().unwrap();
        app.assert_all_completed();
        assert_eq!(closed.load(Ordering::SeqCst), 1);
        assert_eq!(
            registry.get(client.handle()).err(),
            Some(error::ERR_NO_SUCH_CLIENT)
        );
    });
}

#[test]
fn shuttle_the_getters_of_a_callback_are_at_least_as_new_as_its_event() {
    all_schedules(|| {
        let (words, registry) = registry();
        let (client, tasks) = client(registry, "device");
        let network = network(&client, tasks);
        let app = Arc::new(App::default());
        let stale = Arc::new(AtomicUsize::new(0));
        let (counting, handle) = (stale.clone(), client.handle());
        client
            .set_callback(
                Kind::Connection,
                Some(std::sync::Arc::new(move |_| {
                    // Every event of a login is one of connecting or being connected.
                    let disconnected = ConnectionStatus::Disconnected as i32;
                    if words.connection_status(handle) == disconnected {
                        counting.fetch_add(1, Ordering::SeqCst);
                    }
                })),
            )
            .unwrap();
        login(&client, &app, "alice", "good");
        assert_eq!(client.destroy(LONG), Destroyed::Closed);
        network.join().unwrap();
        app.assert_all_completed();
        assert_eq!(stale.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn shuttle_destroys_of_two_threads_and_a_beginning_one_all_end() {
    all_schedules(|| {
        let (_, registry) = registry();
        let (client, tasks) = client(registry, "device");
        let network = network(&client, tasks);
        let app = Arc::new(App::default());
        login(&client, &app, "alice", "good");
        let others = [Duration::ZERO, LONG].map(|limit| {
            let client = client.clone();
            thread::spawn(move || client.destroy(limit))
        });
        assert_eq!(client.destroy(LONG), Destroyed::Closed);
        let [began, waited] = others.map(|other| other.join().unwrap());
        assert_eq!(waited, Destroyed::Closed);
        // A call that comes after the end returns the code for that.
        assert!([Destroyed::Closing, Destroyed::Closed].contains(&began));
        network.join().unwrap();
        app.assert_all_completed();
        assert!(registry.get_closing(client.handle()).is_err());
    });
}

#[test]
fn shuttle_a_stale_handle_never_shows_the_status_of_the_slots_next_client() {
    all_schedules(|| {
        let (words, registry) = registry();
        let (first, tasks) = client(registry, "device");
        let stale = first.handle();
        let network_of_first = network(&first, tasks);
        let reader = thread::spawn(move || {
            let statuses = [words.login_status(stale), words.login_status(stale)];
            assert!(!statuses.contains(&2), "only the second client logs in");
        });
        assert_eq!(first.destroy(LONG), Destroyed::Closed);
        let (second, tasks) = client(registry, "device");
        let network_of_second = network(&second, tasks);
        let app = Arc::new(App::default());
        login(&second, &app, "alice", "good");
        assert_eq!(words.login_status(stale), 0);
        assert_eq!(registry.get(stale).err(), Some(error::ERR_NO_SUCH_CLIENT));
        assert_eq!(second.destroy(LONG), Destroyed::Closed);
        app.assert_all_completed();
        for thread in [reader, network_of_first, network_of_second] {
            thread.join().unwrap();
        }
    });
}

/// Polls until the closed event. Returns how many completions there were.
fn polls_to_the_end(client: &Client) -> usize {
    let mut completions = 0;
    loop {
        match client.poll(Duration::MAX) {
            Ok(Polled::Completion { .. }) => completions += 1,
            Ok(Polled::Notice(Notice::Closed)) => return completions,
            Ok(Polled::Notice(_)) => {}
            Err(code) => assert_eq!(code, error::ERR_ALREADY_POLLING),
        }
        thread::yield_now();
    }
}

#[test]
fn shuttle_a_polled_client_completes_each_call_and_ends_with_the_closed_event() {
    all_schedules(|| {
        let (_, registry) = registry();
        let (client, tasks) = client_that(Mode::Poll, registry, "device");
        let network = network(&client, tasks);
        let poller = {
            let client = client.clone();
            thread::spawn(move || polls_to_the_end(&client))
        };
        let accepted = ["alice", "bob"]
            .into_iter()
            .filter(|user| client.login(user, "good", Reply::Polled(1)).is_ok())
            .count();
        assert_eq!(client.destroy(LONG), Destroyed::Closing);
        assert_eq!(poller.join().unwrap(), accepted);
        network.join().unwrap();
        assert!(registry.get_closing(client.handle()).is_err());
    });
}

#[test]
fn shuttle_a_wake_up_follows_each_arrival_after_everything_was_polled() {
    all_schedules(|| {
        let (_, registry) = registry();
        let (client, tasks) = client_that(Mode::Poll, registry, "device");
        let woken = Arc::new((Mutex::new(false), Condvar::new()));
        let wake_up: Callback = {
            let woken = woken.clone();
            std::sync::Arc::new(move |_| {
                *lock(&woken.0) = true;
                woken.1.notify_all();
            })
        };
        client.set_callback(Kind::Pending, Some(wake_up)).unwrap();
        let network = network(&client, tasks);
        client.login("alice", "good", Reply::Polled(1)).unwrap();
        assert_eq!(client.destroy(LONG), Destroyed::Closing);
        let mut closed = false;
        while !closed {
            let mut asleep = lock(&woken.0);
            while !*asleep {
                asleep = crate::sync::wait(&woken.1, asleep, None);
            }
            *asleep = false;
            drop(asleep);
            while let Ok(polled) = client.poll(Duration::ZERO) {
                closed |= polled == Polled::Notice(Notice::Closed);
            }
        }
        network.join().unwrap();
    });
}
