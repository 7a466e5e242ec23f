//! Event streams: a mailbox per connection, and the response body that is fed from it.

use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tim_proto::wire::StreamEvent;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, Sleep, sleep};

/// A comment: it says that the stream is alive, and nothing else.
const HEARTBEAT: &[u8] = b": hb\n\n";

/// Where a stream's events go. A stream gets a handful of events in its life, and the last one
/// ends it: the mailbox needs no bound.
pub struct Mailbox {
    /// Which of a session's streams this is.
    pub stream_id: u64,
    letters: UnboundedSender<Letter>,
}

enum Letter {
    Event(Bytes),
    End,
}

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
    heartbeat: Duration,
    next_heartbeat: Pin<Box<Sleep>>,
    expires: Option<Pin<Box<Sleep>>>,
    ended: bool,
    owner: O,
}

/// A stream that begins with `first` and is told to expire after `expires_in`.
pub fn open<O: Owner>(
    stream_id: u64,
    first: &StreamEvent,
    heartbeat: Duration,
    expires_in: Duration,
    owner: O,
) -> (Mailbox, StreamBody<O>) {
    let (letters, received) = unbounded_channel();
    let _ = letters.send(Letter::Event(first.to_text().into()));
    let body = StreamBody {
        stream_id,
        letters: received,
        heartbeat,
        next_heartbeat: Box::pin(sleep(heartbeat)),
        // tokio's timers reach two years; a later end comes with a later resume.
        expires: (expires_in < Duration::from_secs(86_400 * 365))
            .then(|| Box::pin(sleep(expires_in))),
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
        if self.ended {
            return Poll::Ready(None);
        }
        match self.letters.poll_recv(cx) {
            Poll::Ready(Some(Letter::Event(text))) => {
                return Poll::Ready(Some(Ok(Frame::data(text))));
            }
            Poll::Ready(Some(Letter::End) | None) => {
                self.ended = true;
                return Poll::Ready(None);
            }
            Poll::Pending => {}
        }
        if let Some(expires) = &mut self.expires
            && expires.as_mut().poll(cx).is_ready()
        {
            self.expires = None;
            if let Some(event) = self.owner.expired(self.stream_id) {
                self.letters.close();
                self.ended = true;
                return Poll::Ready(Some(Ok(Frame::data(event.to_text().into()))));
            }
        }
        if self.next_heartbeat.as_mut().poll(cx).is_ready() {
            let next = Instant::now() + self.heartbeat;
            self.next_heartbeat.as_mut().reset(next);
            // Registers the timer again.
            let _ = self.next_heartbeat.as_mut().poll(cx);
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(HEARTBEAT)))));
        }
        Poll::Pending
    }
}

impl<O: Owner> Drop for StreamBody<O> {
    fn drop(&mut self) {
        self.owner.closed(self.stream_id);
    }
}
