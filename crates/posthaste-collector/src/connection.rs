//! Connections that can be made to end badly: what a server's library protects its users from.
//!
//! A [`Listener`] hands every connection out in a [`Socket`], and each request finds its connection's [`Line`] among its
//! extensions. What is said to the line is carried out where bytes are written: the server's library sees a connection
//! that fails, and lets go of it.
//!
//! Invariant: a line that nobody says anything to changes nothing.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use axum::{
    body::Bytes,
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// A listener whose connections have lines.
#[derive(Debug)]
pub(crate) struct Lines(pub(crate) TcpListener);

/// A connection, and what is to become of it.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    line: Line,
}

/// Says how a connection ends. Clones are of the same connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    order: Order,
    /// The task that serves the connection, which an order has to reach.
    server: Option<Waker>,
}

#[derive(Debug, Default)]
enum Order {
    /// Go on.
    #[default]
    None,
    /// What is being written goes out, then the end.
    AfterAnswer(Ending),
    /// These bytes and no others go out, then the connection closes.
    LastWords(Bytes),
    /// Nothing goes in or out any more.
    Ended,
    /// Likewise, and the other side is to see a reset.
    ResetNow,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// TCP FIN.
    Close,
    /// TCP RST.
    Reset,
}

impl Line {
    /// The connection is reset, whatever is still to be written.
    pub(crate) fn reset(&self) {
        self.order(Order::ResetNow);
    }

    /// The connection ends so, once what the server is writing has been written.
    pub(crate) fn end_after_answer(&self, ending: Ending) {
        self.order(Order::AfterAnswer(ending));
    }

    /// These bytes go out in place of whatever the server writes, and the connection closes.
    pub(crate) fn last_words(&self, bytes: Bytes) {
        self.order(Order::LastWords(bytes));
    }

    fn order(&self, order: Order) {
        let mut state = self.0.lock();
        // What has ended stays so.
        if !matches!(state.order, Order::Ended | Order::ResetNow) {
            state.order = order;
        }
        let server = state.server.take();
        drop(state);
        if let Some(server) = server {
            server.wake();
        }
    }
}

impl Listener for Lines {
    type Io = Socket;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        (Socket { stream, line: Line::default() }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().line.clone()
    }
}

impl Socket {
    /// Carries out what can be: an error once the connection has ended.
    fn obey(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let line = self.line.clone();
        let mut state = line.0.lock();
        if let Order::LastWords(words) = &mut state.order {
            match Pin::new(&mut self.stream).poll_write(cx, words) {
                // The stream wakes the task once there is room.
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(written)) if written > 0 && written < words.len() => {
                    *words = words.slice(written..);
                    cx.waker().wake_by_ref();
                    return Ok(());
                }
                Poll::Ready(_) => state.order = Order::Ended,
            }
        }
        match state.order {
            Order::ResetNow => {
                // Where it fails, the connection closes instead: nothing better can be done.
                let _ = self.stream.set_zero_linger();
                Err(ErrorKind::ConnectionReset.into())
            }
            Order::Ended => Err(ErrorKind::ConnectionAborted.into()),
            Order::None | Order::AfterAnswer(_) | Order::LastWords(_) => Ok(()),
        }
    }

    /// Whether other words than the server's are going out.
    fn is_taken_over(&self) -> bool {
        matches!(self.line.0.lock().order, Order::LastWords(_))
    }

    fn remember(&self, cx: &Context<'_>) {
        let mut state = self.line.0.lock();
        if !state.server.as_ref().is_some_and(|server| server.will_wake(cx.waker())) {
            state.server = Some(cx.waker().clone());
        }
    }

    /// All that the server has written is out.
    fn flushed(&self, cx: &Context<'_>) {
        let mut state = self.line.0.lock();
        if let Order::AfterAnswer(ending) = state.order {
            state.order = match ending {
                Ending::Close => Order::Ended,
                Ending::Reset => Order::ResetNow,
            };
            // The server has nothing to do, and has to hear of it.
            cx.waker().wake_by_ref();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.remember(cx);
        self.obey(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.obey(cx)?;
        if self.is_taken_over() {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.obey(cx)?;
        if self.is_taken_over() {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.obey(cx)?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.flushed(cx);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A reset needs the socket as it is: a FIN before it would look like an end in good order.
        self.obey(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
