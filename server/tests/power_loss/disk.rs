//! What a disk may hold after a power failure: everything synced, and of the rest any part, in
//! sectors, in any order.

use crate::process::random::Random;
use std::collections::BTreeMap;
use std::path::Path;

/// What a disk writes entirely or not at all.
const SECTOR: usize = 512;

/// One thing that a server did to a file.
#[derive(Clone, Debug)]
pub enum Entry {
    Create(String),
    Write(String, u64, Vec<u8>),
    Truncate(String, u64),
    Sync(String),
    SyncFolder,
    Rename(String, String),
    Unlink(String),
}

/// Parses a record, and where each of its entries ends.
pub fn read(record: &[u8]) -> Vec<(u64, Entry)> {
    let (mut entries, mut at) = (Vec::new(), 0);
    let number = |at: usize| u64::from_ne_bytes(record[at..at + 8].try_into().unwrap());
    // An incomplete last entry was being written when the server was killed.
    while at + 19 <= record.len() {
        let what = record[at];
        let name_length = u16::from_ne_bytes(record[at + 1..at + 3].try_into().unwrap());
        let (offset, length) = (number(at + 3), number(at + 11) as usize);
        let data = at + 19 + usize::from(name_length);
        let end = data + length;
        if end > record.len() {
            break;
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let name = text(&record[at + 19..data]);
        let bytes = &record[data..end];
        let entry = match what {
            1 => Entry::Create(name),
            2 => Entry::Write(name, offset, bytes.to_vec()),
            3 => Entry::Truncate(name, offset),
            4 => Entry::Sync(name),
            5 => Entry::SyncFolder,
            6 => Entry::Rename(name, text(bytes)),
            7 => Entry::Unlink(name),
            other => panic!("entry {other}"),
        };
        entries.push((end as u64, entry));
        at = end;
    }
    entries
}

/// A change of a file that was not synced yet.
#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// A file: its certain content and its uncertain changes.
#[derive(Clone, Default)]
struct File {
    synced: Vec<u8>,
    changes: Vec<Change>,
}

/// A change of the folder that was not synced yet. A journal keeps these in order.
#[derive(Clone)]
enum Naming {
    Create(String, usize),
    Rename(String, String),
    Unlink(String),
}

/// A disk at one moment.
#[derive(Clone, Default)]
pub struct Disk {
    files: Vec<File>,
    /// The names that programs see.
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    namings: Vec<Naming>,
    /// A disk that ignores syncs.
    pub ignores_syncs: bool,
}

fn name(names: &mut BTreeMap<String, usize>, naming: &Naming) {
    match naming {
        Naming::Create(name, file) => {
            names.insert(name.clone(), *file);
        }
        Naming::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Naming::Unlink(name) => {
            names.remove(name);
        }
    }
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Truncate(length) => content.resize(*length, 0),
        Change::Write(at, data) => {
            let end = at + data.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*at..end].copy_from_slice(data);
        }
    }
}

impl Disk {
    pub fn does(&mut self, entry: &Entry) {
        match entry {
            Entry::Write(name, at, data) => {
                let change = Change::Write(*at as usize, data.clone());
                self.file(name).changes.push(change);
            }
            Entry::Truncate(name, length) => {
                let change = Change::Truncate(*length as usize);
                self.file(name).changes.push(change);
            }
            Entry::Sync(name) if !self.ignores_syncs => {
                let file = self.file(name);
                for change in std::mem::take(&mut file.changes) {
                    apply(&mut file.synced, &change);
                }
            }
            Entry::SyncFolder if !self.ignores_syncs => {
                self.namings.clear();
                self.synced_names.clone_from(&self.names);
            }
            Entry::Sync(_) | Entry::SyncFolder => {}
            Entry::Create(new) => {
                self.files.push(File::default());
                self.names(Naming::Create(new.clone(), self.files.len() - 1));
            }
            Entry::Rename(from, to) => self.names(Naming::Rename(from.clone(), to.clone())),
            Entry::Unlink(old) => self.names(Naming::Unlink(old.clone())),
        }
    }

    fn file(&mut self, name: &String) -> &mut File {
        let at = *self.names.get(name).unwrap_or_else(|| panic!("no {name}"));
        &mut self.files[at]
    }

    fn names(&mut self, naming: Naming) {
        name(&mut self.names, &naming);
        self.namings.push(naming);
    }

    /// Writes the folder as it may be found after a power failure at this moment.
    pub fn loses_power(&self, folder: &Path, random: &mut Random) {
        let mut names = self.synced_names.clone();
        let kept = random.below(self.namings.len() + 1);
        for naming in &self.namings[..kept] {
            name(&mut names, naming);
        }
        for (name, file) in names {
            let content = self.files[file].after_a_loss(random);
            std::fs::write(folder.join(name), content).unwrap();
        }
    }
}

impl File {
    fn after_a_loss(&self, random: &mut Random) -> Vec<u8> {
        let mut content = self.synced.clone();
        let in_order = random.below(2) == 0;
        let kept = random.below(self.changes.len() + 1);
        for (at, change) in self.changes.iter().enumerate() {
            match change {
                _ if in_order && at < kept => apply(&mut content, change),
                _ if in_order => break,
                _ if random.below(2) == 0 => {}
                Change::Truncate(_) => apply(&mut content, change),
                // Some of its sectors.
                Change::Write(start, data) => {
                    for (sector, part) in data.chunks(SECTOR).enumerate() {
                        if random.below(4) > 0 {
                            let part = Change::Write(start + sector * SECTOR, part.to_vec());
                            apply(&mut content, &part);
                        }
                    }
                }
            }
        }
        content
    }
}
