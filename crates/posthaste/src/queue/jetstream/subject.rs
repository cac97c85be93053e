//! Which subjects a stream has: one a tenant, so that nobody waits behind anybody else's events.
//!
//! ```text
//! <stream>.<tenant>          what is to be delivered      <stream>-dead.<tenant>     what will not be
//! ```
//!
//! Invariant: different tenants have different subjects. A byte that may not stand in a subject, and the escape itself,
//! is written as `=` and two hexadecimal digits; no name at all is `=`.

use std::fmt::Write as _;

use super::error::JetStreamError;

/// Bytes that a tenant's part of a subject may take.
const TOKEN_BYTES_MAX: usize = 180;

/// A tenant's part of a subject; it is the name of its consumer too.
pub(super) fn token(tenant: &str) -> Result<String, JetStreamError> {
    let mut token = String::with_capacity(tenant.len());
    for byte in tenant.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            token.push(char::from(byte));
        } else {
            write!(token, "={byte:02X}").expect("a text takes everything");
        }
    }
    if token.is_empty() {
        token.push('=');
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(JetStreamError::TenantTooLong(token.len()));
    }
    Ok(token)
}

/// The tenant of a token; `None` where no tenant has it.
pub(super) fn tenant(token: &str) -> Option<String> {
    if token == "=" {
        return Some(String::new());
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(token.len()), token.bytes());
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
            let (high, low) = digit().zip(digit())?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn dead(stream: &str) -> String {
    format!("{stream}-dead")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_name_stays_as_it_is_and_others_are_written_so_that_a_subject_can_hold_them() {
        for (name, expected) in [
            ("shop-1_eu", "shop-1_eu"),
            ("", "="),
            ("a.b", "a=2Eb"),
            ("=", "=3D"),
            (">", "=3E"),
            ("ä", "=C3=A4"),
        ] {
            assert_eq!(token(name).unwrap(), expected);
        }
        assert_eq!(token(&".".repeat(61)), Err(JetStreamError::TenantTooLong(183)));
    }

    proptest! {
        #[test]
        fn every_tenant_is_read_back_from_its_token(name in "\\PC{0,40}") {
            if let Ok(token) = token(&name) {
                prop_assert_eq!(tenant(&token), Some(name));
                prop_assert!(!token.contains(['.', '*', '>', ' ', '/']));
            }
        }
    }
}
