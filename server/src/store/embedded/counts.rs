//! The embedded store's figures: written in the same transaction as the records that they count, so
//! that no user is counted twice or lost.

use super::numbers::{self, signed, unsigned};
use crate::calendar::Day;
use crate::figures::{DAYS_KEPT, DayFigures, Figures, Tally};
use crate::user::User;
use rusqlite::Connection;
use serde::Deserialize;
use std::collections::BTreeMap;

const REGISTERED: &str = "registered";
const REMOVED: &str = "removed";

/// What is to be added.
#[derive(Clone, Default, Deserialize)]
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

    /// The figures of another store.
    pub fn of(figures: &Figures) -> Counts {
        Counts {
            registered: figures.registered,
            removed: figures.removed,
            days: figures.days.clone(),
        }
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
            let sum = self.day(*day);
            sum.active += figures.active;
            sum.registered += figures.registered;
            sum.tally.add(figures.tally);
        }
    }
}

/// Adds to the figures in the file.
pub fn write(transaction: &Connection, counts: &Counts) -> rusqlite::Result<()> {
    for (name, more) in [(REGISTERED, counts.registered), (REMOVED, counts.removed)] {
        if more > 0 {
            numbers::add(transaction, name, more)?;
        }
    }
    for (day, more) in &counts.days {
        let mut add = transaction.prepare_cached(
            "INSERT INTO days VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (day) DO UPDATE SET
               active = active + excluded.active, registered = registered + excluded.registered,
               logins = logins + excluded.logins,
               online_max = max(online_max, excluded.online_max)",
        )?;
        let (logins, online_max) = (signed(more.tally.logins), signed(more.tally.online_max));
        add.execute((
            day.0,
            signed(more.active),
            signed(more.registered),
            logins,
            online_max,
        ))?;
        // By count, not by date: a clock that jumps ahead takes the place of one day only.
        let mut forget = transaction.prepare_cached(
            "DELETE FROM days WHERE day <= (SELECT day FROM days ORDER BY day DESC LIMIT 1 OFFSET ?1)",
        )?;
        forget.execute([DAYS_KEPT])?;
    }
    Ok(())
}

/// The figures since a day.
pub fn read(connection: &Connection, since: Day) -> rusqlite::Result<Figures> {
    let mut select = connection.prepare_cached(
        "SELECT day, active, registered, logins, online_max FROM days WHERE day >= ?1",
    )?;
    let rows = select.query_map([since.0], |row| {
        let figures = DayFigures {
            active: row.get(1).map(unsigned)?,
            registered: row.get(2).map(unsigned)?,
            tally: Tally {
                logins: row.get(3).map(unsigned)?,
                online_max: row.get(4).map(unsigned)?,
            },
        };
        Ok((Day(row.get(0)?), figures))
    })?;
    Ok(Figures {
        registered: numbers::read(connection, REGISTERED)?,
        removed: numbers::read(connection, REMOVED)?,
        days: rows.collect::<rusqlite::Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::database::Database;
    use super::*;

    struct Opened {
        _directory: tempfile::TempDir,
        writer: Connection,
    }

    fn opened() -> Opened {
        let directory = tempfile::tempdir().unwrap();
        let (_, writer) = Database::open(&directory.path().join("store")).unwrap();
        Opened {
            _directory: directory,
            writer,
        }
    }

    fn days(opened: &Opened) -> Vec<u32> {
        let figures = read(&opened.writer, Day(0)).unwrap();
        figures.days.into_keys().map(|day| day.0).collect()
    }

    fn active_on(day: Day) -> Counts {
        let (before, mut after) = (User::default(), User::default());
        after.active_day = day;
        Counts::of_swap(&before, &after)
    }

    #[test]
    fn the_newest_four_hundred_days_are_kept() {
        let opened = opened();
        for day in 20_000..20_400 {
            write(&opened.writer, &active_on(Day(day))).unwrap();
        }
        assert_eq!(days(&opened).len(), 400);
        write(&opened.writer, &active_on(Day(20_400))).unwrap();
        assert_eq!(days(&opened), (20_001..=20_400).collect::<Vec<_>>());
    }

    #[test]
    fn a_clock_that_jumps_ahead_deletes_no_history() {
        let opened = opened();
        for day in 20_000..20_010 {
            write(&opened.writer, &active_on(Day(day))).unwrap();
        }
        write(&opened.writer, &active_on(Day(90_000))).unwrap();
        assert_eq!(days(&opened).len(), 11);
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
}
