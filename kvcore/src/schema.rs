//! A keyspace's name, types, version and options, in one value that can be a constant.

use crate::{
    codec::{Bincode, Codec},
    ids::KeyspaceId,
    key::Key,
    log::{COMPRESSED, EXPIRED_BY_OWNER, KeyspaceMeta, UNORDERED},
};
use std::{fmt, marker::PhantomData};

/// The types of a keyspace, as a marker that is `Send` and `Sync` whatever they are.
pub(crate) type Types<K, V, C> = PhantomData<(fn() -> K, fn(&V), fn() -> C)>;

/// Names a keyspace and says what is in it: key type, value type, codec, version, options.
///
/// The key type's tag, the codec's id, the version whether it is ordered and whether it is
/// compressed are stored with the keyspace and compared whenever it is opened.
///
/// ```
/// use kvcore::{Raw, Schema};
/// const NOTES: Schema<u64, str, Raw> = Schema::new("notes").version(2);
/// ```
pub struct Schema<'a, K, V: ?Sized, C = Bincode> {
    pub(crate) name: &'a str,
    pub(crate) version: u32,
    pub(crate) is_unordered: bool,
    pub(crate) is_compressed: bool,
    pub(crate) is_expired_by_owner: bool,
    pub(crate) budget_bytes: Option<u64>,
    types: Types<K, V, C>,
}

impl<'a, K, V: ?Sized, C> Schema<'a, K, V, C> {
    /// A keyspace of this name, ordered, of version 0.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use kvcore::Schema;
    /// const NOTES: Schema<u64, String> = Schema::new("notes");
    /// let notes = store.keyspace(NOTES)?; // no annotation needed
    /// notes.put(1, &"buy milk".to_owned())?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn new(name: &'a str) -> Self {
        Schema {
            name,
            version: 0,
            is_unordered: false,
            is_compressed: false,
            is_expired_by_owner: false,
            budget_bytes: None,
            types: PhantomData,
        }
    }

    /// The version of the schema: opening the keyspace with another one is an error.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use kvcore::{Error, Schema};
    /// const V1: Schema<u64, String> = Schema::new("notes").version(1);
    /// const V2: Schema<u64, String> = Schema::new("notes").version(2);
    /// store.keyspace(V1)?;
    /// assert!(matches!(store.keyspace(V2), Err(Error::SchemaMismatch { .. })));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Without an order index: saves about 20 bytes of memory per key and some time per new key.
    /// Calls that need order answer with an error.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use kvcore::{Error, Schema};
    /// const CACHE: Schema<u64, String> = Schema::new("cache").unordered();
    /// let cache = store.keyspace(CACHE)?;
    /// cache.put(1, &"page".to_owned())?;
    /// assert_eq!(cache.get(1)?.as_deref(), Some("page"));
    /// assert!(matches!(cache.first(), Err(Error::Unordered { call: _, .. })));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn unordered(mut self) -> Self {
        self.is_unordered = true;
        self
    }

    /// Values are compressed (LZ4) where that makes them shorter; reads do not notice.
    ///
    /// Pays for values of some hundred bytes and more that repeat themselves, such as text and
    /// JSON. A compressed value is unpacked at every read, and so never lent out of a mapped file.
    /// Values of less than 32 bytes, and those that get files of their own, stay as they are.
    ///
    /// Needs the feature `lz4`: without it, opening the keyspace is an
    /// [`Error::BadOption`](crate::Error::BadOption).
    ///
    /// ```
    /// # #[cfg(feature = "lz4")]
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// use kvcore::Schema;
    /// const PAGES: Schema<String, String> = Schema::new("pages").compressed();
    /// let pages = store.keyspace(PAGES)?;
    /// pages.put("home", &"welcome ".repeat(1_000))?;
    /// let entry = pages.first()?.expect("it was put");
    /// assert!(entry.size_bytes() < 100);
    /// assert_eq!(entry.value()?.len(), 8_000);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "lz4"))]
    /// # fn main() {}
    /// ```
    #[must_use]
    pub const fn compressed(mut self) -> Self {
        self.is_compressed = true;
        self
    }

    /// Leaves expired entries to their owner, who removes them together with what belongs to them;
    /// see [`Keyspace::remove_expired`](crate::Keyspace::remove_expired). Reads do not see them.
    ///
    /// Stored with the keyspace: opening it without is an error. A keyspace that the store has
    /// expired so far is handed to its owner when it is opened with this: durably, and for good.
    ///
    /// ```
    /// use kvcore::Schema;
    /// const SESSIONS: Schema<u64, String> = Schema::new("sessions").expired_by_owner();
    /// ```
    #[must_use]
    pub const fn expired_by_owner(mut self) -> Self {
        self.is_expired_by_owner = true;
        self
    }

    /// Keeps the keyspace within this many bytes of keys and values, by deleting what was not used
    /// for longest: a cache.
    ///
    /// Which entries go is decided by looking at a few at random, as Redis does. Time is counted in
    /// writes to the keyspace; a use is a write, or a read by key (not by iterating). What is
    /// deleted is in the log as any delete is. Costs about 15 bytes of memory per key. A commit
    /// evicts at most a few hundred entries and leaves the rest to the background, so a large one
    /// may exceed the budget for a moment; what was written last is kept however large it is. An
    /// expired entry counts until it is removed.
    ///
    /// It is not stored: the budget holds from the moment the keyspace is opened with it, until
    /// the store is closed or it is opened with another one.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Durability, Raw, Schema, Store};
    /// const PAGES: Schema<u64, [u8], Raw> = Schema::new("pages").unordered().budget_bytes(10_000);
    /// let store = Store::in_memory()?;
    /// let pages = store.keyspace(PAGES)?;
    /// for n in 0..1_000 {
    ///     pages.put_with(n, &[0; 92], Durability::Buffered)?;
    ///     pages.get(0)?; // in use all the time
    /// }
    /// assert!(pages.len() <= 100);
    /// assert!(pages.contains(0)?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn budget_bytes(mut self, bytes: u64) -> Self {
        self.budget_bytes = Some(bytes);
        self
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Schema<'_, K, V, C> {
    /// What the registry says of such a keyspace; the id is given when it is registered.
    pub(crate) fn meta(&self) -> KeyspaceMeta {
        let mut key_tag = String::new();
        K::type_tag(&mut key_tag);
        let unordered = if self.is_unordered { UNORDERED } else { 0 };
        let compressed = if self.is_compressed { COMPRESSED } else { 0 };
        let by_owner = if self.is_expired_by_owner { EXPIRED_BY_OWNER } else { 0 };
        KeyspaceMeta {
            id: KeyspaceId(0),
            name: self.name.to_owned(),
            key_tag,
            codec: C::ID.to_owned(),
            schema_version: self.version,
            options: unordered | compressed | by_owner,
            type_name: std::any::type_name::<V>().to_owned(),
            dropped: false,
        }
    }
}

impl<K, V: ?Sized, C> Clone for Schema<'_, K, V, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V: ?Sized, C> Copy for Schema<'_, K, V, C> {}

impl<K, V: ?Sized, C> fmt::Debug for Schema<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("is_unordered", &self.is_unordered)
            .field("is_compressed", &self.is_compressed)
            .field("is_expired_by_owner", &self.is_expired_by_owner)
            .field("budget_bytes", &self.budget_bytes)
            .finish_non_exhaustive()
    }
}

impl<'a, K, V: ?Sized, C> From<&'a String> for Schema<'a, K, V, C> {
    fn from(name: &'a String) -> Self {
        Schema::new(name)
    }
}

impl<'a, K, V: ?Sized, C> From<&'a str> for Schema<'a, K, V, C> {
    fn from(name: &'a str) -> Self {
        Schema::new(name)
    }
}
