//! The library's reader of event streams: however a stream is cut into parts, its events are the
//! same, and within their bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tim::fuzzing::events;

/// The most data of one event.
const DATA_MAX: usize = 64 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let whole = events(bytes, usize::MAX);
    for part in [1, 2, 3, 7] {
        assert_eq!(events(bytes, part), whole);
    }
    for (name, data) in whole.into_iter().flatten() {
        assert!(data.len() <= DATA_MAX);
        assert!(!name.contains(['\n', '\r']) && !data.contains('\r'));
    }
});
