//! One record as a follower sees it: typed, or as bytes.

use crate::{
    codec::Codec,
    engine::{Engine, FeedRecord, OpenValue},
    error::{Error, Result},
    event::Event,
    ids::{KeyspaceId, Sequence},
    index::NEVER_MS,
    key::{EncodedRange, Key, Position},
    keyspace::{Keyspace, decode_error},
    log::{Form, Record},
    options::system_time,
    token::ChangeToken,
    value::{Value, ValueRef},
    value_reader::ValueReader,
};
use std::{fmt, sync::Arc, time::SystemTime};

/// One record of a commit: a put, a delete, a deleted range, or another expiry.
///
/// Commits are given whole and in order: those up to [`Change::ends_commit`] belong together, and
/// a follower that stops between commits has a state the store was in. Everything is told of that
/// changes what the store holds, whoever did it: entries that expired and were removed, evicted
/// ones, cleared and dropped keyspaces (a deleted range without bounds). A migration writes to a
/// keyspace that has no name until it is through, and then deletes all of the old one; both have
/// numbers of their own ([`Change::keyspace_id`]), so a follower of a migrated keyspace starts
/// anew. What the store keeps for itself, such as the state of
/// [`next_id`](crate::Keyspace::next_id), is told of too, under a number without a name.
///
/// [`Change::decode`] gives it in the types of a keyspace, [`Change::apply_to`] repeats it in
/// another store. A value is read when asked for. The change keeps the file of a large value, or
/// the log file that it is in, until it is dropped, also when the feed is gone; it does not keep
/// the store open.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{Event, Keyspace, Store};
/// let store = Store::in_memory()?;
/// let users: Keyspace<String, u64> = store.keyspace("users")?;
/// let sequence = users.put("ada", &36)?;
/// let mut changes = store.changes(store.oldest_change_token())?;
/// let change = changes.try_next()?.expect("ada's");
/// assert_eq!((change.sequence, change.ends_commit()), (sequence, true));
/// match change.decode(&users)? {
///     Some(Event::Put { key, value }) => assert_eq!((key.as_str(), value), ("ada", 36)),
///     Some(other) => panic!("{other:?} happened"),
///     None => panic!("it happened in another keyspace"),
/// }
/// # Ok(())
/// # }
/// ```
pub struct Change {
    /// The record's sequence.
    pub sequence: Sequence,
    pub(super) engine: Arc<Engine>,
    pub(super) record: FeedRecord,
    token: ChangeToken,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("sequence", &self.sequence)
            .field("keyspace", &self.keyspace_id())
            .field("kind", &kind(&self.record.record()))
            .field("ends_commit", &self.ends_commit())
            .finish_non_exhaustive()
    }
}

fn kind(record: &Record<'_>) -> &'static str {
    match record {
        Record::Put { .. } | Record::BlobRef { .. } => "put",
        Record::Tombstone { .. } => "delete",
        Record::RangeTombstone { .. } => "delete range",
        Record::ExpiryChange { .. } => "expire",
        Record::Watermark { .. } => "nothing",
    }
}

impl Change {
    pub(super) fn new(engine: Arc<Engine>, record: FeedRecord, token: ChangeToken) -> Change {
        Change { sequence: record.sequence(), engine, record, token }
    }

    /// The place behind it: a feed that goes on from there gives the next record, of the same
    /// commit if this one does not end it.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// let change = changes.try_next()?.expect("ada's");
    /// users.put("bob", &41)?;
    /// let mut rest = store.changes(change.token())?;
    /// assert_eq!(rest.try_next()?.expect("bob's").key_bytes(), Some(&b"bob"[..]));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn token(&self) -> ChangeToken {
        self.token
    }

    /// It is the last record of its commit.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut batch = store.batch();
    /// batch.put(&users, "ada", &36)?;
    /// batch.put(&users, "bob", &41)?;
    /// batch.commit()?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// assert!(!changes.try_next()?.expect("ada's").ends_commit());
    /// assert!(changes.try_next()?.expect("bob's").ends_commit());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn ends_commit(&self) -> bool {
        self.record.ends_commit
    }

    fn keyspace_number(&self) -> KeyspaceId {
        self.record.record().keyspace().expect("the feed gives no records of the store's clock")
    }

    /// The number of its keyspace, which no other keyspace of the store ever has.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// let change = changes.try_next()?.expect("ada's");
    /// assert_eq!(change.keyspace_id(), 1); // the first of this store
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn keyspace_id(&self) -> u32 {
        self.keyspace_number().0
    }

    /// The name of its keyspace, if it has one now: it may have been dropped since.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// let change = changes.try_next()?.expect("ada's");
    /// assert_eq!(change.keyspace_name().as_deref(), Some("users"));
    /// store.drop_keyspace("users")?;
    /// assert_eq!(change.keyspace_name(), None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn keyspace_name(&self) -> Option<String> {
        let registry = self.engine.keyspaces.read();
        let core = registry.values().find(|core| core.id() == self.keyspace_number())?;
        Some(core.meta.name.clone()).filter(|name| !name.starts_with('\0'))
    }

    /// It is about this keyspace.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// let change = changes.try_next()?.expect("ada's");
    /// assert!(change.is_of(&users)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ForeignKeyspace`] for a keyspace of another store, or of another opening.
    pub fn is_of<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<bool> {
        if !Arc::ptr_eq(&keyspace.store().0.engine, &self.engine) {
            return Err(Error::ForeignKeyspace { keyspace: keyspace.name().to_owned() });
        }
        Ok(keyspace.index().id == self.keyspace_number())
    }

    /// The encoded key it is about; `None` for a range.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// let change = changes.try_next()?.expect("ada's");
    /// assert_eq!(change.key_bytes(), Some(&b"ada"[..]));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn key_bytes(&self) -> Option<&[u8]> {
        self.record.record().key()
    }

    /// When a put, or a changed expiry, makes the key expire; `None`: never, or it is neither.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use std::time::{Duration, UNIX_EPOCH};
    /// let at = UNIX_EPOCH + Duration::from_secs(4_102_444_800); // in 2100
    /// users.put_with("ada", &36, kvcore::Put::expires_at(at))?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// assert_eq!(changes.try_next()?.expect("ada's").expires_at(), Some(at));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at_ms().map(system_time)
    }

    pub(super) fn expires_at_ms(&self) -> Option<u64> {
        let at_ms = match self.record.record() {
            Record::Put { expires_at_ms, .. }
            | Record::BlobRef { expires_at_ms, .. }
            | Record::ExpiryChange { expires_at_ms, .. } => expires_at_ms,
            _ => None,
        };
        // A put that kept an expiry that had been taken away.
        at_ms.filter(|at_ms| *at_ms != NEVER_MS)
    }

    /// The encoded value of a put, read into memory if it is a large one; `None` if it is no put.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// let change = changes.try_next()?.expect("ada's");
    /// assert_eq!(change.value_bytes()?.as_deref(), Some(&[36][..])); // a small integer
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn value_bytes(&self) -> Result<Option<Value>> {
        self.with_value(|value| Ok(value.to_value()))
    }

    /// The encoded value of a put, to be read piece by piece in constant memory.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = kvcore::Store::open(dir.path())?;
    /// use std::io::Read;
    /// let films: kvcore::BytesKeyspace = store.keyspace("films")?;
    /// films.put_reader(b"long", &vec![7; 2 << 20][..])?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// let change = changes.try_next()?.expect("the film");
    /// let mut reader = change.reader()?.expect("it is a put");
    /// assert_eq!(reader.len(), 2 << 20);
    /// reader.read_exact(&mut [0; 100])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Change::value_bytes`].
    pub fn reader(&self) -> Result<Option<ValueReader>> {
        let open = match self.record.record() {
            Record::BlobRef { blob, len_bytes, checksum, .. } => {
                Some(OpenValue::Blob(self.engine.open_blob(blob, len_bytes, checksum)?))
            }
            _ => self.value_bytes()?.map(OpenValue::InLog),
        };
        Ok(open.map(ValueReader::new))
    }

    /// Hands the value of a put to `f`.
    fn with_value<T>(&self, f: impl FnOnce(ValueRef<'_>) -> Result<T>) -> Result<Option<T>> {
        match self.record.record() {
            Record::Put { value, form: Form::Plain, .. } => self.record.lend(value, f).map(Some),
            Record::Put { value, form: Form::Compressed, .. } => {
                f(ValueRef::from(&self.record.unpack(value)?[..])).map(Some)
            }
            Record::BlobRef { blob, len_bytes, checksum, .. } => {
                let value = self.engine.read_blob(blob, len_bytes, checksum)?;
                f(ValueRef::from(&value[..])).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What happened, in the types of a keyspace; `None` if it happened in another one.
    ///
    /// A large value is read into memory; see [`Change::reader`]. The expiry of a put is
    /// [`Change::expires_at`]. A follower that repeats events through its own typed calls judges
    /// expiry by its own clock; [`Change::apply_to`] does not.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::{Event, Keyspace};
    /// let ages: Keyspace<u64, u64> = store.keyspace("ages")?;
    /// users.put("ada", &36)?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// let change = changes.try_next()?.expect("ada's");
    /// let put = Event::Put { key: "ada".to_owned(), value: 36 };
    /// assert_eq!(change.decode(&users)?, Some(put));
    /// assert_eq!(change.decode(&ages)?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if the bytes are not of these types, [`Error::ForeignKeyspace`] for a
    /// keyspace of another store, and as [`Change::value_bytes`].
    pub fn decode<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<Option<Event<K, C::Owned>>> {
        if !self.is_of(keyspace)? {
            return Ok(None);
        }
        let key =
            |mut bytes: &[u8]| K::decode_key(&mut bytes, Position::Last).map_err(decode_error);
        self.event_with(key, |value| C::decode(value).map_err(decode_error)).map(Some)
    }

    /// What happened, in bytes: for tools that look at whatever keyspaces there are.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Event;
    /// users.put("ada", &36)?;
    /// users.clear()?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// let put = changes.try_next()?.expect("the put").event()?;
    /// assert_eq!(put, Event::Put { key: b"ada".to_vec(), value: vec![36].into() });
    /// let cleared = changes.try_next()?.expect("the rest").event()?;
    /// assert!(matches!(cleared, Event::DeleteRange { range } if range.contains(b"ada")));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Change::value_bytes`].
    pub fn event(&self) -> Result<Event<Vec<u8>, Value>> {
        self.event_with(|key| Ok(key.to_vec()), |value| Ok(value.to_value()))
    }

    fn event_with<K, T>(
        &self,
        key: impl FnOnce(&[u8]) -> Result<K>,
        value: impl FnOnce(ValueRef<'_>) -> Result<T>,
    ) -> Result<Event<K, T>> {
        let record = self.record.record();
        if let Record::RangeTombstone { start, end, .. } = record {
            let (start, end) = (start.map(<[u8]>::to_vec), end.map(<[u8]>::to_vec));
            return Ok(Event::DeleteRange { range: EncodedRange { start, end } });
        }
        let key = key(record.key().expect("all others have a key"))?;
        Ok(match (self.with_value(value)?, record) {
            (Some(value), _) => Event::Put { key, value },
            (None, Record::ExpiryChange { .. }) => {
                Event::Expire { key, expires_at: self.expires_at() }
            }
            (None, _) => Event::Delete { key },
        })
    }
}
