//! A server that does as little as a server can: reads requests, and answers 204.

use std::{io::Write, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

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
    let mut buffer = Vec::with_capacity(1 << 20);
    loop {
        let Some(length) = request_length(&buffer) else {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        while buffer.len() < length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        buffer.drain(..length);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        stream.write_all(ANSWER).await?;
    }
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
