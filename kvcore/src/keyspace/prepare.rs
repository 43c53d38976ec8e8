//! Values that are written before it is decided what becomes of them.
//!
//! Knows encoded values and blobs. Does not know keys: those come with the batch.

use super::{Keyspace, check_key};
use crate::{
    batch::Batch,
    codec::Codec,
    engine::{Engine, NewBlob, Scratch},
    error::{Error, Result},
    ids::KeyspaceId,
    key::{AsKey, Key, Position},
    log::Record,
    options::Put,
    store::Store,
};
use std::{fmt, sync::Arc};

/// A value of a keyspace that is encoded and, if it is large, on disk, but no key's value yet.
///
/// For threads that must not wait for the disk: another one [prepares](Keyspace::prepare) the
/// value, which for a large one means to write and sync a file, and a batch takes it with
/// [`Batch::put_prepared`], which costs no more than a small put. One that is dropped instead
/// leaves nothing, nor does a crash.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// let films: kvcore::BytesKeyspace = store.keyspace("films")?;
/// let film = films.prepare(&[7; 100])?; // in another thread, say
/// let mut batch = store.batch();
/// batch.put_prepared(&films, b"night", film, kvcore::Put::default())?;
/// batch.commit()?;
/// assert_eq!(films.get(b"night")?.map(|film| film.len()), Some(100));
/// # Ok(())
/// # }
/// ```
#[must_use = "a prepared value is removed when it is dropped"]
pub struct PreparedValue {
    engine: Arc<Engine>,
    keyspace: KeyspaceId,
    content: Content,
}

enum Content {
    /// As encoded.
    Small(Vec<u8>),
    Blob(NewBlob),
    /// A batch has it.
    Taken,
}

impl fmt::Debug for PreparedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len_bytes = match &self.content {
            Content::Small(bytes) => bytes.len() as u64,
            Content::Blob(blob) => blob.len_bytes,
            Content::Taken => 0,
        };
        f.debug_struct("PreparedValue").field("len_bytes", &len_bytes).finish_non_exhaustive()
    }
}

impl Drop for PreparedValue {
    fn drop(&mut self) {
        if let Content::Blob(blob) = &self.content {
            self.engine.discard_blob(blob.id);
        }
    }
}

impl Store {
    /// Values longer than this, encoded, get a file of their own, which is synced before they are
    /// committed, whatever the durability: a quarter of
    /// [`Options::data_file_bytes_max`](crate::Options::data_file_bytes_max).
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// let store = kvcore::Options::new().data_file_bytes_max(4 << 20).in_memory().open("/db")?;
    /// assert_eq!(store.large_value_bytes(), 1 << 20);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn large_value_bytes(&self) -> u64 {
        self.engine().blob_threshold()
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// Encodes a value, and writes it to disk if it is large, so that a batch can put it without
    /// waiting for that; see [`PreparedValue`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// let store = kvcore::Options::new().data_file_bytes_max(64 << 10).in_memory().open("/db")?;
    /// let films: kvcore::BytesKeyspace = store.keyspace("films")?;
    /// drop(films.prepare(&[7; 40_000])?);
    /// assert_eq!(store.stats().blobs, 0); // nothing is left of it
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`]; nothing is left.
    pub fn prepare(&self, value: &V) -> Result<PreparedValue> {
        let engine = &self.inner.store.0.engine;
        engine.check_writable()?;
        engine.check_open()?;
        let mut bytes = Vec::new();
        self.encode_value(value, &mut bytes)?;
        let content = if bytes.len() as u64 > engine.blob_threshold() {
            Content::Blob(engine.write_blob(&bytes)?)
        } else {
            Content::Small(bytes)
        };
        Ok(PreparedValue { engine: Arc::clone(engine), keyspace: self.inner.core.id(), content })
    }
}

impl Batch {
    /// Adds a put of a value that was [prepared](Keyspace::prepare) for this keyspace. A
    /// durability in `put` counts for nothing here.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let value = users.prepare(&36)?;
    /// let mut batch = store.batch();
    /// batch.put_prepared(&users, "ada", value, kvcore::Put::default())?;
    /// batch.commit()?;
    /// assert_eq!(users.get("ada")?, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Batch::put`], and [`Error::ForeignKeyspace`] for a value that was prepared for another
    /// keyspace; the value is gone then, the batch as before.
    pub fn put_prepared<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        mut value: PreparedValue,
        put: impl Into<Put>,
    ) -> Result<()> {
        keyspace.check_store(self.store())?;
        let engine = &keyspace.inner.store.0.engine;
        if value.keyspace != keyspace.inner.core.id() || !Arc::ptr_eq(&value.engine, engine) {
            return Err(Error::ForeignKeyspace { keyspace: keyspace.name().to_owned() });
        }
        let put = put.into();
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            check_key(&s.key)?;
            let expires_at_ms = put.expires_at_ms(|| engine.clock.now_ms());
            let record = match &value.content {
                Content::Blob(blob) => Record::BlobRef {
                    keyspace: value.keyspace,
                    key: &s.key,
                    blob: blob.id,
                    len_bytes: blob.len_bytes,
                    checksum: blob.checksum,
                    expires_at_ms,
                },
                Content::Small(bytes) => {
                    keyspace.inner.put_record(&s.key, bytes, &mut s.packed, expires_at_ms)?
                }
                Content::Taken => unreachable!("only this call takes it, with the value itself"),
            };
            self.push(keyspace.index(), &record)
        })?;
        // The batch sees to the blob from here on.
        value.content = Content::Taken;
        Ok(())
    }
}
