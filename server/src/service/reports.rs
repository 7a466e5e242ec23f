//! The events that a decision causes for the app's backend: who came, who went, who did not come
//! back.

use crate::event::Event;
use crate::user::{Change, Session, User};
use std::net::IpAddr;

/// The events of a decision. `before` is the record as it was, `tidied` the same without what has
/// expired, `user` the record as decided; `from` is the client's address.
pub(super) fn events(
    user_id: &str,
    (before, tidied, user): (&User, &User, &User),
    from: Option<IpAddr>,
    time_ms: i64,
) -> Vec<Event> {
    let event = |change, from| Event {
        user_id: user_id.to_owned(),
        change,
        from,
        time_ms,
    };
    // A resumed session was never away, as far as observers are concerned.
    let is_back = |session: &Session| {
        let now = user.session(session.session_id);
        now.is_some_and(|now| now.stream.is_some())
    };
    let timed_out = tidied
        .timed_out_since(before)
        .filter(|session| !is_back(session))
        .map(|session| event(Change::TimedOut(session.platform), session.from));
    let changed = user
        .changes_since(tidied)
        .into_iter()
        .map(|change| event(change, from));
    timed_out.chain(changed).collect()
}
