//! Writing single keys, and how a value becomes a record.

use super::{Inner, Keyspace, check_key};
use crate::{
    codec::Codec,
    engine::{Scratch, When},
    error::{Error, Result},
    ids::Sequence,
    index::Index,
    key::{AsKey, Key, Position},
    log::{BatchEncoder, COMPRESSED, Form, Record, compression},
    options::{Put, VALUE_BYTES_MAX},
    value::ValueRef,
};
use std::sync::{Arc, atomic::Ordering};

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// Sets a key's value; an expiry it had is gone. Returns the commit's sequence.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let first = users.put("ada", &36)?;
    /// let second = users.put("ada", &37)?; // replaces it
    /// assert!(first < second);
    /// assert_eq!(users.get("ada")?, Some(37));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::KeyTooLong`], [`Error::ValueTooLong`], [`Error::Encode`], [`Error::Io`],
    /// [`Error::Nested`], [`Error::Closed`], [`Error::Poisoned`]. Nothing is applied, except that
    /// after a failed sync (`Poisoned`) it is unknown whether the value survives.
    pub fn put(&self, key: impl AsKey<K>, value: &V) -> Result<Sequence> {
        self.put_with(key, value, Put::default())
    }

    /// The same with an expiry or a durability of its own.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::{Durability, Put};
    /// use std::time::Duration;
    /// users.put_with("ada", &36, Put::expires_in(Duration::from_secs(60)))?;
    /// assert!(users.expires_at("ada")?.is_some());
    /// users.put_with("ada", &37, Durability::Immediate)?;
    /// assert_eq!(users.expires_at("ada")?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn put_with(&self, key: impl AsKey<K>, value: &V, put: impl Into<Put>) -> Result<Sequence> {
        let put = put.into();
        let when = When::Now(self.engine().durability(put.durability));
        self.put_when(key, value, &put, when)
    }

    pub(crate) fn put_when(
        &self,
        key: impl AsKey<K>,
        value: &V,
        put: &Put,
        when: When,
    ) -> Result<Sequence> {
        let engine = self.engine();
        let sequence = self.with_put_record(key, value, put, |index, record, batch| {
            let hash = index.hash(record.key().unwrap_or_default());
            // Arrives while the record is encoded and checksummed.
            index.fetch_bucket(hash);
            batch.push(record);
            engine.write_paced(when)?.commit_put(index, (record, batch), hash, when)
        })?;
        engine.acknowledge(sequence, when)?;
        Ok(sequence)
    }

    /// Encodes a put, writing its blob first if it needs one, and hands the record on.
    pub(crate) fn with_put_record<R>(
        &self,
        key: impl AsKey<K>,
        value: &V,
        put: &Put,
        f: impl FnOnce(&Arc<Index>, &Record<'_>, &mut BatchEncoder) -> Result<R>,
    ) -> Result<R> {
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            check_key(&s.key)?;
            self.encode_value(value, &mut s.value)?;
            let expires_at_ms = put.expires_at_ms(|| self.engine().clock.now_ms());
            let record = self.inner.put_record(&s.key, &s.value, &mut s.packed, expires_at_ms)?;
            let result = f(self.index(), &record, &mut s.batch);
            if let (Err(_), Record::BlobRef { blob, .. }) = (&result, &record) {
                self.engine().discard_blob(*blob);
            }
            result
        })
    }

    /// Encodes a value. The first one of a keyspace is decoded again, since some types encode
    /// what they cannot decode.
    pub(crate) fn encode_value(&self, value: &V, out: &mut Vec<u8>) -> Result<()> {
        C::encode(value, out).map_err(|source| Error::Encode { source })?;
        let len_bytes = out.len() as u64;
        if len_bytes > VALUE_BYTES_MAX {
            return Err(Error::ValueTooLong { len_bytes, max_bytes: VALUE_BYTES_MAX });
        }
        if !self.inner.core.codec_checked.load(Ordering::Relaxed) {
            C::decode(ValueRef::copied(out)).map_err(|source| Error::Encode {
                source: format!("the type does not decode what it encoded: {source}").into(),
            })?;
            self.inner.core.codec_checked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Inner {
    /// The record of a put; a large value is in a durable blob when this returns.
    pub(crate) fn put_record<'a>(
        &self,
        key: &'a [u8],
        value: &'a [u8],
        packed: &'a mut Vec<u8>,
        expires_at_ms: Option<u64>,
    ) -> Result<Record<'a>> {
        let (keyspace, engine) = (self.core.id(), self.store.engine());
        if value.len() as u64 <= engine.blob_threshold() {
            let (value, form) = self.stored(value, packed);
            return Ok(Record::Put { keyspace, key, value, form, expires_at_ms });
        }
        let blob = engine.write_blob(value)?;
        Ok(Record::BlobRef {
            keyspace,
            key,
            blob: blob.id,
            len_bytes: blob.len_bytes,
            checksum: blob.checksum,
            expires_at_ms,
        })
    }

    /// A value as it goes into the log: compressed, if the keyspace says so and it saves.
    fn stored<'a>(&self, value: &'a [u8], packed: &'a mut Vec<u8>) -> (&'a [u8], Form) {
        if self.core.meta.options & COMPRESSED == 0 {
            return (value, Form::Plain);
        }
        match compression::compress(value, packed) {
            Some(stored) => {
                self.store.engine().counters.compressed(value.len() as u64, stored.len() as u64);
                (stored, Form::Compressed)
            }
            None => (value, Form::Plain),
        }
    }
}
