//! A connection on which an exchange has begun, as hyper may have it from the beginning.
//!
//! hyper writes the same request: as much of it as is out goes nowhere. Its head may be written otherwise than ours was, so
//! that all of it goes nowhere, and of the body what is out. Then hyper reads what has been read already, and goes on.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};

pub(super) struct Replay<S> {
    stream: S,
    /// To be read first.
    read: Bytes,
    /// Whether hyper's head has ended: how many bytes of the four that end it have come in a row.
    head: u8,
    /// Bytes of the body that are out.
    body: usize,
}

const HEAD_END: &[u8] = b"\r\n\r\n";

impl<S> Replay<S> {
    /// `written` bytes are out, of a head of `head_bytes` and a body. A head that is not out whole cannot be replayed: no
    /// server answers before it has one, and whatever comes then is no answer.
    pub(super) fn new(stream: S, read: Bytes, written: usize, head_bytes: usize) -> Self {
        Self { stream, read, head: 0, body: written.saturating_sub(head_bytes) }
    }

    /// How many of these bytes go nowhere.
    fn skipped(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while usize::from(self.head) < HEAD_END.len()
            && let Some(byte) = bytes.get(at)
        {
            let is_next = HEAD_END.get(usize::from(self.head)) == Some(byte);
            self.head = if is_next { self.head + 1 } else { u8::from(*byte == b'\r') };
            at += 1;
        }
        let of_body = self.body.min(bytes.len() - at);
        self.body -= of_body;
        at + of_body
    }
}

impl<S: Read + Unpin> Read for Replay<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if usize::from(self.head) < HEAD_END.len() {
            // hyper takes no answer before it has asked, which it is about to.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, room);
        }
        let bytes = self.read.len().min(room.remaining());
        room.put_slice(self.read.get(..bytes).unwrap_or_default());
        self.read.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Replay<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.skipped(bytes) {
            0 => Pin::new(&mut self.stream).poll_write(context, bytes),
            skipped => Poll::Ready(Ok(skipped)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
