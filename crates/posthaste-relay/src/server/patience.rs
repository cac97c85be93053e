//! How long a client may take: one time for the head of a request, and a longer one until it begins the next.
//!
//! hyper has one timer for both. So the stream notes when bytes come, and hyper's timer asks it.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::config::Limits;

/// A connection's stream, which notes that bytes have come.
#[derive(Debug)]
pub(super) struct Heard {
    stream: TcpStream,
    begun: Arc<Begun>,
}

/// Whether anything of the next request has come.
#[derive(Debug, Default)]
pub(super) struct Begun(AtomicBool);

/// hyper's timer of a connection.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    begun: Arc<Begun>,
    head: Duration,
    idle: Duration,
}

/// Resolves when patience with the next request's head ends.
#[derive(Debug)]
struct Wait {
    patience: Patience,
    /// Whether this waits for the rest of a head.
    in_head: bool,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl Heard {
    /// The stream, and the timer for it.
    pub(super) fn new(stream: TcpStream, limits: &Limits) -> (Self, Patience) {
        let begun = Arc::<Begun>::default();
        let patience =
            Patience { begun: Arc::clone(&begun), head: limits.head_timeout, idle: limits.idle_timeout };
        (Self { stream, begun }, patience)
    }

    /// Whether a request has begun that has not been answered, now and later.
    pub(super) fn begun(&self) -> Arc<Begun> {
        Arc::clone(&self.begun)
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl Begun {
    pub(super) fn is_so(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Timer for Patience {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Plain(Box::pin(tokio::time::sleep(duration))))
    }

    /// hyper asks for this when it begins to wait for a request's head, and for nothing else.
    fn sleep_until(&self, _deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.begun.0.store(false, Relaxed);
        let sleep = Box::pin(tokio::time::sleep(self.idle));
        Box::pin(Wait { patience: self.clone(), in_head: false, sleep })
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.in_head && this.patience.begun.0.load(Relaxed) {
            this.in_head = true;
            this.sleep.as_mut().reset(tokio::time::Instant::now() + this.patience.head);
        }
        this.sleep.as_mut().poll(context)
    }
}

impl Sleep for Wait {}

/// Tokio's.
struct Plain(Pin<Box<tokio::time::Sleep>>);

impl Future for Plain {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl Sleep for Plain {}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.begun.0.store(true, Relaxed);
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
