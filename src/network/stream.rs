//! An open stream: bytes in, events out.

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
    /// How many bytes came; a heartbeat gives no event.
    pub(super) bytes: usize,
    pub(super) events: VecDeque<Result<StreamEvent, String>>,
    /// Why reading ended.
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
        take(&mut self.response, &mut self.parser, &mut received);
        received
    }

    /// Reads what is there, within the transport's bounds; a remainder keeps the socket readable.
    pub(super) fn drain(&mut self) -> Received {
        let Stream {
            response, parser, ..
        } = self;
        let mut received = Received::default();
        response.at_once(|response| {
            while received.end.is_none() {
                take(response, parser, &mut received);
            }
        });
        received
    }
}

fn take(response: &mut Response, parser: &mut EventStream, received: &mut Received) {
    let mut buffer = [0; 4096];
    let length = match response.read(&mut buffer) {
        Ok(0) => {
            let closed = "the server closed the stream";
            received.end = Some(response.failure(Cause::Reset, closed));
            return;
        }
        Ok(length) => length,
        Err(failure) => {
            received.end = Some(failure);
            return;
        }
    };
    received.bytes += length;
    let events = &mut received.events;
    parser.feed(&buffer[..length], &mut |item| match item {
        Item::Event { name, data } => match StreamEvent::parse(&name, &data) {
            Ok(Some(event)) => events.push_back(Ok(event)),
            // A name from a later version.
            Ok(None) => {}
            Err(e) => events.push_back(Err(format!("event {name} cannot be read: {e}"))),
        },
        Item::TooLong => events.push_back(Err("an event is too long".to_owned())),
        Item::Comment => {}
    });
}
