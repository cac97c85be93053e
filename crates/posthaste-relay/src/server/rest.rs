//! What is still to come of a body once its request has an answer.
//!
//! An answer may need no body: nobody posts here, or no token is known. A client that keeps its connection has to be
//! told whether it may go on there, and that is so where its next bytes begin a request. So a small rest is read, for
//! a moment; where more is to come, the answer ends the connection. What is read is dropped: it takes no room.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::poll_fn;
use hyper::body::Body;

use crate::config::Limits;

/// Reads the rest of a body, where it is small and comes soon. False: something is left.
pub(super) async fn is_read<B>(body: &mut B, limits: &Limits) -> bool
where
    B: Body<Data = Bytes> + Unpin,
{
    // What is announced as too much is not begun.
    if body.size_hint().lower() > limits.rest_bytes_max as u64 {
        return false;
    }
    let reading = read_to_end(body, limits.rest_bytes_max);
    tokio::time::timeout(limits.rest_timeout, reading).await.unwrap_or(false)
}

async fn read_to_end<B>(body: &mut B, mut room: usize) -> bool
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        let Ok(frame) = frame else { return false };
        let Some(left) = room.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return false };
        room = left;
    }
    true
}
