//! Event streams: a mailbox per connection, and the response body that is fed from it.

use crate::timer::Timer;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tim_proto::wire::StreamEvent;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A comment: it says that the stream is alive, and nothing else.
const HEARTBEAT: &[u8] = b": hb\n\n";

/// Where a stream's events go. A stream gets a handful of events in its life, and the last one
/// ends it: the mailbox needs no bound.
pub struct Mailbox {
    /// Which of a session's streams this is.
    pub stream_id: u64,
    letters: Letters,
}

/// What a stream is sent.
pub enum Letter {
    Event(Bytes),
    Heartbeat,
    /// The ticket's time has come: the stream's owner knows whether it has.
    Expiry,
    End,
}

/// The sending side of a mailbox.
pub type Letters = UnboundedSender<Letter>;

impl Mailbox {
    /// Sends an event and ends the stream.
    pub fn last(&self, event: &StreamEvent) {
        // A stream that nobody reads any more has no receiver.
        let _ = self.letters.send(Letter::Event(event.to_text().into()));
        self.close();
    }

    /// Ends the stream.
    pub fn close(&self) {
        let _ = self.letters.send(Letter::End);
    }
}

/// What happens to a stream from inside.
pub trait Owner: Send + Sync + 'static {
    /// The ticket's time has come. What is returned is sent as the last event.
    fn expired(&self, stream_id: u64) -> Option<StreamEvent>;
    /// Nobody reads any more.
    fn closed(&self, stream_id: u64);
}

/// The body of a stream.
pub struct StreamBody<O: Owner> {
    stream_id: u64,
    letters: UnboundedReceiver<Letter>,
    ended: bool,
    owner: O,
}

/// A stream that begins with `first` and is told to expire after `expires_in`.
pub fn open<O: Owner>(
    stream_id: u64,
    first: &StreamEvent,
    heartbeat: Duration,
    expires_in: Duration,
    timer: &Timer,
    owner: O,
) -> (Mailbox, StreamBody<O>) {
    let (letters, received) = unbounded_channel();
    let _ = letters.send(Letter::Event(first.to_text().into()));
    timer.add(heartbeat, expires_in, letters.clone());
    let body = StreamBody {
        stream_id,
        letters: received,
        ended: false,
        owner,
    };
    (Mailbox { stream_id, letters }, body)
}

impl<O: Owner + Unpin> Body for StreamBody<O> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while !self.ended {
            let text = match self.letters.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Letter::Event(text))) => text,
                Poll::Ready(Some(Letter::Heartbeat)) => Bytes::from_static(HEARTBEAT),
                Poll::Ready(Some(Letter::Expiry)) => match self.owner.expired(self.stream_id) {
                    None => continue,
                    Some(event) => {
                        self.ended = true;
                        event.to_text().into()
                    }
                },
                Poll::Ready(Some(Letter::End) | None) => break,
            };
            return Poll::Ready(Some(Ok(Frame::data(text))));
        }
        self.ended = true;
        Poll::Ready(None)
    }
}

impl<O: Owner> Drop for StreamBody<O> {
    fn drop(&mut self) {
        self.owner.closed(self.stream_id);
    }
}
