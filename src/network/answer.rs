//! Turns the result of a request into terms of the state machine and the table of codes.

use super::REFUSAL_MAX;
use super::stream::Stream;
use crate::error;
use crate::session::{Answer, Failure, Phase, Refused};
use crate::transport::{self, Cause, Response};
use std::collections::VecDeque;
use std::net::SocketAddr;
use tim_proto::wire::{self, StreamEvent};

/// The result of a request.
pub(super) enum Outcome {
    /// A complete answer.
    Answer(Answer),
    /// Accepted: the stream, and the events that arrived with the first one.
    Stream(
        wire::SessionEvent,
        Box<Stream>,
        VecDeque<Result<StreamEvent, String>>,
    ),
}

/// Reads a stream's first event, which says that the login or resume was accepted, without waiting
/// for anything after it.
pub(super) fn open_stream(seq: u64, response: Response) -> Result<Outcome, transport::Failure> {
    let mut stream = Stream::new(seq, response);
    let mut events = VecDeque::new();
    while events.is_empty() {
        let received = stream.read();
        if let Some(failure) = received.end {
            return Err(failure);
        }
        events = received.events;
    }
    Ok(match events.pop_front() {
        Some(Ok(StreamEvent::Session(session))) => {
            Outcome::Stream(session, Box::new(stream), events)
        }
        _ => Outcome::Answer(not_ours(&stream.response)),
    })
}

/// An answer that is not an acceptance.
pub(super) fn refused(mut response: Response) -> Result<Outcome, transport::Failure> {
    let mut answer = Refused {
        http_status: response.status,
        tim_protocol: response.protocol_header,
        refusal: None,
        retry_after_ms: response.retry_after_ms,
        address: address(response.peer),
    };
    if response.protocol_header && is_type(&response, "application/json") {
        let body = response.read_to_limit(REFUSAL_MAX)?;
        answer.refusal = serde_json::from_slice(&body).ok();
    }
    Ok(Outcome::Answer(Answer::Refused(answer)))
}

/// A 200 without our header.
pub(super) fn not_ours(response: &Response) -> Answer {
    Answer::Refused(Refused {
        http_status: response.status,
        tim_protocol: false,
        refusal: None,
        retry_after_ms: None,
        address: address(response.peer),
    })
}

pub(super) fn is_type(response: &Response, media_type: &str) -> bool {
    let mut parts = response.content_type.split(';');
    parts
        .next()
        .is_some_and(|part| part.trim().eq_ignore_ascii_case(media_type))
}

pub(super) fn address(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(String::new, |peer| peer.to_string())
}

/// Translates a failure of the transport into terms of the state machine and the table of codes.
pub(super) fn session_failure(failure: transport::Failure) -> Failure {
    let code = match failure.cause {
        Cause::Interrupted => error::ERR_INTERRUPTED,
        Cause::Dns => error::ERR_NAME_NOT_FOUND,
        Cause::Refused => error::ERR_CONNECT_REFUSED,
        Cause::Unreachable => error::ERR_NETWORK_UNREACHABLE,
        Cause::ConnectTimeout => error::ERR_CONNECT_TIMEOUT,
        Cause::ResponseTimeout => error::ERR_RESPONSE_TIMEOUT,
        Cause::Reset => error::ERR_CONNECTION_RESET,
        Cause::NoSocketBuffers => error::ERR_NO_SOCKET,
        Cause::TlsHandshake => error::ERR_TLS,
        Cause::BadCertificate => error::ERR_CERTIFICATE,
        Cause::Proxy => error::ERR_PROXY,
        Cause::ProxyAuthRequired => error::ERR_PROXY_AUTH,
        Cause::PlaintextRefused => error::ERR_PLAINTEXT_REFUSED,
        Cause::NotHttp => error::ERR_NOT_TIM_SERVER,
    };
    let phase = match failure.phase {
        transport::Phase::Resolve => Phase::Resolve,
        transport::Phase::Connect => Phase::Connect,
        transport::Phase::Proxy => Phase::Proxy,
        transport::Phase::Tls => Phase::Tls,
        transport::Phase::Send => Phase::Send,
        transport::Phase::Response => Phase::Response,
        transport::Phase::Stream => Phase::Stream,
    };
    Failure {
        code,
        phase,
        cause: failure.text,
        address: address(failure.peer),
    }
}
