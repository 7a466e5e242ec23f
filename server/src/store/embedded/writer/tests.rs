use super::*;
use crate::calendar::Day;
use crate::figures::Tally;
use crate::store::embedded::tests::wait;
use crate::store::{StoreError, Written};
use std::fs::File;
use tempfile::TempDir;

fn job(user_id: &str) -> (Job, Written) {
    let (asker, written) = Written::later();
    let mut counts = Counts::default();
    let tally = Tally {
        logins: 1,
        online_max: 1,
    };
    counts.tally(Day(1), tally);
    let job = Job {
        record: Some((user_id.to_owned(), Arc::default())),
        counts,
        asker: Some(asker),
    };
    (job, written)
}

#[test]
fn what_could_not_be_written_is_said_and_goes_with_what_comes_next() {
    let directory = TempDir::new().unwrap();
    let database = Arc::new(database::open(&directory.path().join("store")).unwrap());
    let path = directory.path().join("journal");
    File::create(&path).unwrap();
    let (full, _settles) = channel();
    let mut writing = Writing {
        queue: Arc::default(),
        progress: Arc::new(Progress::default()),
        epochs: Arc::new(Epochs::open(&database).unwrap()),
        journal: Journal::over(File::open(&path).unwrap()),
        last_group: 0,
        last_job: 1,
        missed: Vec::new(),
        full,
        _database: database.clone(),
    };
    for _ in 0..3 {
        let (first, told) = job("alice");
        writing.write(vec![first]);
        assert!(matches!(wait(told.wait()), Err(StoreError::Failed(_))));
    }
    assert!(!writing.progress.is_written(1));
    assert!(writing.progress.last().is_err());
    // There is room on the disk again.
    writing.journal = Journal::open(&path).unwrap();
    writing.last_job = 2;
    let (second, told) = job("bob");
    writing.write(vec![second]);
    assert!(wait(told.wait()).is_ok());
    assert!(writing.progress.is_written(2));
    assert!(writing.progress.last().is_ok());
    let bytes = writing.journal.bytes().unwrap();
    let text = String::from_utf8_lossy(journal::groups(&bytes)[0].text).into_owned();
    let times = |what: &str| text.matches(what).count();
    assert_eq!((times("alice"), times("bob")), (1, 1), "{text}");
    assert!(text.contains("\"logins\":4"), "{text}");
}
