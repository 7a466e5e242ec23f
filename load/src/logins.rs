//! How many logins a second: over new connections, each of which ends with its login, and requests
//! over kept connections.

use crate::client::{App, Connection, Logins, log_in};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tim_proto::wire;
use tokio::task::LocalSet;

/// What the clients of a run share.
struct Run {
    until: Instant,
    done: Cell<u64>,
    failed: Cell<u64>,
}

impl Run {
    fn start(time: Duration) -> Rc<Run> {
        Rc::new(Run {
            until: Instant::now() + time,
            done: Cell::new(0),
            failed: Cell::new(0),
        })
    }

    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    fn count(&self, result: Result<(), String>) {
        let counter = match result {
            Ok(()) => &self.done,
            Err(_) => &self.failed,
        };
        counter.set(counter.get() + 1);
    }

    fn print(&self, time: Duration) {
        println!(
            "done={} failed={} per_s={:.0}",
            self.done.get(),
            self.failed.get(),
            self.done.get() as f64 / time.as_secs_f64()
        );
    }
}

/// Each client opens a connection, posts a login, reads the first bytes of the answer, and closes.
pub async fn new_connections(
    address: &str,
    time: Duration,
    clients: usize,
    logins: Logins,
) -> Result<(), String> {
    let (run, logins) = (Run::start(time), Rc::new(RefCell::new(logins)));
    let tasks = LocalSet::new();
    for _ in 0..clients {
        let (run, logins, address) = (run.clone(), logins.clone(), address.to_owned());
        tasks.spawn_local(async move {
            while run.goes_on() {
                let body = logins.borrow_mut().next();
                run.count(once(&address, &body).await);
            }
        });
    }
    tasks.await;
    run.print(time);
    Ok(())
}

async fn once(address: &str, body: &str) -> Result<(), String> {
    let mut connection = Connection::open(address).await?;
    connection.post(wire::LOGIN_PATH, body).await?;
    match connection.head().await? {
        // nginx says how long its answer is; a stream goes on.
        (200, Some(length)) => connection.body(length).await,
        (200, None) => connection.block().await,
        (status, _) => Err(format!("HTTP {status}")),
    }
}

/// Each client logs one session out again and again over one connection. (A login keeps its
/// connection for its stream, so that it cannot be repeated over one.)
pub async fn kept_connections(
    address: &str,
    time: Duration,
    clients: usize,
    app: &App,
) -> Result<(), String> {
    let login = app.login("kept", "phone")?;
    let (_stream, session) = log_in(address, &login).await?;
    let body = json!({"session": session["session"], "seq": 1}).to_string();
    let (run, body) = (Run::start(time), Rc::new(body));
    let tasks = LocalSet::new();
    for _ in 0..clients {
        let (run, body, address) = (run.clone(), body.clone(), address.to_owned());
        tasks.spawn_local(async move {
            let mut connection = match Connection::open(&address).await {
                Ok(connection) => connection,
                Err(error) => return run.count(Err(error)),
            };
            while run.goes_on() {
                let result = log_out(&mut connection, &body).await;
                let over = result.is_err();
                run.count(result);
                if over {
                    return;
                }
            }
        });
    }
    tasks.await;
    run.print(time);
    Ok(())
}

async fn log_out(connection: &mut Connection, body: &str) -> Result<(), String> {
    connection.post(wire::LOGOUT_PATH, body).await?;
    match connection.head().await? {
        (200, Some(length)) => connection.body(length).await,
        (status, _) => Err(format!("HTTP {status}")),
    }
}
