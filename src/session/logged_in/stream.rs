//! The session's stream, as the state machine sees it.

use super::super::context::Context;
use tim_proto::bounds;

/// A stream that the server holds open.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    /// The request that opened it.
    pub(super) seq: u64,
    since_ms: u64,
    /// When the last byte arrived.
    received_ms: u64,
}

impl Stream {
    /// A stream that the request `seq` has just opened.
    pub(super) fn new(seq: u64, cx: &Context) -> Stream {
        Stream {
            seq,
            since_ms: cx.now.ms,
            received_ms: cx.now.ms,
        }
    }

    pub(super) fn received(&mut self, cx: &Context) {
        self.received_ms = cx.now.ms;
    }

    /// Two and a half heartbeats without a byte: the stream is dead.
    pub(super) fn silent_at(&self, heartbeat_ms: u64) -> u64 {
        let silence = heartbeat_ms.saturating_mul(5) / 2;
        self.received_ms.saturating_add(silence)
    }

    /// Whether it has lived long enough to count as a success.
    pub(super) fn has_lived(&self, heartbeat_ms: u64, cx: &Context) -> bool {
        let enough = bounds::STREAM_LIVED_MS.clamp(heartbeat_ms.saturating_mul(2));
        cx.is_past(self.since_ms.saturating_add(enough))
    }

    /// Whether the last byte is recent enough that no heartbeat is missing, with some margin.
    pub(super) fn is_fresh(&self, heartbeat_ms: u64, cx: &Context) -> bool {
        let margin = heartbeat_ms.saturating_mul(5) / 4;
        !cx.is_past(self.received_ms.saturating_add(margin))
    }

    /// Whether the stream is so new that it already answers a hint that comes now.
    pub(super) fn answers_hint(&self, cx: &Context) -> bool {
        !cx.is_past(cx.hint_joins_until(self.since_ms))
    }
}
