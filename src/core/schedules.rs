//! The core under random schedules of its threads: delivery, registry, destroy and barriers, with
//! a network thread that answers by itself. A deadlock, a callback that runs too late and a
//! completion that is lost or doubled each fail.

use super::*;
use crate::delivery::{Kind, Notice};
use crate::registry::{self, DeviceKey};
use crate::session::{Answer, ConnectionStatus, Identity, Limits, Refused};
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

#[derive(Default)]
struct ShuttleHost {
    woken: Mutex<bool>,
    wake_up: Condvar,
}

impl Host for ShuttleHost {
    fn now(&self) -> Now {
        Now::default()
    }

    fn wake(&self) {
        *lock(&self.woken) = true;
        self.wake_up.notify_all();
    }
}

impl ShuttleHost {
    fn sleep(&self) {
        let mut woken = lock(&self.woken);
        while !*woken {
            woken = wait(&self.wake_up, woken);
        }
        *woken = false;
    }
}

type TestCore = Core<ShuttleHost>;

fn core(registry: &'static Registry<TestCore>, device: &str) -> Arc<TestCore> {
    let handle = registry
        .reserve(DeviceKey {
            server_url: String::new(),
            sdk_app_id: 1,
            device_id: device.to_owned(),
        })
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
    let core = Arc::new(Core::new(ShuttleHost::default(), handle, registry, session));
    registry.fill(handle, core.clone());
    core
}

/// The network thread: as `network.rs`, with answers that come at once.
fn network(core: &Arc<TestCore>) -> JoinHandle<()> {
    let core = core.clone();
    thread::spawn(move || {
        loop {
            while core.deliver_next() {}
            let tasks = core.take_tasks();
            if tasks.is_empty() {
                if core.is_closing() {
                    if core.has_deliveries() {
                        continue;
                    }
                    break;
                }
                if !core.has_deliveries() {
                    core.host.sleep();
                }
            }
            for task in tasks {
                if let Task::Send { seq, request, .. } = task {
                    core.feed(Input::Answer {
                        seq,
                        answer: answer(seq, request),
                    });
                }
            }
        }
        core.finish();
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

/// Counts accepted calls and completions, and knows when no callback may run any more.
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
        // A panic inside a callback is caught there: it would go unseen.
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

fn login(core: &TestCore, app: &Arc<App>, user: &str, ticket: &str) {
    app.count(core.login(user.to_owned(), Secret::new(ticket), app.completion()));
}

#[test]
fn shuttle_every_accepted_call_completes_once_and_nothing_runs_after_destroy() {
    all_schedules(|| {
        let registry = registry::for_test();
        let core = core(registry, "device");
        let network = network(&core);
        let app = Arc::new(App::default());
        let watching = app.clone();
        core.set_callback(
            Kind::Connection,
            Some(std::sync::Arc::new(move |_| watching.assert_alive())),
        )
        .unwrap();
        let callers: Vec<_> = [("alice", "good"), ("bob", "bad")]
            .map(|(user, ticket)| {
                let (core, app) = (core.clone(), app.clone());
                thread::spawn(move || {
                    login(&core, &app, user, ticket);
                    app.count(core.logout(app.completion()));
                })
            })
            .into();
        login(&core, &app, "alice", "good");
        assert_eq!(core.destroy(LONG), Destroyed::Closed);
        app.freed.store(true, Ordering::SeqCst);
        for caller in callers {
            caller.join().unwrap();
        }
        network.join().unwrap();
        app.assert_all_completed();
        assert_eq!(
            registry.get(core.handle()).err(),
            Some(error::ERR_NO_SUCH_CLIENT)
        );
    });
}

#[test]
fn shuttle_a_replaced_callback_does_not_run_once_its_setter_has_returned() {
    all_schedules(|| {
        let registry = registry::for_test();
        let core = core(registry, "device");
        let network = network(&core);
        let old = Arc::new(App::default());
        let watching = old.clone();
        core.set_callback(
            Kind::Connection,
            Some(std::sync::Arc::new(move |_| watching.assert_alive())),
        )
        .unwrap();
        let app = Arc::new(App::default());
        let caller = {
            let (core, app) = (core.clone(), app.clone());
            thread::spawn(move || {
                login(&core, &app, "alice", "good");
                app.count(core.logout(app.completion()));
            })
        };
        let replaced = core.set_callback(Kind::Connection, None);
        assert_eq!(replaced, Ok(Replaced::NotRunning));
        old.freed.store(true, Ordering::SeqCst);
        caller.join().unwrap();
        assert_eq!(core.destroy(LONG), Destroyed::Closed);
        network.join().unwrap();
        app.assert_all_completed();
    });
}

#[test]
fn shuttle_destroy_from_a_callback_ends_with_the_closed_event_and_frees_the_handle() {
    all_schedules(|| {
        let registry = registry::for_test();
        let core = core(registry, "device");
        let network = network(&core);
        let app = Arc::new(App::default());
        let closed = Arc::new(AtomicUsize::new(0));
        let counting = closed.clone();
        core.set_callback(
            Kind::Closed,
            Some(std::sync::Arc::new(move |notice| {
                assert_eq!(notice, Notice::Closed);
                counting.fetch_add(1, Ordering::SeqCst);
            })),
        )
        .unwrap();
        let (inner, completed) = (core.clone(), app.completion());
        app.count(core.login(
            "alice".to_owned(),
            Secret::new("bad"),
            Box::new(move |code| {
                assert_eq!(inner.destroy(LONG), Destroyed::Closing);
                completed(code);
            }),
        ));
        login(&core, &app, "alice", "good");
        network.join().unwrap();
        app.assert_all_completed();
        assert_eq!(closed.load(Ordering::SeqCst), 1);
        assert_eq!(
            registry.get(core.handle()).err(),
            Some(error::ERR_NO_SUCH_CLIENT)
        );
    });
}

#[test]
fn shuttle_the_getters_of_a_callback_are_at_least_as_new_as_its_event() {
    all_schedules(|| {
        let registry = registry::for_test();
        let core = core(registry, "device");
        let network = network(&core);
        let app = Arc::new(App::default());
        let stale = Arc::new(AtomicUsize::new(0));
        let (counting, handle) = (stale.clone(), core.handle());
        core.set_callback(
            Kind::Connection,
            Some(std::sync::Arc::new(move |_| {
                // Every event of a login is of a connection that is sought or there.
                let disconnected = ConnectionStatus::Disconnected as i32;
                if registry.connection_status(handle) == disconnected {
                    counting.fetch_add(1, Ordering::SeqCst);
                }
            })),
        )
        .unwrap();
        login(&core, &app, "alice", "good");
        assert_eq!(core.destroy(LONG), Destroyed::Closed);
        network.join().unwrap();
        app.assert_all_completed();
        assert_eq!(stale.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn shuttle_destroys_of_two_threads_and_a_beginning_one_all_end() {
    all_schedules(|| {
        let registry = registry::for_test();
        let core = core(registry, "device");
        let network = network(&core);
        let app = Arc::new(App::default());
        login(&core, &app, "alice", "good");
        let others = [Duration::ZERO, LONG].map(|limit| {
            let core = core.clone();
            thread::spawn(move || core.destroy(limit))
        });
        assert_eq!(core.destroy(LONG), Destroyed::Closed);
        let [began, waited] = others.map(|other| other.join().unwrap());
        assert_eq!((began, waited), (Destroyed::Closing, Destroyed::Closed));
        network.join().unwrap();
        app.assert_all_completed();
        assert!(registry.get_closing(core.handle()).is_err());
    });
}

#[test]
fn shuttle_a_stale_handle_never_shows_the_status_of_the_slots_next_client() {
    all_schedules(|| {
        let registry = registry::for_test();
        let first = core(registry, "device");
        let stale = first.handle();
        let network_of_first = network(&first);
        let reader = thread::spawn(move || {
            let statuses = [registry.login_status(stale), registry.login_status(stale)];
            assert!(!statuses.contains(&2), "only the second client logs in");
        });
        assert_eq!(first.destroy(LONG), Destroyed::Closed);
        let second = core(registry, "device");
        let network_of_second = network(&second);
        let app = Arc::new(App::default());
        login(&second, &app, "alice", "good");
        assert_eq!(registry.login_status(stale), 0);
        assert_eq!(registry.get(stale).err(), Some(error::ERR_NO_SUCH_CLIENT));
        assert_eq!(second.destroy(LONG), Destroyed::Closed);
        app.assert_all_completed();
        for thread in [reader, network_of_first, network_of_second] {
            thread.join().unwrap();
        }
    });
}
