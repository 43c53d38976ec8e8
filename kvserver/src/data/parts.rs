//! What a key holds, read by parts: of a value in a file of its own only the blocks that are asked
//! for are read and checked.
//!
//! Knows positions in a payload. Does not know what the bytes mean.

use std::borrow::Cow;
use std::io::{self, BufRead, Seek, SeekFrom};
use std::ops::{ControlFlow, Range};

use kvcore::ValueReader;

use super::pending::{Latest, What};
use super::{Db, StoreError, Type};

type Result<T> = std::result::Result<T, StoreError>;

/// The type tag before a payload.
const TAG_LEN: u64 = 1;

/// The payload of a key, without its type tag.
#[derive(Debug)]
pub(crate) enum Parts<'a> {
    /// All of it is at hand.
    Whole(&'a [u8]),
    /// It is read block by block.
    Blocks(Box<ValueReader>),
}

impl Parts<'_> {
    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Parts::Whole(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Parts::Blocks(reader) => reader.len().saturating_sub(TAG_LEN),
        }
    }

    /// The bytes of a range, cut off at the end.
    pub(crate) fn read(&mut self, range: Range<u64>) -> Result<Cow<'_, [u8]>> {
        if let Parts::Whole(bytes) = self {
            return Ok(Cow::Borrowed(cut(bytes, &range)));
        }
        let mut bytes = Vec::new();
        self.each(range, |_, piece| {
            bytes.extend_from_slice(piece);
            ControlFlow::<()>::Continue(())
        })?;
        Ok(Cow::Owned(bytes))
    }

    /// Calls `f` with the pieces of a range in order, each with its position, until one is enough.
    pub(crate) fn each<R>(
        &mut self,
        range: Range<u64>,
        mut f: impl FnMut(u64, &[u8]) -> ControlFlow<R>,
    ) -> Result<Option<R>> {
        let end = range.end.min(self.len());
        let mut at = range.start;
        match self {
            Parts::Whole(bytes) if at < end => Ok(f(at, cut(bytes, &range)).break_value()),
            Parts::Whole(_) => Ok(None),
            Parts::Blocks(reader) => {
                reader.seek(SeekFrom::Start(at.saturating_add(TAG_LEN))).map_err(unwrapped)?;
                while at < end {
                    let piece = reader.fill_buf().map_err(unwrapped)?;
                    let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(piece.len());
                    if len == 0 {
                        break;
                    }
                    if let ControlFlow::Break(found) = f(at, &piece[..len]) {
                        return Ok(Some(found));
                    }
                    reader.consume(len);
                    at += u64::try_from(len).unwrap_or(u64::MAX);
                }
                Ok(None)
            }
        }
    }
}

/// The part of `bytes` that a range means.
fn cut<'b>(bytes: &'b [u8], range: &Range<u64>) -> &'b [u8] {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(place(range.start)..place(range.end)).unwrap_or_default()
}

/// The store's error, which a reader has to wrap.
fn unwrapped(error: io::Error) -> StoreError {
    match error.downcast::<kvcore::Error>() {
        Ok(error) => error.into(),
        Err(error) => StoreError::Read(error),
    }
}

impl Db<'_> {
    /// Hands what `key` holds to `f`, its type and its payload, of which only what is asked for is
    /// read if it is large. `None` if there is no key.
    pub(crate) fn read_parts<R>(
        &mut self,
        key: &[u8],
        f: impl FnOnce(Type, Parts<'_>) -> R,
    ) -> Result<Option<R>> {
        if self.is_stored_as_is(key)
            && let Some(reader) = self.data.engine.open_large(self.place.home, key)?
        {
            if !self.data.is_quiet && self.data.engine.remembers_uses() {
                self.data.engine.use_key(self.place.home, key)?;
            }
            self.data.lookups.hits += 1;
            // Collections are short.
            return Ok(Some(f(Type::String, Parts::Blocks(Box::new(reader)))));
        }
        self.read_with(key, |kind, payload| f(kind, Parts::Whole(payload)))
    }

    /// True if no change that is pending replaces what the store has of `key`.
    fn is_stored_as_is(&mut self, key: &[u8]) -> bool {
        match self.data.pending.latest(self.place.home, key) {
            None => true,
            Some(Latest::Changed(What::Expire(at))) => !self.is_past(at),
            Some(Latest::Changed(What::Put { .. } | What::Delete) | Latest::Cleared) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use kvcore::{BytesKeyspace, Options, Store};

    use super::*;

    fn store() -> Store {
        Options::new().data_file_bytes_max(64 << 10).in_memory().open("/store").unwrap()
    }

    #[test]
    fn parts_are_the_same_whole_and_by_blocks() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let keyspace: BytesKeyspace = store().keyspace("values").unwrap();
        let bytes: Vec<u8> = (0..200_000).map(|_| rng.u8(..)).collect();
        keyspace.put(b"k", &[&[0][..], &bytes].concat()).unwrap();
        for _ in 0..300 {
            let reader = Box::new(keyspace.reader(b"k").unwrap().unwrap());
            let (mut whole, mut blocks) = (Parts::Whole(&bytes), Parts::Blocks(reader));
            assert_eq!(whole.len(), blocks.len());
            let range = rng.u64(..250_000)..rng.u64(..250_000);
            let part = blocks.read(range.clone()).unwrap();
            assert_eq!(whole.read(range.clone()).unwrap(), part, "{range:?}");
            let enough = rng.u64(..250_000);
            let mut seen = Vec::new();
            let last = blocks.each(range.clone(), |at, piece| {
                assert_eq!(at, range.start + u64::try_from(seen.len()).unwrap());
                seen.extend_from_slice(piece);
                if at > enough { ControlFlow::Break(at) } else { ControlFlow::Continue(()) }
            });
            assert!(cut(&bytes, &range).starts_with(&seen), "{range:?}");
            assert!(last.unwrap().is_some() || seen == cut(&bytes, &range), "{range:?}");
        }
    }

    #[test]
    fn parts_beyond_the_end_are_empty() {
        for (start, end) in [(3, 9), (9, 12), (u64::MAX - 1, u64::MAX), (2, 1), (u64::MAX, 0)] {
            assert_eq!(&*Parts::Whole(b"abc").read(start..end).unwrap(), b"", "{start}..{end}");
        }
        assert_eq!(&*Parts::Whole(b"abc").read(1..7).unwrap(), b"bc");
    }
}
