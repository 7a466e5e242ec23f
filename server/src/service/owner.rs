//! Reacts to what happens to a stream: its ticket's time has come, or nobody reads it any longer.

use super::Service;
use crate::admission::StreamPermit;
use crate::metrics::Counted;
use crate::stream::{Owner, StreamBody, user_sig_expired};
use crate::user::StreamRef;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Waker};

/// The body of an accepted login or resume.
pub type Stream = StreamBody<StreamOwner>;

/// Ties a stream to its user.
pub struct StreamOwner {
    pub(super) service: Arc<Service>,
    pub(super) user_id: String,
    /// The client's address.
    pub(super) from: IpAddr,
    pub(super) _permit: StreamPermit,
    /// Set once the login was accepted.
    pub(super) online: Option<Counted>,
}

impl Owner for StreamOwner {
    fn expired(&self, stream_id: u64) {
        let (service, user_id) = (self.service.clone(), self.user_id.clone());
        let from = self.from;
        let place = StreamRef {
            node: service.node,
            stream_id,
        };
        tokio::spawn(async move {
            // A renewal that came first has given the session another stream.
            let ended = service
                .decide_for(&user_id, Some(from), |user, now, _| user.expire(place, now))
                .await;
            if ended.unwrap_or(false) {
                service.streams.last(stream_id, &user_sig_expired());
            }
        });
    }

    fn closed(&self, stream_id: u64) {
        self.service.timer.remove(stream_id);
        // At the end of the process nothing needs to be recorded.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (service, user_id) = (self.service.clone(), self.user_id.clone());
        let from = self.from;
        let place = StreamRef {
            node: service.node,
            stream_id,
        };
        let mut noting = Box::pin(async move {
            // If this fails, the next login or resume finds a stream that no longer exists.
            let _ = service
                .decide_for(&user_id, Some(from), |user, now, _| {
                    user.stream_closed(place, now)
                })
                .await;
        });
        // Done already if the record is in memory; only waiting needs a task.
        let at_once = noting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if at_once.is_pending() {
            runtime.spawn(noting);
        }
    }
}
