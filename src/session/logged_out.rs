//! Nobody is logged in, and the server knows of every ending.

use super::context::Context;
use super::endings::Endings;
use super::input::{CallId, Input};
use super::logging_in::LoggingIn;
use super::logging_out::LoggingOut;
use super::{Event, State};
use crate::error;
use crate::secret::Secret;

/// Nobody is logged in any longer. Pending endings are delivered.
pub(super) fn enter(endings: Endings, cx: &mut Context) -> State {
    LoggingOut::begin(endings, cx)
}

/// One step.
pub(super) fn handle(input: Input, cx: &mut Context) -> State {
    match input {
        Input::Login {
            call,
            user_id,
            user_sig,
        } => {
            if refuses(call, &user_sig, cx) {
                return State::LoggedOut;
            }
            LoggingIn::begin(call, user_id, user_sig, Endings::default(), cx)
        }
        Input::Logout { call } => {
            cx.complete(call, error::OK);
            State::LoggedOut
        }
        Input::Renew { call, .. } => {
            cx.complete(call, error::ERR_NOT_LOGGED_IN);
            State::LoggedOut
        }
        Input::Destroy => State::destroyed(Vec::new(), cx),
        Input::NetworkChanged
        | Input::Foreground
        | Input::Woke
        | Input::Tick
        | Input::Answer { .. }
        | Input::Failed { .. }
        | Input::Received { .. }
        | Input::Stream { .. }
        | Input::StreamLost { .. } => State::LoggedOut,
    }
}

/// Refuses a login with a dead ticket. If nobody is logged in, that is an event too.
pub(super) fn refuses(call: CallId, user_sig: &Secret, cx: &mut Context) -> bool {
    let dead = cx.is_dead(user_sig);
    if dead {
        cx.refuse_dead_ticket(call);
        cx.event(Event::UserSigExpired {
            code: error::ERR_USER_SIG_EXPIRED_LOCALLY,
        });
    }
    dead
}
