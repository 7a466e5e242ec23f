//! Messages for a stream, and the queue in which they wait until the stream's body is read.

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

/// A message for a stream.
pub enum Message {
    /// Boxed: each stream's queue has space for many messages, and most are heartbeats.
    Event(Box<Bytes>),
    Heartbeat,
    /// The ticket's time has come: the stream's owner checks whether it has expired.
    Expiry,
    End,
    /// The connection is to be cut.
    Cut,
}

/// The queue of a stream's messages. A stream gets a handful of events in its life, and the last
/// one ends it, so the queue needs no bound.
pub type Outbox = UnboundedSender<Message>;
