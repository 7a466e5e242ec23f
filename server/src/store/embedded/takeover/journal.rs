//! The journal file of tim-server 0.1.
//!
//! It holds groups: `length u32
//! checksum u32
//! number u64
//! text`, in little-endian, where the length is the text's and the checksum is CRC-32 over number
//! and text. Numbers grow by one from group to group across both files. Remains of older groups
//! after the new ones break that sequence.

const HEAD: usize = 16;

/// A group as found.
pub struct Group<'a> {
    pub number: u64,
    pub text: &'a [u8],
}

/// The groups of a file, up to the first one that is not intact.
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

/// The first group of these bytes, and what follows it.
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
