//! What the embedded store counts: written in the same transaction as the records that it is
//! counted from, so that no user is counted twice or lost.

use super::failed;
use crate::calendar::Day;
use crate::figures::{DAYS_KEPT, DayFigures, Figures, Tally};
use crate::store::StoreError;
use crate::user::User;
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// day -> its figures, as JSON.
const DAYS: TableDefinition<u32, &[u8]> = TableDefinition::new("days");
/// What is counted over all days.
const TOTALS: TableDefinition<&str, u64> = TableDefinition::new("totals");
const REGISTERED: &str = "registered";
const REMOVED: &str = "removed";

/// What is to be added.
#[derive(Default, Serialize, Deserialize)]
pub struct Counts {
    registered: u64,
    removed: u64,
    days: BTreeMap<Day, DayFigures>,
}

impl Counts {
    /// What a swap of a record adds.
    pub fn of_swap(before: &User, after: &User) -> Counts {
        let mut counts = Counts::default();
        match (&before.account, &after.account) {
            (None, Some(account)) => {
                counts.registered = 1;
                counts.day(account.registered_day).registered = 1;
            }
            (Some(_), None) => counts.removed = 1,
            _ => {}
        }
        if after.active_day > before.active_day {
            counts.day(after.active_day).active = 1;
        }
        counts
    }

    /// Adds to a day.
    pub fn tally(&mut self, day: Day, tally: Tally) {
        self.day(day).tally.add(tally);
    }

    fn day(&mut self, day: Day) -> &mut DayFigures {
        self.days.entry(day).or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.registered == 0 && self.removed == 0 && self.days.is_empty()
    }

    pub fn add(&mut self, more: &Counts) {
        self.registered += more.registered;
        self.removed += more.removed;
        for (day, figures) in &more.days {
            add(self.day(*day), figures);
        }
    }

    pub fn write(&self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let mut totals = transaction.open_table(TOTALS).map_err(failed)?;
        for (name, more) in [(REGISTERED, self.registered), (REMOVED, self.removed)] {
            if more > 0 {
                let so_far = totals.get(name).map_err(failed)?.map_or(0, |n| n.value());
                totals.insert(name, so_far + more).map_err(failed)?;
            }
        }
        let mut days = transaction.open_table(DAYS).map_err(failed)?;
        for (day, more) in &self.days {
            let mut figures = match days.get(day.0).map_err(failed)? {
                Some(bytes) => serde_json::from_slice(bytes.value()).map_err(failed)?,
                None => DayFigures::default(),
            };
            add(&mut figures, more);
            let bytes = serde_json::to_vec(&figures).map_err(failed)?;
            days.insert(day.0, bytes.as_slice()).map_err(failed)?;
            days.retain_in(..day.before(DAYS_KEPT - 1).0, |_, _| false)
                .map_err(failed)?;
        }
        Ok(())
    }
}

fn add(figures: &mut DayFigures, more: &DayFigures) {
    figures.active += more.active;
    figures.registered += more.registered;
    figures.tally.add(more.tally);
}

/// Makes the tables. Accounts of a version that did not count are counted.
pub fn prepare(
    transaction: &WriteTransaction,
    users: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<(), StoreError> {
    transaction.open_table(DAYS).map_err(failed)?;
    let mut totals = transaction.open_table(TOTALS).map_err(failed)?;
    if totals.get(REGISTERED).map_err(failed)?.is_some() {
        return Ok(());
    }
    let mut registered = 0;
    for row in users.iter().map_err(failed)? {
        let (_, bytes) = row.map_err(failed)?;
        let user: User = serde_json::from_slice(bytes.value()).map_err(failed)?;
        registered += u64::from(user.account.is_some());
    }
    totals.insert(REGISTERED, registered).map_err(failed)?;
    Ok(())
}

/// The figures from a day on.
pub fn read(transaction: &ReadTransaction, since: Day) -> Result<Figures, StoreError> {
    let totals = transaction.open_table(TOTALS).map_err(failed)?;
    let total = |name| {
        let total = totals.get(name).map_err(failed)?;
        Ok::<u64, StoreError>(total.map_or(0, |total| total.value()))
    };
    let table = transaction.open_table(DAYS).map_err(failed)?;
    let mut days = BTreeMap::new();
    for row in table.range(since.0..).map_err(failed)? {
        let (day, bytes) = row.map_err(failed)?;
        let figures = serde_json::from_slice(bytes.value()).map_err(failed)?;
        days.insert(Day(day.value()), figures);
    }
    Ok(Figures {
        registered: total(REGISTERED)?,
        removed: total(REMOVED)?,
        days,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::{Profile, Rules};
    use redb::{Database, ReadableDatabase};

    fn database(directory: &tempfile::TempDir) -> Database {
        let database = Database::create(directory.path().join("store")).unwrap();
        prepare_all(&database);
        database
    }

    fn prepare_all(database: &Database) {
        let transaction = database.begin_write().unwrap();
        {
            let users = transaction
                .open_table(super::super::database::USERS)
                .unwrap();
            prepare(&transaction, &users).unwrap();
        }
        transaction.commit().unwrap();
    }

    fn write(database: &Database, counts: &Counts) {
        let transaction = database.begin_write().unwrap();
        counts.write(&transaction).unwrap();
        transaction.commit().unwrap();
    }

    fn figures(database: &Database) -> Figures {
        read(&database.begin_read().unwrap(), Day(0)).unwrap()
    }

    fn active_on(day: Day) -> Counts {
        let (before, mut after) = (User::default(), User::default());
        after.active_day = day;
        Counts::of_swap(&before, &after)
    }

    #[test]
    fn a_day_is_kept_for_four_hundred_days() {
        let directory = tempfile::tempdir().unwrap();
        let database = database(&directory);
        for day in [Day(20_000), Day(20_001), Day(20_399)] {
            write(&database, &active_on(day));
        }
        let days: Vec<Day> = figures(&database).days.into_keys().collect();
        assert_eq!(days, [Day(20_000), Day(20_001), Day(20_399)]);
        write(&database, &active_on(Day(20_400)));
        let days: Vec<Day> = figures(&database).days.into_keys().collect();
        assert_eq!(days, [Day(20_001), Day(20_399), Day(20_400)]);
    }

    #[test]
    fn a_record_counts_for_a_day_when_that_becomes_its_latest() {
        let (mut before, mut after) = (User::default(), User::default());
        before.active_day = Day(5);
        after.active_day = Day(5);
        assert!(Counts::of_swap(&before, &after).is_empty());
        after.active_day = Day(4);
        assert!(Counts::of_swap(&before, &after).is_empty());
        after.active_day = Day(6);
        assert_eq!(Counts::of_swap(&before, &after).days[&Day(6)].active, 1);
    }

    #[test]
    fn accounts_of_a_store_that_did_not_count_are_counted_once() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::create(directory.path().join("store")).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut users = transaction
                .open_table(super::super::database::USERS)
                .unwrap();
            let mut user = User::default();
            for (user_id, has_account) in [("nobody", false), ("alice", true), ("bob", true)] {
                if has_account {
                    user.import(&Profile::default(), &Rules::default(), 1_700_000_000_000);
                }
                let bytes = serde_json::to_vec(&user).unwrap();
                users.insert(user_id, bytes.as_slice()).unwrap();
            }
        }
        transaction.commit().unwrap();
        for _ in 0..2 {
            prepare_all(&database);
            assert_eq!(figures(&database).registered, 2);
        }
    }
}
