//! Reads the body of a request: bounded in size and time, in one piece.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::time::Duration;
use tokio::time::timeout;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    TooLarge,
    NotWhole,
    TooLate,
}

/// Reads a body of at most `max` bytes.
pub async fn read(body: Incoming, max: usize, in_time: Duration) -> Result<Bytes, Unread> {
    let whole = timeout(in_time, whole(body, max)).await;
    whole.unwrap_or(Err(Unread::TooLate))
}

/// Copies the parts as they arrive: each part keeps the whole buffer it was read into, so the parts
/// of a body that arrives byte by byte would take thousands of times its size.
async fn whole(mut body: Incoming, max: usize) -> Result<Bytes, Unread> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::NotWhole)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > max - whole.len() {
            return Err(Unread::TooLarge);
        }
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}
