//! What a stream is sent, and the queue in which it waits for the stream's body to be read.

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

/// What a stream is sent.
pub enum Message {
    /// Boxed: the queue of each stream has space for many messages, and most are heartbeats.
    Event(Box<Bytes>),
    Heartbeat,
    /// The ticket's time has come: the stream's owner finds out whether it has ended.
    Expiry,
    End,
    /// The connection is to break off.
    Cut,
}

/// Where a stream's messages go. A stream gets a handful of events in its life, and the last one
/// ends it: its queue needs no bound.
pub type Outbox = UnboundedSender<Message>;
