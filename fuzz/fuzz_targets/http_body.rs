//! Bodies and events of the protocol: nothing makes their readers panic, and what is read says the
//! same when it is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tim_proto::wire::{
    LoginRequest, LogoutAnswer, LogoutRequest, Refusal, ResumeRequest, StreamEvent,
};

fn check<T: DeserializeOwned + Serialize + PartialEq>(bytes: &[u8]) {
    let Ok(message) = serde_json::from_slice::<T>(bytes) else {
        return;
    };
    let Ok(text) = serde_json::to_vec(&message) else {
        panic!("what was read cannot be written");
    };
    let again = serde_json::from_slice::<T>(&text);
    assert!(again.is_ok_and(|again| again == message));
}

fuzz_target!(|bytes: &[u8]| {
    check::<LoginRequest>(bytes);
    check::<ResumeRequest>(bytes);
    check::<LogoutRequest>(bytes);
    check::<LogoutAnswer>(bytes);
    check::<Refusal>(bytes);
    let Ok(data) = std::str::from_utf8(bytes) else {
        return;
    };
    for name in [
        "session",
        "kicked",
        "user_sig_expired",
        "session_ended",
        "going_away",
        "spread",
    ] {
        let Ok(event) = StreamEvent::parse(name, data) else {
            continue;
        };
        let Some(event) = event else {
            panic!("{name} is not known");
        };
        assert_eq!(event.name(), name);
        // The library's own reader takes the text apart again.
        let parsed = tim::fuzzing::events(&event.to_bytes(), usize::MAX);
        let [Some((parsed_name, parsed_data))] = &parsed[..] else {
            panic!("{name} is not one event");
        };
        let again = StreamEvent::parse(parsed_name, parsed_data);
        assert!(again.is_ok_and(|again| again.as_ref() == Some(&event)));
    }
});
