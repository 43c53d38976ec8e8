//! Values in pieces: written from a reader, read through one.

use super::{Keyspace, check_key};
use crate::{
    codec::Raw,
    engine::{NewBlob, When},
    error::{Error, Result},
    ids::Sequence,
    key::{AsKey, Key, Position},
    log::{BatchEncoder, Record},
    options::Put,
    value_reader::ValueReader,
};
use std::io::Read;

/// What is gathered before a value from a reader gets a file of its own, in bytes.
const GATHERED_BYTES_MAX: u64 = 1 << 20;

impl<K: Key> Keyspace<K, [u8], Raw> {
    /// Sets a key's value to all that `source` has, of any length, in constant memory.
    ///
    /// More than 1 MiB (or a quarter of a data file, if that is less) goes into a file of its own,
    /// which merge never copies; less is an ordinary value. Memory: up to 1.5 MiB, and 4 bytes for
    /// each 64 KiB of the value.
    ///
    /// The source runs under no lock: others write meanwhile, and it may use the store itself. The
    /// value appears as a whole when the source has ended and everything is on disk. After an
    /// error or a panic of the source, or a crash, nothing of it is there.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// use std::io::{Read, Seek, SeekFrom};
    /// let films: kvcore::BytesKeyspace = store.keyspace("films")?;
    /// let film = std::io::repeat(7).take(3 << 20); // a file, a socket, ...
    /// films.put_reader(b"night", film)?;
    /// let mut reader = films.reader(b"night")?.expect("it was put");
    /// assert_eq!(reader.len(), 3 << 20);
    /// reader.seek(SeekFrom::End(-2)).expect("inside the value");
    /// let mut end = Vec::new();
    /// reader.read_to_end(&mut end).expect("readable");
    /// assert_eq!(end, [7, 7]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Source`] if the source fails, else as [`Keyspace::put`]. Nothing is applied.
    pub fn put_reader(&self, key: impl AsKey<K>, source: impl Read) -> Result<Sequence> {
        self.put_reader_with(key, source, Put::default())
    }

    /// The same with an expiry, which counts from the end of the source, or a durability of its
    /// own.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// use std::time::Duration;
    /// let films: kvcore::BytesKeyspace = store.keyspace("films")?;
    /// let day = kvcore::Put::expires_in(Duration::from_secs(86_400));
    /// films.put_reader_with(b"rushes", &b"short"[..], day)?;
    /// assert!(films.expires_at(b"rushes")?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put_reader`].
    pub fn put_reader_with(
        &self,
        key: impl AsKey<K>,
        mut source: impl Read,
        put: impl Into<Put>,
    ) -> Result<Sequence> {
        let put = put.into();
        let when = When::Now(self.engine().durability(put.durability));
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        check_key(&bytes)?;
        self.engine().check_open()?;
        let gathered_max = self.engine().blob_threshold().min(GATHERED_BYTES_MAX);
        let mut head = Vec::new();
        let gathered = source.by_ref().take(gathered_max + 1).read_to_end(&mut head);
        gathered.map_err(|source| Error::Source { source })?;
        if head.len() as u64 <= gathered_max {
            return self.put_when(key, &head, &put, when);
        }
        let blob = self.engine().write_blob_from(&head, &mut source)?;
        drop(head);
        let sequence = self.refer_to(&bytes, blob, &put, when).inspect_err(|_| {
            self.engine().discard_blob(blob.id);
        })?;
        self.engine().acknowledge(sequence, when)?;
        Ok(sequence)
    }

    /// Appends and applies the record that refers to a durable blob.
    fn refer_to(&self, key: &[u8], blob: NewBlob, put: &Put, when: When) -> Result<Sequence> {
        let mut batch = BatchEncoder::new();
        let record = Record::BlobRef {
            keyspace: self.index().id,
            key,
            blob: blob.id,
            len_bytes: blob.len_bytes,
            checksum: blob.checksum,
            expires_at_ms: put.expires_at_ms(|| self.engine().clock.now_ms()),
        };
        batch.push(&record);
        let hash = self.index().hash(key);
        self.engine().write_paced(when)?.commit_put(self.index(), (&record, &batch), hash, when)
    }

    /// A key's value to be read piece by piece, from anywhere in it; `None` if it is absent or has
    /// expired.
    ///
    /// What is read is the value of this moment, whatever is written meanwhile; a value in a file
    /// of its own keeps that file until the reader is dropped. Of such a value only the blocks
    /// (64 KiB) that are touched are read, and each is checked before a byte of it is handed out.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// use std::io::BufRead;
    /// let notes: kvcore::BytesKeyspace = store.keyspace("notes")?;
    /// notes.put(b"list", b"bread\nsalt\n")?;
    /// let reader = notes.reader(b"list")?.expect("it was put");
    /// let lines: Result<Vec<String>, _> = reader.lines().collect();
    /// assert_eq!(lines.expect("text"), ["bread", "salt"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::get_bytes`]. Damage found later is an [`std::io::Error`] that holds the
    /// [`Error::Corrupt`].
    pub fn reader(&self, key: impl AsKey<K>) -> Result<Option<ValueReader>> {
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        let open = self.engine().open_value(self.index(), &bytes)?;
        Ok(open.map(ValueReader::new))
    }
}
