//! Checksums that cover bytes and the place they belong to.
//!
//! Knows CRC-32C and places; knows no layout.
//!
//! The bytes go first and the place last, so the costly part is done before the place is known
//! (outside the writer lock) and only 24 more bytes are covered once it is:
//!
//! ```text
//! stored = crc32c(bytes ‖ file key u64 ‖ offset u64 ‖ extra u64)
//! ```
//!
//! # Invariants
//!
//! K1. The same bytes at another offset, in another file or another store do not validate, up to
//!     the one chance in 2^32 a checksum of this width leaves.
//! K2. `extra` keeps two checksums at one offset apart: 0 for a frame's body, [`HEADER`] for its
//!     header, the sequence for a member (which lies at no frame's offset).

use std::{hash::Hasher, sync::LazyLock};

use siphasher::sip::SipHasher24;

use crate::ids::FileId;

mod linear;

use linear::Behind;

/// `extra` of checksums over headers: of a frame, a file, a hint, a manifest.
pub(crate) const HEADER: u64 = u64::MAX;

/// The random number a store is born with; its copies share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StoreId(pub(crate) [u8; 16]);

/// What checksums of one file are bound to: SipHash-2-4 of the file id as eight little-endian
/// bytes, with the store id as its key. On disk for ever, through every checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileKey {
    number: u64,
    /// What it adds to every checksum: offset and extra are behind it.
    share: u32,
    /// The same for all files; here so that nobody asks whether they are made yet.
    shares: &'static Shares,
}

impl FileKey {
    pub(crate) fn new(store: &StoreId, file: FileId) -> FileKey {
        let mut hasher = SipHasher24::new_with_key(&store.0);
        hasher.write(&u64::from(file.0).to_le_bytes());
        let number = hasher.finish();
        // The register is told inverted, so this one begins with zero.
        let share = !crc32c::crc32c_append(u32::MAX, &place(number, 0, 0).0);
        FileKey { number, share, shares: &SHARES }
    }
}

/// The checksum of bytes whose place is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partial(u32);

impl Partial {
    /// Covers nothing.
    pub(crate) const NOTHING: Partial = Partial(0);

    /// Covers `bytes`.
    #[inline]
    pub(crate) fn of(bytes: &[u8]) -> Partial {
        Partial(crc32c::crc32c(bytes))
    }

    /// Covers `bytes` after what is covered already.
    #[inline]
    pub(crate) fn and(self, bytes: &[u8]) -> Partial {
        Partial(crc32c::crc32c_append(self.0, bytes))
    }

    /// Covers the place too: the checksum as stored.
    #[inline]
    pub(crate) fn at(self, file: FileKey, offset: u64, extra: u64) -> u32 {
        match u32::try_from(offset) {
            Ok(offset) if extra == 0 => {
                let Shares { register, offset_and_no_extra } = file.shares;
                !(register.of(!self.0) ^ file.share ^ offset_and_no_extra.of(offset))
            }
            _ => crc32c::crc32c_append(self.0, &place(file.number, offset, extra).0),
        }
    }
}

/// Made at the first use: 8 KiB that need not be in every program.
static SHARES: LazyLock<Box<Shares>> = LazyLock::new(|| {
    Box::new(Shares {
        register: Behind::new(PLACE_LEN - size_of::<u32>()),
        offset_and_no_extra: Behind::new(size_of::<u32>() + size_of::<u64>()),
    })
});

/// What goes into a checksum behind the bytes, each by itself.
#[derive(Debug, PartialEq, Eq)]
struct Shares {
    /// What the register before the place becomes behind it.
    register: Behind,
    /// What an offset of 32 bits adds, if `extra` is zero.
    offset_and_no_extra: Behind,
}

const PLACE_LEN: usize = 3 * size_of::<u64>();

/// Aligned, because the checksum takes aligned bytes eight at a time.
#[repr(align(8))]
struct Place([u8; PLACE_LEN]);

#[inline]
fn place(file: u64, offset: u64, extra: u64) -> Place {
    let mut place = Place([0; PLACE_LEN]);
    for (part, number) in place.0.chunks_exact_mut(size_of::<u64>()).zip([file, offset, extra]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    place
}

/// What the checksum of a frame's header covers of it.
pub(crate) const FRAME_HEADER_COVERED_LEN: usize = 20;

/// `Partial::of(covered).at(file, offset, HEADER)`, in one call instead of two: for so few bytes
/// a call costs more than they do.
pub(crate) fn of_frame_header(
    covered: &[u8; FRAME_HEADER_COVERED_LEN],
    file: FileKey,
    offset: u64,
) -> u32 {
    let mut bytes = [0; FRAME_HEADER_COVERED_LEN + PLACE_LEN];
    let (front, behind) = bytes.split_at_mut(FRAME_HEADER_COVERED_LEN);
    front.copy_from_slice(covered);
    behind.copy_from_slice(&place(file.number, offset, HEADER).0);
    crc32c::crc32c(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId(*b"0123456789abcdef");

    #[test]
    fn checksum_of_known_bytes_at_a_known_place_never_changes() {
        assert_eq!(Partial::of(b"123456789"), Partial(0xe306_9283), "CRC-32C check value");
        assert_eq!(FileKey::new(&STORE, FileId(1)).number, GOLDEN_KEY);
        let stored = Partial::of(b"bytes").at(FileKey::new(&STORE, FileId(1)), 128, 7);
        assert_eq!(stored, GOLDEN_STORED);
    }
    const GOLDEN_KEY: u64 = 0xc5bb_0487_86e1_a8ab;
    const GOLDEN_STORED: u32 = 0xe3e5_bdae;

    #[test]
    fn checksum_covers_store_file_offset_and_extra() {
        let other_store = StoreId(*b"0123456789abcdeg");
        let key = FileKey::new(&STORE, FileId(1));
        let here = Partial::of(b"bytes").at(key, 128, 7);
        let elsewhere = [
            Partial::of(b"bytes").at(FileKey::new(&other_store, FileId(1)), 128, 7),
            Partial::of(b"bytes").at(FileKey::new(&STORE, FileId(2)), 128, 7),
            Partial::of(b"bytes").at(key, 129, 7),
            Partial::of(b"bytes").at(key, 128, 8),
            Partial::of(b"bytez").at(key, 128, 7),
        ];
        assert!(elsewhere.iter().all(|&sum| sum != here), "{here:#x} {elsewhere:x?}");
    }

    #[test]
    fn checksum_at_a_place_is_that_of_the_bytes_and_the_place() {
        let mut rng = fastrand::Rng::with_seed(3);
        let limit = u64::from(u32::MAX);
        for offset in [0, 1, 128, limit, limit + 1, u64::MAX, rng.u64(..), rng.u64(..limit)] {
            for extra in [0, 1, HEADER, rng.u64(..)] {
                let bytes: Vec<u8> = (0..rng.usize(..200)).map(|_| rng.u8(..)).collect();
                let key = FileKey::new(&StoreId(rng.u128(..).to_le_bytes()), FileId(rng.u32(1..)));
                let all = [&bytes[..], &place(key.number, offset, extra).0].concat();
                let stored = Partial::of(&bytes).at(key, offset, extra);
                assert_eq!(stored, crc32c::crc32c(&all), "{offset} {extra}");
            }
        }
    }

    #[test]
    fn checksum_of_a_frame_header_is_the_one_made_in_two_steps() {
        let key = FileKey::new(&STORE, FileId(7));
        let covered = *b"twenty bytes, surely";
        let once = of_frame_header(&covered, key, 4_711);
        assert_eq!(once, Partial::of(&covered).at(key, 4_711, HEADER));
    }

    #[test]
    fn covering_in_parts_equals_covering_at_once() {
        assert_eq!(Partial::of(b"by").and(b"tes"), Partial::of(b"bytes"));
        assert_eq!(Partial::NOTHING.and(b"bytes"), Partial::of(b"bytes"));
    }

    #[test]
    fn zeros_do_not_validate() {
        let key = FileKey::new(&STORE, FileId(1));
        for len in [0, 1, 20, 64] {
            assert_ne!(Partial::of(&vec![0; len]).at(key, 128, 0), 0, "{len} zeros");
        }
    }
}
