//! Bytes put together from parts, on the stack where they are short: keys of elements, mostly.

use std::fmt;
use std::ops::Deref;

/// As long as this they take no memory from the allocator.
const SHORT_LEN_MAX: usize = 64;

/// Parts, one after the other.
#[derive(Clone)]
pub(crate) enum Joined {
    Short { len: usize, bytes: [u8; SHORT_LEN_MAX] },
    Long(Vec<u8>),
}

impl Joined {
    #[inline]
    pub(crate) fn new<const N: usize>(parts: [&[u8]; N]) -> Self {
        let len = parts.iter().map(|part| part.len()).sum();
        if len > SHORT_LEN_MAX {
            return Joined::Long(parts.concat());
        }
        let (mut bytes, mut at) = ([0; SHORT_LEN_MAX], 0);
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Joined::Short { len, bytes }
    }
}

impl Deref for Joined {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Joined::Short { len, bytes } => &bytes[..*len],
            Joined::Long(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Joined").field(&&**self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_whatever_their_length() {
        let long = [b'x'; 70];
        for (parts, whole) in [
            ([&b""[..], b"", b""], Vec::new()),
            ([b"ab", b"", b"c"], b"abc".to_vec()),
            ([&long[..60], b"yyyy", b""], [&long[..60], b"yyyy"].concat()),
            ([&long, b"y", &long], [&long[..], b"y", &long].concat()),
        ] {
            assert_eq!(&*Joined::new(parts), &whole[..]);
        }
    }
}
