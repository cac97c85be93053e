//! Bodies that were packed with gzip, within bounds: a small body that unpacks to a large one is refused early.

use std::io::Read;

use flate2::bufread::GzDecoder;
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};
use posthaste::judge::{Packing, Problem, not_gzip};

use super::body::{Budget, Held};
use crate::{answer::Reason, config::Limits};

/// Why a body could not be unpacked.
#[derive(Debug)]
pub(super) enum Failed {
    /// The request is turned away.
    Turned(Reason),
    /// It is not whole; here it is again, as it came.
    Broken(Box<(Held, Problem)>),
}

/// The body as it was before it was packed.
pub(super) fn unpack(
    headers: &HeaderMap,
    held: Held,
    limits: &Limits,
    budget: &Budget,
) -> Result<Held, Failed> {
    match packing(headers) {
        Packing::None => Ok(held),
        Packing::Unknown => Err(Failed::Turned(Reason::UnknownPacking)),
        Packing::Gzip => {
            let by_ratio = held.bytes().len().saturating_mul(limits.unpack_ratio_max);
            match gunzip(held.bytes(), limits.unpacked_bytes_max.min(by_ratio)) {
                Ok(Some(plain)) => held.replaced(plain, budget).map_err(Failed::Turned),
                Ok(None) => Err(Failed::Turned(Reason::BodyTooLarge)),
                Err(error) => Err(Failed::Broken(Box::new((held, not_gzip(&error))))),
            }
        }
    }
}

/// Whether the head says that the body is packed.
pub(super) fn is_packed(headers: &HeaderMap) -> bool {
    !matches!(packing(headers), Packing::None)
}

/// Members of a packed body. Proxies make one or a few, and each costs its reader more than it does its sender.
const MEMBERS_MAX: usize = 1_000;

/// `None`: it is larger than that, or in too many members.
fn gunzip(packed: &[u8], bytes_max: usize) -> std::io::Result<Option<Vec<u8>>> {
    let (mut plain, mut rest) = (Vec::new(), packed);
    for _ in 0..MEMBERS_MAX {
        let one_more = bytes_max.saturating_add(1) - plain.len();
        let mut member = GzDecoder::new(rest);
        member.by_ref().take(one_more as u64).read_to_end(&mut plain)?;
        if plain.len() > bytes_max {
            return Ok(None);
        }
        rest = member.into_inner();
        if rest.is_empty() {
            plain.shrink_to_fit();
            return Ok(Some(plain));
        }
    }
    Ok(None)
}

fn packing(headers: &HeaderMap) -> Packing {
    Packing::of(headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes))
}
