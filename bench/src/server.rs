//! A server that does as little as a server can: reads requests, and answers 204.
//!
//! What it costs is taken from what it measures. So bodies are read into one piece of memory for all, and kept nowhere.

use std::{io::Write, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Head and beginning of a request; no head is longer.
const HEAD_BYTES: usize = 8 * 1_024;
/// What is read of a body at once.
const BODY_BYTES: usize = 256 * 1_024;

/// Serves until it is killed. The first line that it prints is its address.
pub(crate) fn serve(delay: Duration) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout(), "http://{}/v1/events", listener.local_addr()?)?;
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            connections.spawn(answer(stream, delay));
        }
    })
}

async fn answer(mut stream: TcpStream, delay: Duration) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(HEAD_BYTES);
    loop {
        let Some(length) = request_length(&buffer) else {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let missing = length.saturating_sub(buffer.len());
        buffer.drain(..length.min(buffer.len()));
        skip(&stream, missing).await?;
        if !delay.is_zero() {
            // Timers count whole milliseconds, and round up, as waiting for sockets does: so it is the time that was asked for on
            // average, and within a millisecond of it.
            tokio::time::sleep(delay.saturating_sub(Duration::from_micros(1_500))).await;
        }
        stream.write_all(ANSWER).await?;
    }
}

async fn skip(stream: &TcpStream, mut bytes: usize) -> std::io::Result<()> {
    thread_local! {
        static SCRATCH: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; BODY_BYTES]);
    }
    while bytes > 0 {
        stream.readable().await?;
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let end = bytes.min(scratch.len());
            stream.try_read(scratch.get_mut(..end).unwrap_or_default())
        });
        match read {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => bytes -= read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Head and body together, once the head is there.
fn request_length(buffer: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let lines = buffer.get(..head)?;
    let at = lines.windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME))?;
    let digits = buffer.get(at + NAME.len()..)?.iter().take_while(|byte| byte.is_ascii_digit());
    let body = digits.fold(0, |length: usize, digit| length * 10 + usize::from(digit - b'0'));
    Some(head + 4 + body)
}
