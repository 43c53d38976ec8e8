//! Passwords: kept, compared and shown as their SHA-256.
//!
//! Pure: bytes in, bytes out. Does not know whose they are.

use std::fmt::Write;

use sha2::{Digest as _, Sha256};

use super::RuleError;

/// SHA-256 of a password.
pub(super) type Digest = [u8; 32];

pub(super) fn digest_of(password: &[u8]) -> Digest {
    Sha256::digest(password).into()
}

/// Looks at every byte, whatever the first ones are.
pub(super) fn equal(a: &Digest, b: &Digest) -> bool {
    let differing = a.iter().zip(b).fold(0, |seen, (a, b)| std::hint::black_box(seen | (a ^ b)));
    differing == 0
}

/// Hexadecimal digits, two a byte, in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written to it");
        text
    })
}

/// What [`hex`] has written of a digest.
pub(super) fn parse_digest(digits: &[u8]) -> Result<Digest, RuleError> {
    let mut digest = Digest::default();
    if digits.len() != 2 * digest.len() {
        return Err(RuleError::BadHash);
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(digest)
}

fn nibble(digit: u8) -> Result<u8, RuleError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(RuleError::BadHash),
    }
}
