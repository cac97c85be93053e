//! The head of an answer, where it is one of the usual; anything else is left to hyper.

use std::{mem::MaybeUninit, ops::Range};

use http::header;
use httparse::{ParserConfig, Status};

use crate::dispatch::RetryAfter;

/// Header lines of a usual answer.
const HEADERS_MAX: usize = 48;
/// Bytes of a usual head.
const HEAD_BYTES_MAX: usize = 8 * 1_024;
/// Bytes of a text that is read to its end, so that its connection can be used again.
const TEXT_BYTES_MAX: usize = 64 * 1_024;

/// What the bytes so far are.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    /// A head that has not ended.
    Part,
    Head(Head),
    /// Nothing that is read here: 1xx, chunks, a text that ends with its connection, or no HTTP/1.1 at all.
    Odd,
}

/// A usual answer: its text has a length, or it can have none.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) retry_after: Option<RetryAfter>,
    /// Where the text stands in what was read; it may not have come yet.
    pub(super) text: Range<usize>,
    /// The server keeps the connection.
    pub(super) is_kept: bool,
}

impl Head {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

pub(super) fn read(bytes: &[u8]) -> Read {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut answer, bytes, &mut headers);
    match parsed {
        Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Read::Part,
        Ok(Status::Complete(end)) => usual(&answer, end).map_or(Read::Odd, Read::Head),
        _ => Read::Odd,
    }
}

/// Whether it is one, with its head ending here.
fn usual(answer: &httparse::Response<'_, '_>, end: usize) -> Option<Head> {
    let status = answer.code.filter(|code| (200..=599).contains(code) && answer.version == Some(1))?;
    let (mut retry_after, mut length, mut is_kept) = (None, None, true);
    for httparse::Header { name, value } in &*answer.headers {
        let is = |other: header::HeaderName| name.eq_ignore_ascii_case(other.as_str());
        match name.len() {
            10 if is(header::CONNECTION) => is_kept &= keeps(value)?,
            14 if is(header::CONTENT_LENGTH) && length.is_some() => return None,
            14 if is(header::CONTENT_LENGTH) => length = Some(number(value)?),
            11 if is(header::RETRY_AFTER) && retry_after.is_none() => {
                retry_after = Some(std::str::from_utf8(value).ok().and_then(RetryAfter::parse));
            }
            17 if is(header::TRANSFER_ENCODING) => return None,
            7 if is(header::UPGRADE) => return None,
            _ => {}
        }
    }
    let has_none = matches!(status, 204 | 304);
    let length = match length {
        // What such a status cannot have would be taken for the next answer.
        Some(length) if has_none && length > 0 => return None,
        None if !has_none => return None,
        length => length.unwrap_or(0),
    };
    let text = end..end.checked_add(length).filter(|_| length <= TEXT_BYTES_MAX)?;
    Some(Head { status, retry_after: retry_after.flatten(), text, is_kept })
}

/// Whether the connection stays; `None`: it says something else.
fn keeps(value: &[u8]) -> Option<bool> {
    if value.eq_ignore_ascii_case(b"keep-alive") {
        Some(true)
    } else {
        value.eq_ignore_ascii_case(b"close").then_some(false)
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn head(bytes: &str) -> Option<(u16, usize, bool)> {
        match read(bytes.as_bytes()) {
            Read::Head(head) => Some((head.status, head.text.len(), head.is_kept)),
            Read::Part | Read::Odd => None,
        }
    }

    #[test]
    fn a_usual_answer_is_read_here() {
        for (bytes, expected) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", (204, 0, true)),
            ("HTTP/1.1 204\r\n\r\n", (204, 0, true)),
            ("HTTP/1.1 204 x\r\nContent-Length: 0\r\nconnection: Keep-Alive\r\n\r\n", (204, 0, true)),
            ("HTTP/1.1 304 x\r\nconnection: close\r\n\r\n", (304, 0, false)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", (200, 2, true)),
            ("HTTP/1.1 400 x\r\ncontent-length: 007\r\n\r\n", (400, 7, true)),
        ] {
            assert_eq!(head(bytes), Some(expected), "{bytes:?}");
        }
        let busy = read(b"HTTP/1.1 503 x\r\nretry-after: 7\r\nretry-after: 9\r\ncontent-length: 1\r\n\r\n");
        let Read::Head(busy) = busy else { panic!("{busy:?}") };
        assert_eq!((busy.retry_after, busy.text), (Some(RetryAfter::Delay(Duration::from_secs(7))), 69..70));
    }

    /// RFC 9112, section 6.3: each of these ends elsewhere than a length says, or where only its connection says.
    #[test]
    fn anything_else_is_left_to_hyper() {
        for bytes in [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 999 x\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
            "HTTP/1.1 204 x\r\ncontent-length: 9\r\n\r\n",
            "HTTP/1.1 204 x\r\nconnection: upgrade\r\n\r\n",
            "HTTP/1.1 204 x\r\nno good: y\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            assert_eq!(read(bytes.as_bytes()), Read::Odd, "{bytes:?}");
        }
        let long = format!("HTTP/1.1 204 x\r\nx: {}", "y".repeat(HEAD_BYTES_MAX));
        assert_eq!(read(long.as_bytes()), Read::Odd);
    }

    #[test]
    fn a_head_is_none_until_its_last_byte() {
        let whole = b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Read::Part, "{end}");
        }
    }
}
