//! Keys of varying width: strings and byte strings.
//!
//! Last, they are the bytes themselves. Inner, each `00` becomes `00 FF` and `00 00` ends them.
//! The terminator sorts before every continuation (`00 FF` included), so `"a" < "a\0" < "ab"`
//! holds whatever follows, and it cannot occur inside, so where a component ends is never a guess.

use super::{AsKey, Key, Position};
use crate::error::BoxError;

/// In an inner component this byte is never alone: `ESCAPED` or `END` follows.
const ESCAPE: u8 = 0x00;
/// After `ESCAPE`: a zero byte of the content.
const ESCAPED: u8 = 0xFF;
/// After `ESCAPE`: the component ends here.
const END: u8 = 0x00;

/// Appends a byte string as a component.
fn encode(content: &[u8], out: &mut Vec<u8>, at: Position) {
    if at == Position::Last {
        out.extend_from_slice(content);
        return;
    }
    out.reserve(content.len() + 2);
    for (i, part) in content.split(|&byte| byte == ESCAPE).enumerate() {
        if i > 0 {
            out.extend_from_slice(&[ESCAPE, ESCAPED]);
        }
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&[ESCAPE, END]);
}

/// Takes a byte string off the front.
fn decode(bytes: &mut &[u8], at: Position) -> Result<Vec<u8>, BoxError> {
    match at {
        Position::Last => Ok(std::mem::take(bytes).to_vec()),
        Position::Inner => decode_escaped(bytes),
    }
}

fn decode_escaped(bytes: &mut &[u8]) -> Result<Vec<u8>, BoxError> {
    let mut content = Vec::new();
    loop {
        let Some(zero_at) = bytes.iter().position(|&byte| byte == ESCAPE) else {
            return Err("key ends inside a string component: no terminator".into());
        };
        content.extend_from_slice(&bytes[..zero_at]);
        let after = bytes.get(zero_at + 1).copied();
        *bytes = bytes.get(zero_at + 2..).unwrap_or_default();
        match after {
            Some(ESCAPED) => content.push(ESCAPE),
            Some(END) => return Ok(content),
            Some(other) => {
                return Err(format!("00 {other:02x} in a key is neither escape nor end").into());
            }
            None => return Err("key ends inside an escape sequence".into()),
        }
    }
}

impl Key for Vec<u8> {
    fn type_tag(tag: &mut String) {
        tag.push_str("bytes");
    }

    fn decode_key(bytes: &mut &[u8], at: Position) -> Result<Self, BoxError> {
        decode(bytes, at)
    }
}

impl AsKey<Vec<u8>> for Vec<u8> {
    fn encode_key(&self, out: &mut Vec<u8>, at: Position) {
        encode(self, out, at);
    }
}

impl AsKey<Vec<u8>> for &[u8] {
    fn encode_key(&self, out: &mut Vec<u8>, at: Position) {
        encode(self, out, at);
    }
}

impl<const N: usize> AsKey<Vec<u8>> for &[u8; N] {
    fn encode_key(&self, out: &mut Vec<u8>, at: Position) {
        encode(*self, out, at);
    }
}

impl Key for String {
    fn type_tag(tag: &mut String) {
        tag.push_str("str");
    }

    fn decode_key(bytes: &mut &[u8], at: Position) -> Result<Self, BoxError> {
        Ok(Self::from_utf8(decode(bytes, at)?).map_err(|e| e.utf8_error())?)
    }
}

impl AsKey<String> for String {
    fn encode_key(&self, out: &mut Vec<u8>, at: Position) {
        encode(self.as_bytes(), out, at);
    }
}

impl AsKey<String> for &str {
    fn encode_key(&self, out: &mut Vec<u8>, at: Position) {
        encode(self.as_bytes(), out, at);
    }
}
