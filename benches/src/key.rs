//! Keys of several shapes, each a function of an index.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::{Result, data::mix};

/// Room for the longest key of any shape.
pub const KEY_BYTES_MAX: usize = 79;

/// Slots per user of [`Shape::Posts`]: the profile, then posts, oldest first.
pub const POST_SLOTS: u32 = 64;

/// A key, held in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyBytes {
    len: u8,
    bytes: [u8; KEY_BYTES_MAX],
}

impl Default for KeyBytes {
    fn default() -> KeyBytes {
        KeyBytes { len: 0, bytes: [0; KEY_BYTES_MAX] }
    }
}

impl KeyBytes {
    fn push(&mut self, bytes: &[u8]) {
        let len = usize::from(self.len);
        self.bytes[len..len + bytes.len()].copy_from_slice(bytes);
        self.len += u8::try_from(bytes.len()).expect("shapes fit into KEY_BYTES_MAX");
    }
}

impl Deref for KeyBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A key of at most 24 bytes as it lies in a table, padded. Keys of one shape stay different.
pub type InlineKey = [u8; 24];

/// Pads a key.
pub fn inline(key: &[u8]) -> Result<InlineKey> {
    let mut inline = InlineKey::default();
    let room = inline.get_mut(..key.len()).ok_or("only keys of at most 24 bytes")?;
    room.copy_from_slice(key);
    Ok(inline)
}

/// What keys look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// 24 random bytes.
    Random24,
    /// 16 random bytes, as a UUID.
    Uuid,
    /// The index, big-endian: loading is in key order.
    Sequential,
    /// A random `u64`.
    RandomU64,
    /// A URL of 60 to 70 characters; many share most of their front.
    Url,
    /// A tuple of two numbers: 1,000 groups, members in order.
    Pair,
    /// A user's profile or one of the user's posts, the newest first.
    Posts,
}

impl Shape {
    /// The key with this index.
    pub fn key(self, seed: u64, index: u32) -> KeyBytes {
        let mut key = KeyBytes::default();
        let word = mix(seed ^ u64::from(index));
        match self {
            Shape::Random24 => {
                key.push(&word.to_le_bytes());
                key.push(&mix(word).to_le_bytes());
                key.push(&mix(mix(word)).to_le_bytes());
            }
            Shape::Uuid => {
                key.push(&word.to_le_bytes());
                key.push(&mix(word).to_le_bytes());
            }
            Shape::Sequential => key.push(&u64::from(index).to_be_bytes()),
            Shape::RandomU64 => key.push(&word.to_be_bytes()),
            Shape::Url => {
                let (site, page) = (word % 100, word >> 32);
                key.push(b"https://www.example-");
                key.push(format!("{site:02}.org/articles/").as_bytes());
                key.push(format!("{}/{page:08x}-{index:08}.html", 2000 + site % 25).as_bytes());
            }
            Shape::Pair => {
                key.push(&(word % 1_000).to_be_bytes());
                key.push(&u64::from(index).to_be_bytes());
            }
            Shape::Posts => {
                let (user, slot) = (index / POST_SLOTS, index % POST_SLOTS);
                key.push(&mix(seed ^ u64::from(user)).to_be_bytes());
                key.push(&[u8::from(slot > 0)]);
                key.push(&(u32::MAX - slot).to_be_bytes());
            }
        }
        key
    }

    /// Bytes per key, of a key that stands for all.
    pub fn key_bytes(self) -> usize {
        self.key(0, 0).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Shape; 7] = [
        Shape::Random24,
        Shape::Uuid,
        Shape::Sequential,
        Shape::RandomU64,
        Shape::Url,
        Shape::Pair,
        Shape::Posts,
    ];

    #[test]
    fn keys_of_every_shape_differ_and_fit() {
        for shape in ALL {
            let keys: std::collections::BTreeSet<Vec<u8>> =
                (0..10_000).chain([u32::MAX]).map(|index| shape.key(3, index).to_vec()).collect();
            assert_eq!(keys.len(), 10_001, "{shape:?}");
        }
        assert_eq!(Shape::Random24.key_bytes(), 24);
        assert_eq!(Shape::Uuid.key_bytes(), 16);
    }

    #[test]
    fn newer_posts_stand_before_older_ones_and_behind_the_profile() {
        let [profile, old, new] = [0, 1, 2].map(|slot| Shape::Posts.key(3, slot).to_vec());
        assert!(profile < new && new < old);
    }
}
