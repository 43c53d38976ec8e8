//! Reading one value piece by piece.
//!
//! Knows blocks and a position. Does not know where the value lies.

use crate::{
    engine::{BlobFile, OpenValue},
    error::Error,
    log::blob::BLOCK_LEN,
    value::Value,
};
use std::{
    fmt,
    io::{self, BufRead, Cursor, Read, Seek, SeekFrom},
};

/// One value, to be read from anywhere in it; see [`Keyspace::reader`](crate::Keyspace::reader).
///
/// Keeps the file that the value is in until it is dropped, also when the value has been replaced
/// or the store closed. Errors of the store come as [`io::Error`]s that hold the
/// [`Error`](crate::Error):
///
/// ```
/// fn is_damage(e: &std::io::Error) -> bool {
///     let inner = e.get_ref().and_then(|e| e.downcast_ref::<kvcore::Error>());
///     matches!(inner, Some(kvcore::Error::Corrupt { .. }))
/// }
/// # assert!(!is_damage(&std::io::Error::other("another")));
/// ```
pub struct ValueReader(Source);

enum Source {
    InLog(Cursor<Value>),
    Blob(BlobCursor),
}

/// A position in a blob, and the block it was last in.
struct BlobCursor {
    blob: BlobFile,
    position: u64,
    block: Vec<u8>,
    /// The number of the block that `block` holds, checked.
    held: Option<u64>,
}

impl ValueReader {
    pub(crate) fn new(open: OpenValue) -> ValueReader {
        ValueReader(match open {
            OpenValue::InLog(value) => Source::InLog(Cursor::new(value)),
            OpenValue::Blob(blob) => {
                Source::Blob(BlobCursor { blob, position: 0, block: Vec::new(), held: None })
            }
        })
    }

    /// The value's length in bytes.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let films: kvcore::BytesKeyspace = store.keyspace("films")?;
    ///
    /// films.put(b"night", &[7; 1_000])?;
    /// let reader = films.reader(b"night")?.expect("it was put");
    /// assert_eq!(reader.len(), 1_000);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.0 {
            Source::InLog(value) => value.get_ref().len() as u64,
            Source::Blob(blob) => blob.blob.len_bytes(),
        }
    }

    /// The value has no bytes.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let films: kvcore::BytesKeyspace = store.keyspace("films")?;
    ///
    /// films.put(b"nothing", b"")?;
    /// assert!(films.reader(b"nothing")?.is_some_and(|reader| reader.is_empty()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for ValueReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueReader").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl BlobCursor {
    /// What is left of the block at the position; empty at the end.
    fn rest(&mut self) -> io::Result<&[u8]> {
        let block_len = BLOCK_LEN as u64;
        let number = self.position / block_len;
        if self.held != Some(number) {
            self.load(number).map_err(io_error)?;
        }
        let within = usize::try_from(self.position % block_len).unwrap_or(BLOCK_LEN);
        Ok(self.block.get(within..).unwrap_or_default())
    }

    fn load(&mut self, number: u64) -> Result<(), Error> {
        self.held = None;
        self.block.resize(self.blob.block_len(number), 0);
        if !self.block.is_empty() {
            self.blob.read_block(number, &mut self.block)?;
        }
        self.held = Some(number);
        Ok(())
    }
}

impl BufRead for ValueReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &mut self.0 {
            Source::InLog(value) => value.fill_buf(),
            Source::Blob(blob) => blob.rest(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match &mut self.0 {
            Source::InLog(value) => value.consume(amount),
            Source::Blob(blob) => blob.position = blob.position.saturating_add(amount as u64),
        }
    }
}

impl Read for ValueReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let len = available.len().min(out.len());
        out[..len].copy_from_slice(&available[..len]);
        self.consume(len);
        Ok(len)
    }
}

/// Positions behind the end are allowed, and nothing is read there.
impl Seek for ValueReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let blob = match &mut self.0 {
            Source::InLog(value) => return value.seek(to),
            Source::Blob(blob) => blob,
        };
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => blob.position.checked_add_signed(by),
            SeekFrom::End(by) => blob.blob.len_bytes().checked_add_signed(by),
        };
        blob.position = position.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a position before the value's first byte")
        })?;
        Ok(blob.position)
    }
}

/// The store's error as one of [`io`], of the same kind where it came from there.
fn io_error(e: Error) -> io::Error {
    let kind = match &e {
        Error::Io { source, .. } => source.kind(),
        Error::Corrupt { .. } => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, e)
}
