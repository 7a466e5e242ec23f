use super::*;
use crate::store::Versioned;
use crate::user::{Change, Profile, Rules};
use std::fs;
use tempfile::TempDir;
use tim_proto::Platform;

const NOW_MS: i64 = 1_700_000_000_000;

fn opened(directory: &TempDir) -> Arc<dyn Store> {
    open(directory.path()).unwrap().store
}

/// Blocks until the future is ready.
pub(super) fn wait<T>(answer: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(answer)
}

fn nick(store: &dyn Store, user_id: &str) -> Option<String> {
    let user = wait(store.load(user_id)).unwrap().user;
    user.account.as_ref().map(|account| account.nick.clone())
}

fn swapped(
    store: &dyn Store,
    user_id: &str,
    events: Vec<Event>,
    change: impl FnOnce(&mut User),
) -> Result<Written, StoreError> {
    let Versioned { user, version } = wait(store.load(user_id))?;
    let mut user = User::clone(&user);
    change(&mut user);
    let swap = Swap {
        user_id,
        version,
        user: user.into(),
        due_ms: None,
        events,
    };
    match wait(store.swap(swap))? {
        Swapped::Done(written) => Ok(written),
        Swapped::Late => panic!("the record was not swapped"),
    }
}

/// Changes a record; it is on disk once this returns.
pub(super) fn put(
    store: &dyn Store,
    user_id: &str,
    change: impl FnOnce(&mut User),
) -> Result<(), StoreError> {
    wait(swapped(store, user_id, Vec::new(), change)?.wait())
}

/// Gives a user an account with this nick, or changes the nick.
fn rename(store: &dyn Store, user_id: &str, nick: &str) -> Result<(), StoreError> {
    let profile = Profile {
        nick: Some(nick.to_owned()),
        ..Profile::default()
    };
    put(store, user_id, |user| {
        user.import(&profile, &Rules::default(), NOW_MS);
    })
}

fn registered(store: &dyn Store) -> u64 {
    wait(store.figures(Day(0))).unwrap().registered
}

#[test]
fn what_was_written_is_there_in_the_next_run() {
    let directory = TempDir::new().unwrap();
    let mut store = opened(&directory);
    for round in 1..=5 {
        let newest = format!("of round {round}");
        rename(&*store, "alice", &newest).unwrap();
        rename(&*store, &format!("user {round}"), &newest).unwrap();
        drop(store);
        store = opened(&directory);
        assert_eq!(nick(&*store, "alice"), Some(newest.clone()));
        assert_eq!(nick(&*store, &format!("user {round}")), Some(newest));
    }
    assert_eq!(registered(&*store), 6);
}

#[test]
fn a_record_that_was_forgotten_in_memory_is_read_as_it_was_written_last() {
    let directory = TempDir::new().unwrap();
    let store = opened(&directory);
    for nick_of_now in ["first", "second", "third"] {
        rename(&*store, "alice", nick_of_now).unwrap();
        wait(store.sweep(NOW_MS, &Rules::default())).unwrap();
        assert_eq!(nick(&*store, "alice").as_deref(), Some(nick_of_now));
    }
}

#[test]
fn a_directory_has_one_server_at_a_time() {
    let directory = TempDir::new().unwrap();
    let store = opened(&directory);
    let error = open(directory.path()).err().unwrap().to_string();
    assert!(error.contains("is in use"), "{error}");
    drop(store);
    opened(&directory);
}

#[test]
fn a_file_that_is_no_store_or_of_a_later_server_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(FILE);
    let refused = |expected: &str| {
        let before = fs::read(&path).unwrap();
        let error = open(directory.path()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    };
    fs::write(
        &path,
        "not a database at all, but long enough to be looked at",
    )
    .unwrap();
    refused("not a database");
    fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(other);
    refused("not a store of tim-server");
    fs::remove_file(&path).unwrap();
    drop(opened(&directory));
    let later = Connection::open(&path).unwrap();
    later.pragma_update(None, "user_version", 2).unwrap();
    drop(later);
    refused("of a later tim-server: expected 1");
}

#[test]
fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let store = opened(&directory);
    rename(&*store, "alice", "whoever").unwrap();
    let files: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert!(files.len() >= 3, "the file, its log and the lock");
    for file in files {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
    }
}

fn lost(user_id: &str, time_ms: i64) -> Event {
    Event {
        user_id: user_id.to_owned(),
        change: Change::Lost(Platform::Web),
        from: None,
        time_ms,
    }
}

/// Delivers all events of this user. Returns their times.
fn delivered(store: &dyn Store, user_id: &str) -> Vec<i64> {
    let first = || wait(store.first_event(user_id)).unwrap();
    let mut times = Vec::new();
    while let Some((receipt, event)) = first() {
        times.push(event.time_ms);
        wait(store.event_delivered(user_id, &receipt)).unwrap();
    }
    times
}

#[test]
fn everybody_stays_signed_out_in_the_next_run_and_later_epochs_are_above() {
    let directory = TempDir::new().unwrap();
    let store = opened(&directory);
    put(&*store, "alice", |user| {
        user.epochs_above(NOW_MS as u64 + 90_000)
    })
    .unwrap();
    wait(store.sign_everybody_out(NOW_MS)).unwrap();
    let signed_out = store.signed_out();
    assert_eq!(signed_out.at_ms, NOW_MS);
    assert!(
        signed_out.epoch > NOW_MS as u64 + 90_000,
        "the clock was set back"
    );
    drop(store);
    assert_eq!(opened(&directory).signed_out(), signed_out);
}

#[test]
fn token_keys_that_were_replaced_are_gone_for_good() {
    let directory = TempDir::new().unwrap();
    let store = opened(&directory);
    let before = store.token_keys();
    wait(store.replace_token_keys(NOW_MS)).unwrap();
    let after = store.token_keys();
    assert_eq!(after.len(), 1);
    assert!(after[0].id > before[0].id && after[0].secret != before[0].secret);
    drop(store);
    let again = open(directory.path()).unwrap().token_keys;
    assert!(again.len() == 1 && again[0].secret == after[0].secret);
}

#[test]
fn events_that_were_not_delivered_are_there_in_the_next_run_in_their_order() {
    let directory = TempDir::new().unwrap();
    let store = opened(&directory);
    let add = |user_id, times: [i64; 2]| {
        let events = times.map(|time| lost(user_id, time)).into();
        // A change that does not last is on disk with its events all the same.
        drop(swapped(&*store, user_id, events, |_| ()).unwrap());
    };
    add("alice", [1, 2]);
    add("bob", [3, 4]);
    add("alice", [5, 6]);
    registered(&*store);
    let (receipt, first) = wait(store.first_event("alice")).unwrap().unwrap();
    assert_eq!(first.time_ms, 1);
    wait(store.event_delivered("alice", &receipt)).unwrap();
    drop(store);
    let store = opened(&directory);
    let (announced, users) = std::sync::mpsc::channel();
    store.watch_events(Box::new(move |user_id, _| {
        announced.send(user_id.to_owned()).unwrap();
    }));
    assert_eq!(users.try_iter().count(), 5);
    assert_eq!(delivered(&*store, "alice"), [2, 5, 6]);
    assert_eq!(delivered(&*store, "bob"), [3, 4]);
    drop(store);
    assert!(delivered(&*opened(&directory), "alice").is_empty());
}
