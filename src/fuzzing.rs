//! What `fuzz/` feeds: parsers that are nobody's interface. Built with `--cfg fuzzing` alone.

use crate::config;
use crate::event_stream::{EventStream, Item};

/// Reads a configuration; what a caller would be told where it is wrong.
pub fn configuration(json: &str) -> Result<(), String> {
    config::parse(json).map(drop)
}

/// The events of a stream that comes in parts of that size: name and data, none for a comment, and
/// an empty name for what is too long.
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
