//! What a stream makes known: that its ticket's time has come, and that nobody reads it any more.

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
    /// Where its connection comes from.
    pub(super) from: IpAddr,
    pub(super) _permit: StreamPermit,
    /// Once the login was accepted.
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
            // A renewal that was faster has given the session another stream.
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
        // Where the process ends, nothing has to be noted.
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
            // If it fails, the next login or resume finds a stream that is not there any more.
            let _ = service
                .decide_for(&user_id, Some(from), |user, now, _| {
                    user.stream_closed(place, now)
                })
                .await;
        });
        // Done already where the record is in memory: a task is for what has to wait.
        let at_once = noting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if at_once.is_pending() {
            runtime.spawn(noting);
        }
    }
}
