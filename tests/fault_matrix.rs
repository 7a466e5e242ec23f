//! Every fault in every phase, over real sockets: none signs a user out, nothing hangs, each has
//! its code, and once it is gone everything goes on. The log shows the matrix.

#![allow(clippy::unwrap_used, reason = "tests")]

mod authority;
mod fault_proxy;
mod recorder;
mod tim_server;

use authority::Authority;
use fault_proxy::{Fault, FaultProxy, Place};
use recorder::{Recorder, is_connected, is_connection};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tim::client::{self, Client};
use tim::error::*;
use tim::session::ConnectionStatus;
use tim_server::{
    APP, TimServer, begin_login, begin_logout, begin_renewal, client_of, log_in, log_out, user_sig,
};

/// The limit of a login, and of every other request.
const LIMIT: Duration = Duration::from_millis(800);
const CONFIG: &str = r#", "login_timeout_ms": 800, "request_timeout_ms": 800, "reconnect": {"first_ms": 20, "max_ms": 100}"#;
/// Nothing is later than its limit by more than this. (Exact limits are tested in virtual time.)
const LATE: Duration = Duration::from_secs(2);
/// How many cells are tried at once.
const AT_A_TIME: usize = 12;

/// What is done when the fault comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    Login,
    Stream,
    Resume,
    Renewal,
    Logout,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    doing: Doing,
    place: Place,
    tls: bool,
    fault: Fault,
}

/// The rows: what is done, where the connection breaks, and whether TLS is around it. Pages and
/// answers are only visible in plaintext, a handshake only with TLS.
fn rows() -> Vec<(Doing, Place, bool)> {
    let mut rows = Vec::new();
    for doing in [Doing::Login, Doing::Resume, Doing::Renewal, Doing::Logout] {
        for place in [
            Place::Connect,
            Place::Tls,
            Place::Request,
            Place::Answer,
            Place::Head,
            Place::Body,
        ] {
            rows.push((doing, place, place == Place::Tls));
        }
    }
    rows.push((Doing::Stream, Place::Stream, false));
    rows.push((Doing::Stream, Place::Stream, true));
    rows
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (doing, place, tls) in rows() {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.can_be(place)) {
            cells.push(Cell {
                doing,
                place,
                tls,
                fault,
            });
        }
    }
    cells
}

impl Cell {
    /// The code of its fault.
    fn code(self) -> i32 {
        use Fault::*;
        match (self.place, self.fault) {
            (_, BlackHole) => ERR_CONNECT_TIMEOUT,
            // Bytes arrive: the stream lives. (With TLS, they count once a record is complete.)
            (Place::Stream, Drip) if !self.tls => OK,
            (_, HalfOpen | Drip) => ERR_RESPONSE_TIMEOUT,
            (_, Reset) => ERR_CONNECTION_RESET,
            (_, WrongName | UnknownAuthority | Expired) => ERR_CERTIFICATE,
            (Place::Tls, _) => ERR_TLS,
            (Place::Stream, Garbage) if self.tls => ERR_TLS,
            (_, Drop | Truncate) => ERR_CONNECTION_RESET,
            (_, Page502) => ERR_HTTP,
            (_, Garbage | Redirect | Portal | FalseVerdict | FalseEcho) => ERR_NOT_TIM_SERVER,
        }
    }

    /// Whether this fault is waited out, or retried until the limit.
    fn lasts(self) -> bool {
        match self.doing {
            // Beside an open stream there is one attempt; the session needs no other.
            Doing::Renewal => matches!(self.code(), ERR_CONNECT_TIMEOUT | ERR_RESPONSE_TIMEOUT),
            _ => !matches!(self.code(), ERR_NOT_TIM_SERVER | ERR_CERTIFICATE),
        }
    }
}

/// The servers of all cells.
struct World {
    plain: TimServer,
    tls: TimServer,
    authority: Authority,
    /// Servers whose certificates are not accepted, by the fault they represent.
    impostors: Vec<(Fault, TimServer)>,
    _settings: tempfile::NamedTempFile,
}

impl World {
    fn new() -> World {
        let settings = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&settings, "heartbeat_ms = 300\n").unwrap();
        let quick = ["--config", settings.path().to_str().unwrap()];
        let (authority, unknown) = (Authority::new(), Authority::new());
        let ours = ["127.0.0.1"];
        World {
            plain: TimServer::with(&quick),
            tls: authority.server_with(&ours, 2100, &quick),
            impostors: vec![
                (Fault::WrongName, authority.server(&["example.com"], 2100)),
                (Fault::UnknownAuthority, unknown.server(&ours, 2100)),
                (Fault::Expired, authority.server(&ours, 2021)),
            ],
            authority,
            _settings: settings,
        }
    }
}

/// A client behind a fault proxy, with a user of its own.
struct Scene {
    cell: Cell,
    proxy: FaultProxy,
    client: Arc<Client>,
    recorder: Arc<Recorder>,
    user: String,
}

impl Scene {
    fn new(world: &World, cell: Cell, number: usize) -> Scene {
        let (upstream, scheme, more) = match cell.tls {
            true => (&world.tls, "https", world.authority.trusted()),
            false => (&world.plain, "http", String::new()),
        };
        let impostors = world.impostors.iter();
        let proxy = FaultProxy::with_impostors(
            upstream.address(),
            impostors
                .map(|(f, s)| (*f, s.address().to_owned()))
                .collect(),
        );
        let url = format!("{scheme}://{}", proxy.address());
        let client = client_of(&url, APP, &format!("{CONFIG}{more}"));
        Scene {
            cell,
            recorder: Recorder::by(&client),
            proxy,
            client,
            user: format!("user {number}"),
        }
    }

    fn log_in(&self) {
        let seen = self.recorder.len();
        assert_eq!(log_in(&self.client, &self.user, &user_sig(&self.user)), OK);
        self.recorder.connected(seen);
    }

    fn is_logged_in(&self, login_id: u64) {
        let now = (
            self.client.login_status(),
            self.client.login_user(),
            self.client.login_id(),
        );
        assert_eq!(now, (1, self.user.clone(), login_id));
    }

    fn is_logged_out(&self) {
        let now = (self.client.login_status(), self.client.login_user());
        assert_eq!(now, (3, String::new()));
    }

    fn breaks(&self) {
        self.proxy.breaks(self.cell.place, self.cell.fault);
    }

    /// The call completes with the fault's code: not before its limit if the limit is what ends it,
    /// and not long after.
    fn completes(&self, since: Instant, result: &Receiver<i32>) -> i32 {
        // If this fails, the call hangs.
        let code = result.recv_timeout(LIMIT + LATE).unwrap();
        let took = since.elapsed();
        assert_eq!(code, self.cell.code(), "{}", self.client.last_error_json());
        // The library's clock has whole ms.
        let early = self.cell.lasts() && took + Duration::from_millis(1) < LIMIT;
        assert!(!early && took <= LIMIT + LATE, "after {took:?}");
        code
    }

    fn last_error_is(&self, code: i32) {
        let last = self.client.last_error_json();
        assert!(last.contains(&format!(r#""code":{code},"#)), "{last}");
    }

    /// A connection event with the fault's code arrives, and the user stays logged in.
    fn is_reported(&self, seen: usize, status: ConnectionStatus) -> i32 {
        let code = self.cell.code();
        let recorder = self.recorder.wait_for(LIMIT + LATE, seen, |notice| {
            is_connection(notice, status, code)
        });
        recorder.unwrap_or_else(|all| panic!("no {status:?} with {code}: {all:?}"));
        self.is_logged_in(1);
        self.last_error_is(code);
        code
    }

    /// The client comes back by itself.
    fn comes_back(&self, seen: usize) {
        let back = self.recorder.wait_for(LIMIT + LATE, seen, is_connected);
        back.unwrap_or_else(|all| panic!("did not come back: {all:?}"));
        self.is_logged_in(1);
    }

    /// The observed codes.
    fn play(&self) -> i32 {
        let code = match self.cell.doing {
            Doing::Login => self.login(),
            Doing::Stream => self.stream(),
            Doing::Resume => self.resume(),
            Doing::Renewal => self.renewal(),
            Doing::Logout => self.logout(),
        };
        self.recorder.nobody_was_signed_out();
        assert_eq!(client::destroy(self.client.handle(), LATE), Ok(()));
        code
    }

    fn login(&self) -> i32 {
        self.breaks();
        let since = Instant::now();
        let code = self.completes(since, &begin_login(&self.client, &self.user));
        self.last_error_is(code);
        self.is_logged_out();
        self.proxy.heals();
        self.log_in();
        self.is_logged_in(2);
        code
    }

    fn stream(&self) -> i32 {
        self.log_in();
        let seen = self.recorder.len();
        self.proxy.breaks_open(self.cell.fault);
        if self.cell.code() == OK {
            // Long enough for silence to be noticed.
            self.proxy.wait_for_drops(20);
            assert_eq!(self.recorder.since(seen), []);
            self.is_logged_in(1);
            return OK;
        }
        let code = self.is_reported(seen, ConnectionStatus::Disconnected);
        self.comes_back(seen);
        code
    }

    fn resume(&self) -> i32 {
        self.log_in();
        self.breaks();
        let seen = self.recorder.len();
        self.proxy.cut();
        let code = self.is_reported(seen, ConnectionStatus::ConnectFailed);
        self.proxy.heals();
        self.comes_back(seen);
        assert_eq!(log_out(&self.client), OK);
        code
    }

    fn renewal(&self) -> i32 {
        self.log_in();
        self.breaks();
        let since = Instant::now();
        let code = self.completes(since, &begin_renewal(&self.client, &user_sig(&self.user)));
        self.is_logged_in(1);
        self.proxy.heals();
        let again = begin_renewal(&self.client, &user_sig(&self.user));
        assert_eq!(again.recv_timeout(LIMIT + LATE).unwrap(), OK);
        self.is_logged_in(1);
        code
    }

    fn logout(&self) -> i32 {
        self.log_in();
        self.breaks();
        let since = Instant::now();
        let result = begin_logout(&self.client);
        self.is_logged_out();
        let code = self.completes(since, &result);
        self.last_error_is(code);
        self.is_logged_out();
        self.proxy.heals();
        self.log_in();
        self.is_logged_in(2);
        code
    }
}

/// The matrix as text: what is done and where, by how it breaks, with the observed codes.
fn shown(cells: &[Cell], codes: &BTreeMap<usize, i32>) -> String {
    let mut text = format!("{:24}", "");
    for fault in Fault::ALL {
        write!(text, "{:>11}", fault.label()).unwrap();
    }
    for row in rows() {
        let (doing, place, tls) = row;
        let tls = if tls && place != Place::Tls {
            " (TLS)"
        } else {
            ""
        };
        write!(text, "\n{:24}", format!("{doing:?} at {place:?}{tls}")).unwrap();
        for fault in Fault::ALL {
            let at = cells
                .iter()
                .position(|cell| (cell.doing, cell.place, cell.tls) == row && cell.fault == fault);
            let seen = match at.map(|at| codes.get(&at)) {
                None => "-".to_owned(),
                Some(None) => "FAILED".to_owned(),
                Some(Some(&OK)) => "lives".to_owned(),
                Some(Some(code)) => code.to_string(),
            };
            write!(text, "{seen:>11}").unwrap();
        }
    }
    text
}

#[test]
fn no_fault_in_any_phase_signs_anybody_out_or_hangs_and_each_has_its_code() {
    let world = World::new();
    let (cells, next) = (cells(), AtomicUsize::new(0));
    let (codes, failures) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cell) = cells.get(number) else { break };
                    let play = || Scene::new(&world, *cell, number).play();
                    match catch_unwind(AssertUnwindSafe(play)) {
                        Ok(code) => _ = codes.lock().unwrap().insert(number, code),
                        Err(_) => failures.lock().unwrap().push(*cell),
                    }
                }
            });
        }
    });
    // Not with a macro, whose output the test runner captures.
    let matrix = shown(&cells, &codes.lock().unwrap());
    writeln!(std::io::stdout(), "{matrix}").unwrap();
    let failures = failures.lock().unwrap();
    assert!(
        failures.is_empty(),
        "{} failed: {failures:?}",
        failures.len()
    );
}
