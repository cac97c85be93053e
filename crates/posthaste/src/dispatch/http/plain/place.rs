//! A destination, with all of a request's head that is the same for each.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use http::{HeaderMap, HeaderName, Uri, header};

use super::idle::Idle;
use crate::dispatch::EndPoint;

/// After an answer that only hyper can read, so many requests go through it from the start.
const ODD_FOR: u32 = 1_000;

/// Where requests go.
#[derive(Debug)]
pub(in super::super) struct Place {
    end_point: EndPoint,
    /// `None`: no request of ours is written here.
    plain: Option<Plain>,
}

#[derive(Debug)]
pub(super) struct Plain {
    /// The request line and the headers that every request has, ended as lines.
    pub(super) head: Vec<u8>,
    /// The connections to this host and port.
    pub(super) idle: Arc<Idle>,
    odd: AtomicU32,
}

impl Place {
    /// `idle` finds the connections to a host and port.
    pub(super) fn new(end_point: EndPoint, headers: &HeaderMap, idle: impl FnOnce() -> Arc<Idle>) -> Self {
        let is_plain = end_point.uri().scheme_str() == Some("http") && !headers.keys().any(frames);
        let plain = is_plain.then(|| Plain {
            head: head(end_point.uri(), headers),
            idle: idle(),
            odd: AtomicU32::new(0),
        });
        Self { end_point, plain }
    }

    pub(in super::super) fn end_point(&self) -> &EndPoint {
        &self.end_point
    }

    /// Whether the next request is to be written here.
    pub(in super::super) fn is_plain(&self) -> bool {
        let less = |odd: u32| odd.checked_sub(1);
        self.plain.as_ref().is_some_and(|plain| match plain.odd.load(Relaxed) {
            0 => true,
            _ => plain.odd.fetch_update(Relaxed, Relaxed, less).is_err(),
        })
    }

    /// An answer was none of those that are read here.
    pub(super) fn is_odd(&self) {
        if let Some(plain) = &self.plain {
            plain.odd.store(ODD_FOR, Relaxed);
        }
    }

    pub(super) fn plain(&self) -> Option<&Plain> {
        self.plain.as_ref()
    }
}

/// Whether a header says where a message ends, or what becomes of its connection, or is one that single requests have.
fn frames(name: &HeaderName) -> bool {
    [
        HeaderName::from_static("x-optimizely-strict"),
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ]
    .contains(name)
}

fn head(uri: &Uri, headers: &HeaderMap) -> Vec<u8> {
    let mut head = format!("POST {}", uri.path()).into_bytes();
    if let Some(query) = uri.query() {
        head.push(b'?');
        head.extend_from_slice(query.as_bytes());
    }
    head.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        line(&mut head, name.as_str(), value.as_bytes());
    }
    if !headers.contains_key(header::HOST) {
        line(&mut head, "host", host(uri).as_bytes());
    }
    head
}

/// The host, with the port where that is not the one that everybody expects.
pub(super) fn host(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    match uri.port_u16() {
        None | Some(80) => host.to_owned(),
        Some(port) => format!("{host}:{port}"),
    }
}

pub(super) fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}
