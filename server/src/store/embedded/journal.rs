//! A file of the journal: what is to be in the database, on disk within one short write.
//!
//! It holds groups: `length u32 | checksum u32 | number u64 | text`, in little-endian, where the
//! length is the text's and the checksum is CRC-32 over number and text. Numbers grow by one from group
//! to group, over all files. Once a file's groups are in the database, the file is written again from its
//! beginning; what is left of older groups behind the new ones does not follow in number. Bytes that were
//! never written are zeros: a file grows ahead of its groups, so that writing one touches nothing but
//! the file's data.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const HEAD: usize = 16;
/// A file grows to at least this, and to twice its length each time.
const ROOM_MIN: u64 = 64 * 1024;

/// A file, and where its next group goes.
pub struct Journal {
    file: File,
    end: u64,
    /// How long the file is.
    room: u64,
    buffer: Vec<u8>,
}

/// A group as it was found.
pub struct Group<'a> {
    pub number: u64,
    pub text: &'a [u8],
}

impl Journal {
    /// Opens or creates a file. Its next group will be its first.
    pub fn open(path: &Path) -> io::Result<Journal> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.mode(0o600);
        let file = options.open(path)?;
        let room = file.metadata()?.len();
        if room == 0
            && let Some(directory) = path.parent()
        {
            // Else a power cut could take a file away that was written and synced.
            File::open(directory)?.sync_all()?;
        }
        Ok(Journal {
            room,
            ..Journal::over(file)
        })
    }

    /// A file without room.
    pub fn over(file: File) -> Journal {
        Journal {
            file,
            end: 0,
            room: 0,
            buffer: Vec::new(),
        }
    }

    /// What its groups are in; the whole file, where it was not written to since it was opened.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let length = if self.end > 0 { self.end } else { self.room };
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Adds a group. It is on disk once this returns; if it failed, the same group may be added again.
    pub fn add(
        &mut self,
        number: u64,
        write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.resize(HEAD, 0);
        write(&mut self.buffer)?;
        let length = u32::try_from(self.buffer.len() - HEAD).map_err(io::Error::other)?;
        self.buffer[8..HEAD].copy_from_slice(&number.to_le_bytes());
        let checksum = crc32fast::hash(&self.buffer[8..]);
        self.buffer[..4].copy_from_slice(&length.to_le_bytes());
        self.buffer[4..8].copy_from_slice(&checksum.to_le_bytes());
        let end = self.end + self.buffer.len() as u64;
        self.make_room(end)?;
        self.file.write_all_at(&self.buffer, self.end)?;
        self.file.sync_data()?;
        self.end = end;
        Ok(())
    }

    fn make_room(&mut self, end: u64) -> io::Result<()> {
        static ZEROS: [u8; ROOM_MIN as usize] = [0; ROOM_MIN as usize];
        if end <= self.room {
            return Ok(());
        }
        let room = end.max(self.room * 2).next_multiple_of(ROOM_MIN);
        while self.room < room {
            self.file.write_all_at(&ZEROS, self.room)?;
            self.room += ROOM_MIN;
        }
        Ok(())
    }

    /// The next group will be the first: those that are there are in the database.
    pub fn rewind(&mut self) {
        self.end = 0;
    }

    /// How many bytes its groups take.
    pub fn len(&self) -> u64 {
        self.end
    }
}

/// The groups of a file, up to where none follows that is whole.
pub fn groups(bytes: &[u8]) -> Vec<Group<'_>> {
    let (mut groups, mut rest) = (Vec::<Group<'_>>::new(), bytes);
    while let Some((group, after)) = first(rest) {
        if (groups.last()).is_some_and(|last| group.number != last.number + 1) {
            break;
        }
        groups.push(group);
        rest = after;
    }
    groups
}

/// The group at the beginning of these bytes, and what follows it.
fn first(bytes: &[u8]) -> Option<(Group<'_>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let word = |at: usize| head[at..at + 4].try_into().ok().map(u32::from_le_bytes);
    let (length, checksum) = (word(0)?, word(4)?);
    let (text, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let covered = &bytes[8..HEAD + text.len()];
    if text.is_empty() || crc32fast::hash(covered) != checksum {
        return None;
    }
    let number = u64::from_le_bytes(head[8..].try_into().ok()?);
    Some((Group { number, text }, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tempfile::TempDir;

    fn opened(directory: &TempDir) -> Journal {
        Journal::open(&directory.path().join("journal")).unwrap()
    }

    fn add(journal: &mut Journal, number: u64, text: &str) {
        let write = |buffer: &mut Vec<u8>| buffer.write_all(text.as_bytes());
        journal.add(number, write).unwrap();
    }

    fn found(directory: &TempDir) -> Vec<(u64, String)> {
        let bytes = opened(directory).bytes().unwrap();
        let pair = |group: Group<'_>| {
            let text = String::from_utf8(group.text.to_vec());
            (group.number, text.unwrap())
        };
        groups(&bytes).into_iter().map(pair).collect()
    }

    fn expected(groups: &[(u64, &str)]) -> Vec<(u64, String)> {
        let pair = |(number, text): &(u64, &str)| (*number, (*text).to_owned());
        groups.iter().map(pair).collect()
    }

    #[test]
    fn what_was_added_is_found_by_the_next_run() {
        let directory = TempDir::new().unwrap();
        assert_eq!(found(&directory), []);
        let mut journal = opened(&directory);
        let long = "long ".repeat(100_000);
        add(&mut journal, 7, "first");
        add(&mut journal, 8, &long);
        add(&mut journal, 9, "last");
        assert_eq!(
            found(&directory),
            expected(&[(7, "first"), (8, &long), (9, "last")])
        );
    }

    #[test]
    fn what_is_left_of_an_earlier_round_is_not_found() {
        let directory = TempDir::new().unwrap();
        let mut journal = opened(&directory);
        for number in 1..=5 {
            add(&mut journal, number, "of one length");
        }
        journal.rewind();
        add(&mut journal, 6, "of one length");
        assert_eq!(found(&directory), expected(&[(6, "of one length")]));
    }

    #[test]
    fn a_group_that_was_cut_or_changed_anywhere_is_not_found_nor_what_follows() {
        let directory = TempDir::new().unwrap();
        let mut journal = opened(&directory);
        add(&mut journal, 1, "whole");
        let start = journal.len();
        add(&mut journal, 2, "to be changed");
        let end = journal.len();
        add(&mut journal, 3, "behind it");
        for at in start..end {
            let mut byte = [0];
            journal.file.read_exact_at(&mut byte, at).unwrap();
            journal.file.write_all_at(&[byte[0] ^ 1], at).unwrap();
            assert_eq!(found(&directory), expected(&[(1, "whole")]), "byte {at}");
            journal.file.write_all_at(&byte, at).unwrap();
        }
        assert_eq!(found(&directory).len(), 3);
        journal.file.set_len(end - 1).unwrap();
        assert_eq!(found(&directory), expected(&[(1, "whole")]));
    }
}
