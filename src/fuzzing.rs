//! Entry points for `fuzz/`: parsers that are not public. Built with `--cfg fuzzing` only.

use crate::config;
use crate::event_stream::{EventStream, Item};

/// Parses a configuration; the error is the message that a caller would get.
pub fn configuration(json: &str) -> Result<(), String> {
    config::parse(json).map(drop)
}

/// The events of a stream that arrives in parts of that size: name and data, `None` for a comment,
/// and an empty name for one that is too long.
pub fn events(bytes: &[u8], part: usize) -> Vec<Option<(String, String)>> {
    let mut events = Vec::new();
    let mut stream = EventStream::default();
    for part in bytes.chunks(part.max(1)) {
        stream.feed(part, &mut |item| {
            events.push(match item {
                Item::Event { name, data } => Some((name, data)),
                Item::Comment => None,
                Item::TooLong => Some(Default::default()),
            });
        });
    }
    events
}
