//! Held streams: what an idle session costs the server, and how many clients return after
//! a restart, waiting as the library does.

use crate::client::{App, Connection, instance, log_in};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tim_proto::wire;
use tokio::io::AsyncReadExt;
use tokio::task::LocalSet;
use tokio::time::sleep;

/// How many logins are in progress at once.
const AT_ONCE: usize = 64;

#[derive(Default)]
struct Counts {
    up: Cell<usize>,
    resumed: Cell<usize>,
    signed_out: Cell<usize>,
    /// When the first stream of all was lost.
    lost: RefCell<Option<Instant>>,
}

/// Logs `count` users in, prints that, and resumes lost streams until stdin ends.
pub async fn run(address: &str, count: usize, prefix: &str, app: &App) -> Result<(), String> {
    let counts = Rc::new(Counts::default());
    let tasks = LocalSet::new();
    let logins: Rc<RefCell<Vec<Value>>> = Rc::default();
    for at in 0..count {
        logins
            .borrow_mut()
            .push(app.login(&format!("{prefix}{at}"), "phone")?);
    }
    for _ in 0..AT_ONCE {
        let (logins, counts, address) = (logins.clone(), counts.clone(), address.to_owned());
        tasks.spawn_local(async move {
            loop {
                let Some(login) = logins.borrow_mut().pop() else {
                    return;
                };
                match log_in(&address, &login).await {
                    Ok((stream, session)) => {
                        counts.up.set(counts.up.get() + 1);
                        let (counts, address) = (counts.clone(), address.clone());
                        tokio::task::spawn_local(async move {
                            stay(address, stream, session, login, &counts).await;
                        });
                    }
                    Err(error) => eprintln!("tim-load: {error}"),
                }
            }
        });
    }
    let watch = counts.clone();
    tasks.spawn_local(async move {
        while watch.up.get() < count {
            sleep(Duration::from_millis(10)).await;
        }
        println!("up={count}");
        while watch.resumed.get() + watch.signed_out.get() < count {
            sleep(Duration::from_millis(10)).await;
        }
        let took = watch
            .lost
            .borrow()
            .map_or(0.0, |lost| lost.elapsed().as_secs_f64());
        println!(
            "returned={} signed_out={} seconds={took:.2}",
            watch.resumed.get(),
            watch.signed_out.get()
        );
    });
    let input = async {
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    tasks.run_until(input).await;
    Ok(())
}

/// Reads a stream forever; a lost one is resumed after a random wait.
async fn stay(
    address: String,
    mut stream: Connection,
    mut session: Value,
    login: Value,
    counts: &Counts,
) {
    let mut seq = 1;
    loop {
        let mut wait_ms = random_below(session["spread_ms"].as_u64().unwrap_or(0) + 1);
        while let Ok((name, data)) = stream.event().await {
            if name == "going_away" {
                wait_ms = data["return_in_ms"].as_u64().unwrap_or(0);
            }
        }
        counts.lost.borrow_mut().get_or_insert_with(Instant::now);
        let mut bound_ms = 1_000;
        loop {
            sleep(Duration::from_millis(wait_ms)).await;
            seq += 1;
            let body = json!({
                "session": session["session"], "instance": login["instance"],
                "login_no": 1, "seq": seq,
            });
            let resumed = async {
                let mut connection = Connection::open(&address).await?;
                let event = connection
                    .session(wire::RESUME_PATH, &body.to_string())
                    .await?;
                Ok::<_, String>((connection, event))
            };
            match resumed.await {
                Ok((connection, event)) => {
                    counts.resumed.set(counts.resumed.get() + 1);
                    (stream, session) = (connection, event);
                    break;
                }
                Err(error) if error == "HTTP 401" || error == "HTTP 403" => {
                    counts.signed_out.set(counts.signed_out.get() + 1);
                    return;
                }
                Err(_) => {
                    wait_ms = random_below(bound_ms);
                    bound_ms = (bound_ms * 2).min(60_000);
                }
            }
        }
    }
}

fn random_below(bound: u64) -> u64 {
    let random = instance().unwrap_or_default();
    let number = u64::from_str_radix(random.get(..15).unwrap_or("0"), 16).unwrap_or(0);
    number % bound.max(1)
}
