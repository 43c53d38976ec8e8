//! Doing in another store what was done in the first one, record by record.

use super::Change;
use crate::{
    batch::Batch,
    codec::Codec,
    error::{Error, Result},
    key::Key,
    keyspace::Keyspace,
    log::{KeyspaceMeta, Record},
};
use std::io::Read;

impl Change {
    /// Adds to a batch what it takes to do the same in a keyspace of another store: byte by byte,
    /// with expiry times as they are, a large value in constant memory.
    ///
    /// Nothing is judged by the follower's clock: a key that has expired meanwhile, and whose
    /// expiry is put off by a later change, is there in the end. For that the follower must not
    /// remove expired entries by itself, so give it keyspaces that are
    /// [`expired_by_owner`](crate::Schema::expired_by_owner); the removal comes as a delete.
    /// Commit the batch after the last change of a commit ([`Change::ends_commit`]), or of
    /// several, together with [`Change::token`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Keyspace, Store};
    /// let (store, copy) = (Store::in_memory()?, Store::in_memory()?);
    /// let users: Keyspace<String, u64> = store.keyspace("users")?;
    /// let copied: Keyspace<String, u64> = copy.keyspace("users")?;
    /// let places: Keyspace<String, String> = copy.keyspace("places")?;
    /// users.put("ada", &36)?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// let mut batch = copy.batch();
    /// while let Some(change) = changes.try_next()? {
    ///     if change.is_of(&users)? {
    ///         change.apply_to(&mut batch, &copied)?;
    ///     }
    ///     if change.ends_commit() {
    ///         batch.put(&places, "users", &change.token().to_string())?;
    ///         std::mem::replace(&mut batch, copy.batch()).commit()?;
    ///     }
    /// }
    /// assert_eq!(copied.get("ada")?, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::SchemaMismatch`] if keys or values of the keyspace are of other types than where
    /// the change comes from, [`Error::Unordered`] for part of a keyspace without order,
    /// [`Error::ForeignKeyspace`] for a keyspace of another store than the batch,
    /// [`Error::BatchTooLarge`], and as [`Change::value_bytes`]. The batch is as before.
    pub fn apply_to<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        batch: &mut Batch,
        to: &Keyspace<K, V, C>,
    ) -> Result<()> {
        to.check_store(batch.store())?;
        self.check_types(&to.inner.core.meta)?;
        let index = to.index();
        let (keyspace, expires_at_ms) = (index.id, self.expires_at_ms());
        match self.record.record() {
            Record::Put { key, .. } => {
                let value = self.value_bytes()?.unwrap_or_default();
                to.with_raw_put(key, &value, expires_at_ms, |record| batch.push(index, record))
            }
            Record::BlobRef { key, .. } => {
                let Some(mut source) = self.reader()? else { return Ok(()) };
                to.with_raw_reader(key, &mut source, expires_at_ms, |r| batch.push(index, r))
            }
            Record::Tombstone { key, .. } => {
                batch.push(index, &Record::Tombstone { keyspace, key })
            }
            Record::RangeTombstone { start, end, .. } => {
                let range = crate::EncodedRange {
                    start: start.map(<[u8]>::to_vec),
                    end: end.map(<[u8]>::to_vec),
                };
                to.check_range(&range, "apply_to")?;
                batch.push(index, &Record::RangeTombstone { keyspace, start, end })
            }
            Record::ExpiryChange { key, .. } => batch.push_told_expiry(index, key, expires_at_ms),
            Record::Watermark { .. } => Ok(()),
        }
    }

    /// Keys and values of the follower's keyspace are what they are where the change comes from;
    /// of a keyspace that was dropped since nobody knows.
    fn check_types(&self, to: &KeyspaceMeta) -> Result<()> {
        let registry = self.engine.keyspaces.read();
        let number = self.keyspace_id();
        let Some(from) = registry.values().find(|core| core.id().0 == number) else {
            return Ok(());
        };
        let from = &from.meta;
        let pairs = [("key type", &to.key_tag, &from.key_tag), ("codec", &to.codec, &from.codec)];
        match pairs.into_iter().find(|(_, to, from)| to != from) {
            None => Ok(()),
            Some((what, found, wanted)) => Err(Error::SchemaMismatch {
                keyspace: to.name.clone(),
                what,
                found: found.clone(),
                wanted: wanted.clone(),
            }),
        }
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// The record of a put of encoded bytes.
    fn with_raw_put(
        &self,
        key: &[u8],
        value: &[u8],
        expires_at_ms: Option<u64>,
        f: impl FnOnce(&Record<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut packed = Vec::new();
        let record = self.inner.put_record(key, value, &mut packed, expires_at_ms)?;
        self.or_discard(&record, f)
    }

    /// The same of a large value, which is in a durable blob when `f` is called.
    fn with_raw_reader(
        &self,
        key: &[u8],
        source: &mut dyn Read,
        expires_at_ms: Option<u64>,
        f: impl FnOnce(&Record<'_>) -> Result<()>,
    ) -> Result<()> {
        let blob = self.store().engine().write_blob_from(&[], source)?;
        let record = Record::BlobRef {
            keyspace: self.index().id,
            key,
            blob: blob.id,
            len_bytes: blob.len_bytes,
            checksum: blob.checksum,
            expires_at_ms,
        };
        self.or_discard(&record, f)
    }

    /// A blob that no batch refers to is of no use.
    fn or_discard(
        &self,
        record: &Record<'_>,
        f: impl FnOnce(&Record<'_>) -> Result<()>,
    ) -> Result<()> {
        f(record).inspect_err(|_| {
            if let Record::BlobRef { blob, .. } = record {
                self.store().engine().discard_blob(*blob);
            }
        })
    }
}
