//! A stream that is held open: its bytes in, its events out.

use crate::event_stream::{EventStream, Item};
use crate::transport::{self, Cause, Response};
use std::collections::VecDeque;
use tim_proto::wire::StreamEvent;

/// An event stream that the server holds open.
pub(super) struct Stream {
    pub(super) seq: u64,
    pub(super) response: Response,
    parser: EventStream,
}

/// What came on a stream.
#[derive(Default)]
pub(super) struct Received {
    /// Bytes came; a heartbeat gives no event.
    pub(super) anything: bool,
    pub(super) events: VecDeque<Result<StreamEvent, String>>,
    /// Why reading has ended.
    pub(super) end: Option<transport::Failure>,
}

impl Stream {
    pub(super) fn new(seq: u64, response: Response) -> Stream {
        Stream {
            seq,
            response,
            parser: EventStream::default(),
        }
    }

    /// Waits for bytes.
    pub(super) fn read(&mut self) -> Received {
        let mut received = Received::default();
        self.take(&mut received, Response::read);
        received
    }

    /// Takes all that is there.
    pub(super) fn drain(&mut self) -> Received {
        let mut received = Received::default();
        while received.end.is_none() {
            self.take(&mut received, Response::read_at_once);
        }
        received
    }

    fn take(
        &mut self,
        received: &mut Received,
        read: fn(&mut Response, &mut [u8]) -> Result<usize, transport::Failure>,
    ) {
        let mut buffer = [0; 4096];
        let length = match read(&mut self.response, &mut buffer) {
            Ok(0) => {
                let closed = "the server closed the stream";
                received.end = Some(self.response.failure(Cause::Reset, closed));
                return;
            }
            Ok(length) => length,
            Err(failure) => {
                received.end = Some(failure);
                return;
            }
        };
        received.anything = true;
        let events = &mut received.events;
        self.parser.feed(&buffer[..length], &mut |item| match item {
            Item::Event { name, data } => match StreamEvent::parse(&name, &data) {
                Ok(Some(event)) => events.push_back(Ok(event)),
                // A name of a later version.
                Ok(None) => {}
                Err(e) => events.push_back(Err(format!("event {name} cannot be read: {e}"))),
            },
            Item::TooLong => events.push_back(Err("an event is too long".to_owned())),
            Item::Comment => {}
        });
    }
}
