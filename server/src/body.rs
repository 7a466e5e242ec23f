//! The body of a request: small, in time, and in one piece.

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

/// Copies what comes: each part keeps the whole buffer that it was read into, so that the parts of a
/// body that comes byte by byte would be thousands of times as large as the body.
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
