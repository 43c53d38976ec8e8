//! Blobs: their bytes come back, and damage to any of them is noticed.

use proptest::prelude::*;

use super::*;
use crate::log::record::tests::hex;

const STORE: StoreId = StoreId(*b"0123456789abcdef");
const FILE: FileId = FileId(3);

fn value(len: usize) -> Vec<u8> {
    (0..len).map(|n| n.wrapping_mul(97).to_le_bytes()[0]).collect()
}

fn written(value: &[u8]) -> (Vec<u8>, BlobEnd) {
    let mut writer = BlobWriter::new(&STORE, FILE);
    writer.push(value);
    let end = writer.finish();
    ([&header(&STORE, FILE), value, &end.checksums].concat(), end)
}

/// The value in the bytes of a blob file, every block checked.
fn open<'a>(
    bytes: &'a [u8],
    store: &StoreId,
    file: FileId,
    len_bytes: u64,
    checksum: u32,
) -> Result<&'a [u8], FormatError> {
    let cut_off = FormatError::Damaged { what: "blob is cut off" };
    let part = |start: u64, len: u64| {
        let (start, len) = (usize::try_from(start).ok()?, usize::try_from(len).ok()?);
        bytes.get(start..start.checked_add(len)?)
    };
    let header = bytes.first_chunk().ok_or(cut_off)?;
    let (at, len) = checksums_at(len_bytes).ok_or(cut_off)?;
    let checksums = part(at, len).ok_or(cut_off)?.to_vec();
    let value = part(block_at(0), len_bytes).ok_or(cut_off)?;
    let sums = BlobSums::verify(header, checksums, (store, file), len_bytes, checksum)?;
    for (number, block) in (0..).zip(value.chunks(BLOCK_LEN)) {
        assert_eq!(sums.block_len(number), block.len());
        sums.check(number, block)?;
    }
    Ok(value)
}

fn read<'a>(bytes: &'a [u8], end: &BlobEnd) -> Result<&'a [u8], FormatError> {
    open(bytes, &STORE, FILE, end.len_bytes, end.checksum)
}

proptest! {
    #[test]
    fn g2_a_value_in_pieces_has_the_checksums_of_the_whole(
        pieces in prop::collection::vec(0_usize..100_000, 0..5),
    ) {
        let value = value(pieces.iter().sum());
        let mut writer = BlobWriter::new(&STORE, FILE);
        let mut rest = value.as_slice();
        for piece in pieces {
            let (now, later) = rest.split_at(piece);
            writer.push(now);
            rest = later;
        }
        let (bytes, end) = written(&value);
        prop_assert_eq!(writer.finish(), end.clone());
        prop_assert_eq!(read(&bytes, &end), Ok(value.as_slice()));
    }
}

#[test]
fn values_around_a_block_round_trip() {
    for len in [0, 1, BLOCK_LEN - 1, BLOCK_LEN, BLOCK_LEN + 1, 3 * BLOCK_LEN] {
        let value = value(len);
        let (bytes, end) = written(&value);
        assert_eq!(end.checksums.len(), len.div_ceil(BLOCK_LEN) * CRC_LEN, "{len}");
        assert_eq!(read(&bytes, &end), Ok(value.as_slice()), "{len}");
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_blob_is_noticed() {
    let (bytes, end) = written(&value(100));
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&damaged, &end).is_err(), "bit {bit}");
    }
    for cut in 0..bytes.len() {
        assert!(read(&bytes[..cut], &end).is_err(), "cut {cut}");
    }
}

#[test]
fn g1_a_blob_other_than_the_record_says_is_refused() {
    let (bytes, end) = written(&value(100));
    let others = [(end.len_bytes - 1, end.checksum), (end.len_bytes, end.checksum ^ 1)];
    for (len_bytes, checksum) in others.into_iter().chain([(u64::MAX, end.checksum)]) {
        let found = open(&bytes, &STORE, FILE, len_bytes, checksum);
        assert!(found.is_err(), "{len_bytes} {checksum}");
    }
    let other = StoreId([7; 16]);
    let found = open(&bytes, &other, FILE, end.len_bytes, end.checksum);
    assert_eq!(found, Err(FormatError::WrongStore { found: STORE, wanted: other }));
    let found = open(&bytes, &STORE, FileId(4), end.len_bytes, end.checksum);
    assert_eq!(found, Err(FormatError::WrongFile { found: FILE, wanted: FileId(4) }));
}

#[test]
fn blocks_of_a_value_beyond_4_gib_have_their_places() {
    let len_bytes = 5_000_000_000;
    assert_eq!(checksums_at(len_bytes), Some((5_000_000_064, 305_176)));
    let checksums = vec![0; 305_176];
    let key = FileKey::new(&STORE, FILE);
    let checksum = Partial::of(&checksums).at(key, len_bytes, BLOCKS);
    let place = (&STORE, FILE);
    let sums = BlobSums::verify(&header(&STORE, FILE), checksums, place, len_bytes, checksum);
    let sums = sums.unwrap();
    let lens = [0, 76_292, 76_293, 76_294, u64::MAX].map(|number| sums.block_len(number));
    assert_eq!(lens, [BLOCK_LEN, BLOCK_LEN, 61_952, 0, 0]);
    assert_eq!(block_at(76_293), 64 + 76_293 * 65_536);
    assert_eq!(checksums_at(u64::MAX - 100), None);
}

#[test]
fn golden_bytes_of_a_blob_never_change() {
    let (bytes, end) = written(b"value");
    assert_eq!((hex(&bytes).as_str(), end.checksum), (GOLDEN, GOLDEN_CHECKSUM));
}
const GOLDEN_CHECKSUM: u32 = 0xf4ea_8833;
const GOLDEN: &str = concat!(
    "896b76626c6f620a0100000000000000000000000000000030313233343536373839616263646566",
    "03000000000000000000000000000000000000007dab7e8176616c7565fcee4e32",
);
