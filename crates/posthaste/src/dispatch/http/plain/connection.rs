//! One connection: a request goes out on it, and an answer comes back.
//!
//! Invariant: it is used again only if the request is out, the answer's text has come to its end, and nothing followed.

use std::{
    future::poll_fn,
    io::{self, IoSlice, Write as _},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use hyper::rt::{self, ReadBuf};
use hyper_rustls::MaybeHttpsStream;
use tokio::time::Instant;

use super::{
    answer::{self, Head, Read},
    place::{Plain, line},
    replay::Replay,
};
use crate::dispatch::http::connector::Stream;

/// To a server, straight or through a proxy.
pub(super) type Link = MaybeHttpsStream<Stream>;

/// Most answers are smaller.
const READ_BYTES: usize = 1_024;

pub(super) struct Connection {
    link: Link,
    since: Instant,
    /// The head of the request.
    head: Vec<u8>,
    /// How much of head and body is out.
    written: usize,
    /// What has come, and room for more.
    buffer: Vec<u8>,
    filled: usize,
}

/// The beginning of an answer.
pub(super) enum Begun {
    Usual(Head),
    /// Only hyper can read it.
    Odd,
}

impl Connection {
    pub(super) fn new(link: Link, now: Instant) -> Self {
        let buffer = vec![0; READ_BYTES];
        Self { link, since: now, head: Vec::new(), written: 0, buffer, filled: 0 }
    }

    pub(super) fn is_younger(&self, age: Option<Duration>, now: Instant) -> bool {
        age.is_none_or(|age| now.saturating_duration_since(self.since) < age)
    }

    /// Whether the server has neither closed it nor said anything that nobody asked for.
    pub(super) fn is_open(&mut self) -> bool {
        self.filled = 0;
        self.poll_more(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Sends a request and reads the head of its answer. That may come before the request is out.
    pub(super) async fn exchange(
        &mut self,
        place: &Plain,
        further: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Begun> {
        self.head.clear();
        self.head.extend_from_slice(&place.head);
        for (name, value) in further {
            line(&mut self.head, name, value.as_bytes());
        }
        write!(self.head, "content-length: {}\r\n\r\n", body.len())?;
        (self.written, self.filled) = (0, 0);
        poll_fn(|context| self.poll_exchange(context, body)).await
    }

    fn poll_exchange(&mut self, context: &mut Context<'_>, body: &[u8]) -> Poll<io::Result<Begun>> {
        let written = self.poll_write(context, body);
        loop {
            match self.poll_more(context) {
                // Nothing was said before the server closed.
                Poll::Pending => match written {
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    _ => return Poll::Pending,
                },
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(0)) if self.filled == 0 => return Poll::Ready(Err(closed())),
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Begun::Odd)),
                Poll::Ready(Ok(_)) => {}
            }
            match answer::read(self.buffer.get(..self.filled).unwrap_or_default()) {
                Read::Part => {}
                Read::Head(_) | Read::Odd if self.written < self.head.len() => {
                    return Poll::Ready(Err(unasked()));
                }
                // Nobody has taken what has not gone out. A refusal may come as early as it likes.
                Read::Head(head) if head.is_success() && self.written < self.head.len() + body.len() => {
                    return Poll::Ready(Err(early()));
                }
                Read::Head(head) => return Poll::Ready(Ok(Begun::Usual(head))),
                Read::Odd => return Poll::Ready(Ok(Begun::Odd)),
            }
        }
    }

    /// Head and body in one call, as far as the system takes them.
    fn poll_write(&mut self, context: &mut Context<'_>, body: &[u8]) -> Poll<io::Result<()>> {
        loop {
            let head = self.head.get(self.written..).unwrap_or_default();
            let rest = body.get(self.written.saturating_sub(self.head.len())..).unwrap_or_default();
            if head.is_empty() && rest.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let pieces = [IoSlice::new(head), IoSlice::new(rest)];
            let pieces = if head.is_empty() { &pieces[1..] } else { &pieces[..] };
            match rt::Write::poll_write_vectored(Pin::new(&mut self.link), context, pieces) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(bytes)) => self.written += bytes,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Reads what has come, and says how many bytes that are: none, at the end.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let mut room = ReadBuf::new(self.buffer.get_mut(self.filled..).unwrap_or_default());
        match rt::Read::poll_read(Pin::new(&mut self.link), context, room.unfilled()) {
            Poll::Ready(Ok(())) => {
                let bytes = room.filled().len();
                self.filled += bytes;
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Reads an answer's text to its end. An error: it broke off.
    pub(super) async fn read_text(&mut self, head: &Head) -> io::Result<()> {
        while self.filled < head.text.end {
            if poll_fn(|context| self.poll_more(context)).await? == 0 {
                return Err(closed());
            }
        }
        Ok(())
    }

    /// What has come of an answer's text.
    pub(super) fn text(&self, head: &Head) -> &[u8] {
        let end = self.filled.min(head.text.end);
        self.buffer.get(head.text.start..end).unwrap_or_default()
    }

    /// Whether it may be used again after this answer.
    pub(super) fn is_done(&mut self, head: &Head, body: &[u8]) -> bool {
        let is_done = self.filled == head.text.end && self.written == self.head.len() + body.len();
        if self.buffer.len() > READ_BYTES {
            self.buffer = vec![0; READ_BYTES];
        }
        head.is_kept && is_done
    }

    /// For hyper, which is to send the same request and read the same answer: what is out is not sent again, and what has
    /// been read comes first.
    pub(super) fn replayed(mut self: Box<Self>) -> Replay<Link> {
        self.buffer.truncate(self.filled);
        Replay::new(self.link, self.buffer.into(), self.written, self.head.len())
    }
}

fn unasked() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "something came before anything was asked")
}

fn early() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the server said that it had the request before that was out")
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed before its answer was whole")
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("since", &self.since).finish_non_exhaustive()
    }
}
