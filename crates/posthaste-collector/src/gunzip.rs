//! Takes gzip off a body, within a bound: a small body must not become a large one unnoticed.

use std::io::Read;

use flate2::read::MultiGzDecoder;

/// Why a body could not be decompressed.
#[derive(Debug)]
pub(crate) enum GunzipError {
    /// It has more bytes than allowed once decompressed.
    TooLarge,
    /// It is not gzip, or not whole.
    Broken(std::io::Error),
}

/// The decompressed body, of at most `bytes_max` bytes.
pub(crate) fn gunzip(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, GunzipError> {
    let mut plain = Vec::new();
    // One byte more than allowed tells "exactly at the limit" from "beyond it".
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(body).take(limit).read_to_end(&mut plain).map_err(GunzipError::Broken)?;
    if plain.len() > bytes_max { Err(GunzipError::TooLarge) } else { Ok(plain) }
}
