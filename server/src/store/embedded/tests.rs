use super::*;
use crate::user::{Profile, Rules};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

fn path(directory: &TempDir) -> PathBuf {
    directory.path().join("store.redb")
}

fn opened(directory: &TempDir) -> Arc<dyn Store> {
    loop {
        match open(&path(directory)) {
            Ok(opened) => return opened.store,
            // The threads of the run before may still have the file.
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// What this gives in the end.
pub(super) fn wait<T>(answer: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(answer)
}

fn nick(store: &dyn Store, user_id: &str) -> Option<String> {
    let user = wait(store.load(user_id)).unwrap().user;
    user.account.as_ref().map(|account| account.nick.clone())
}

/// Gives a user an account with this nick, or another nick.
fn rename(store: &dyn Store, user_id: &str, nick: &str) {
    let loaded = wait(store.load(user_id)).unwrap();
    let mut user = User::clone(&loaded.user);
    let profile = Profile {
        nick: Some(nick.to_owned()),
        ..Profile::default()
    };
    user.import(&profile, &Rules::default(), 1_700_000_000_000);
    let Ok(Swapped::Done(written)) = wait(store.swap(user_id, loaded.version, user.into())) else {
        panic!("the record was not swapped");
    };
    wait(written.wait()).unwrap();
}

/// Waits until everything is in the database, and counts its accounts.
fn registered(store: &dyn Store) -> u64 {
    wait(store.figures(Day(0))).unwrap().registered
}

#[test]
fn what_was_written_is_there_in_the_next_run_whether_it_came_into_the_database_or_not() {
    let directory = TempDir::new().unwrap();
    let mut store = opened(&directory);
    for round in 1..=5 {
        rename(
            &*store,
            "alice",
            &format!("in the database in round {round}"),
        );
        assert_eq!(registered(&*store), round);
        let newest = format!("in the journal of round {round}");
        rename(&*store, "alice", &newest);
        rename(&*store, &format!("user {round}"), &newest);
        drop(store);
        store = opened(&directory);
        assert_eq!(nick(&*store, "alice"), Some(newest.clone()));
        assert_eq!(nick(&*store, &format!("user {round}")), Some(newest));
    }
    // Each once, however often the journal was read.
    assert_eq!(registered(&*store), 6);
}

#[test]
fn a_record_that_was_forgotten_in_memory_is_read_as_it_was_written_last() {
    let directory = TempDir::new().unwrap();
    let store = opened(&directory);
    let (now_ms, long_ago_ms) = (1_700_000_000_000, 0);
    for nick_of_now in ["first", "second", "third"] {
        rename(&*store, "alice", nick_of_now);
        // One before it is in the database, and one after.
        store.sweep(long_ago_ms);
        assert_eq!(nick(&*store, "alice").as_deref(), Some(nick_of_now));
        registered(&*store);
        store.sweep(now_ms);
        assert_eq!(nick(&*store, "alice").as_deref(), Some(nick_of_now));
    }
}

#[test]
fn a_write_that_the_power_cut_short_is_dropped_and_what_came_before_it_stays() {
    let directory = TempDir::new().unwrap();
    let store = opened(&directory);
    rename(&*store, "alice", "whole");
    rename(&*store, "alice", "cut short");
    drop(store);
    drop(opened(&directory));
    // The second run has taken everything in; the journal is as it was.
    fs::remove_file(path(&directory)).unwrap();
    let journal = path(&directory).with_extension("1.journal");
    let mut bytes = fs::read(&journal).unwrap();
    let at = bytes.windows(9).position(|part| part == b"cut short");
    bytes[at.unwrap()] = b'?';
    fs::write(&journal, bytes).unwrap();
    let store = opened(&directory);
    assert_eq!(nick(&*store, "alice").as_deref(), Some("whole"));
}

#[test]
fn a_journal_without_its_database_is_not_taken_for_all_there_was() {
    let directory = TempDir::new().unwrap();
    let store = opened(&directory);
    rename(&*store, "alice", "first");
    registered(&*store);
    rename(&*store, "alice", "second");
    drop(store);
    drop(opened(&directory));
    fs::remove_file(path(&directory)).unwrap();
    fs::remove_file(path(&directory).with_extension("1.journal")).unwrap();
    let error = open(&path(&directory)).err().unwrap().to_string();
    assert!(error.contains("expected group 1"), "{error}");
}

#[test]
fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let _store = opened(&directory);
    let files = fs::read_dir(directory.path()).unwrap();
    let modes: Vec<_> = files
        .map(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o777)
        .collect();
    assert_eq!(modes, [0o600; 3]);
}
