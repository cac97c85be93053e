//! Reading what an answer says beyond its status.
//!
//! The status has decided by then, so trouble here changes nothing: what cannot be read in time is left.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// How much of an answer is read, so that its connection can be used again. Of that, an answer keeps
/// [`TEXT_BYTES_MAX`](crate::dispatch::TEXT_BYTES_MAX).
const BODY_BYTES_MAX: usize = 64 * 1_024;
/// How long reading it may take, if the request has that much time left. A body that has not ended by then may never
/// end, and costs no more than a connection.
pub(super) const BODY_TIME_MAX: Duration = Duration::from_secs(1);

/// What the body says, as far as it has come within `time`. One that was not read to its end is dropped, and hyper then
/// closes its connection (HTTP/1.1) or its stream (HTTP/2).
pub(super) async fn text_of(body: Incoming, time: Duration) -> String {
    if body.is_end_stream() {
        return String::new();
    }
    let mut read = Vec::new();
    // Whether it ended, broke or was late makes no difference.
    let _ = tokio::time::timeout(time.min(BODY_TIME_MAX), read_into(&mut read, body)).await;
    String::from_utf8_lossy(&read).into_owned()
}

async fn read_into(read: &mut Vec<u8>, mut body: Incoming) {
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(bytes) = frame.into_data() else { continue };
        let room = BODY_BYTES_MAX.saturating_sub(read.len());
        read.extend(bytes.iter().take(room));
        if bytes.len() > room {
            return;
        }
    }
}
