//! Keyspaces without their types: for tools that copy, list and look at what any program wrote.
//!
//! Knows names, tags and bytes. Does not know what values mean.

use crate::{
    codec::Codec,
    engine::KeyspaceCore,
    error::Result,
    ids::KeyspaceId,
    key::Key,
    keyspace::{BytesKeyspace, Keyspace},
    log::{COMPRESSED, EXPIRED_BY_OWNER, KeyspaceMeta, UNORDERED},
    store::Store,
};
use std::sync::Arc;

/// What the registry knows of a keyspace.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// let info = users.info();
/// assert_eq!((info.key_tag.as_str(), info.codec.as_str()), ("str", "bincode/2-standard"));
/// assert!(info.is_ordered && !info.is_compressed);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyspaceInfo {
    /// Its name.
    pub name: String,
    /// The structure of its keys, as [`Key::type_tag`] writes it: `str`, `u64`, `(str,u64)`.
    pub key_tag: String,
    /// Name and wire version of its codec: `bincode/2-standard`, `json/1`, `raw`, `utf8`.
    pub codec: String,
    /// The version of its schema.
    pub schema_version: u32,
    /// It has an order index.
    pub is_ordered: bool,
    /// Its values are compressed where that saves; they are handed out as they were put.
    pub is_compressed: bool,
    /// Expired entries are their owner's to remove.
    pub is_expired_by_owner: bool,
    /// The Rust type of its values, for display only.
    pub type_name: String,
}

impl KeyspaceInfo {
    /// An ordered keyspace of version 0 without options.
    ///
    /// ```
    /// use kvcore::KeyspaceInfo;
    /// let notes = KeyspaceInfo::new("notes", "u64", "json/1");
    /// assert!(notes.is_ordered && notes.schema_version == 0);
    /// ```
    #[must_use]
    pub fn new(name: &str, key_tag: &str, codec: &str) -> KeyspaceInfo {
        KeyspaceInfo {
            name: name.to_owned(),
            key_tag: key_tag.to_owned(),
            codec: codec.to_owned(),
            schema_version: 0,
            is_ordered: true,
            is_compressed: false,
            is_expired_by_owner: false,
            type_name: String::new(),
        }
    }

    pub(crate) fn of(meta: &KeyspaceMeta) -> KeyspaceInfo {
        KeyspaceInfo {
            name: meta.name.clone(),
            key_tag: meta.key_tag.clone(),
            codec: meta.codec.clone(),
            schema_version: meta.schema_version,
            is_ordered: meta.options & UNORDERED == 0,
            is_compressed: meta.options & COMPRESSED != 0,
            is_expired_by_owner: meta.options & EXPIRED_BY_OWNER != 0,
            type_name: meta.type_name.clone(),
        }
    }

    fn meta(&self) -> KeyspaceMeta {
        let unordered = if self.is_ordered { 0 } else { UNORDERED };
        let compressed = if self.is_compressed { COMPRESSED } else { 0 };
        let by_owner = if self.is_expired_by_owner { EXPIRED_BY_OWNER } else { 0 };
        KeyspaceMeta {
            id: KeyspaceId(0),
            name: self.name.clone(),
            key_tag: self.key_tag.clone(),
            codec: self.codec.clone(),
            schema_version: self.schema_version,
            options: unordered | compressed | by_owner,
            type_name: self.type_name.clone(),
            dropped: false,
        }
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// What the registry knows of it.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let users: kvcore::Keyspace<(String, u32), u64> = store.keyspace("users")?;
    /// assert_eq!(users.info().key_tag, "(str,u32)");
    /// assert_eq!(users.info().codec, "bincode/2-standard");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn info(&self) -> KeyspaceInfo {
        KeyspaceInfo::of(&self.inner.core.meta)
    }
}

impl Store {
    /// A keyspace as plain bytes, whatever its types; `None` if there is none of that name.
    ///
    /// Keys are the encoded ones, values what the codec wrote; [`Keyspace::info`] says how. What
    /// is put through such a handle must be encoded likewise, or typed handles fail to decode it.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let raw = store.raw_keyspace("users")?.expect("it was just made");
    /// assert_eq!((raw.info().key_tag.as_str(), raw.len()), ("str", 1));
    /// let entry = raw.first()?.expect("one key");
    /// assert_eq!((entry.key().as_slice(), &entry.value()?[..]), (&b"ada"[..], &[36][..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::Poisoned`](crate::Error::Poisoned).
    pub fn raw_keyspace(&self, name: &str) -> Result<Option<BytesKeyspace>> {
        self.engine().check_open()?;
        let found = self.engine().keyspaces.read().get(name).cloned();
        Ok(found.map(|core| self.bytes_of(core)))
    }

    /// The same, registered with this description if there is none of that name: for restoring
    /// what was exported.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use kvcore::{KeyspaceInfo, Schema};
    /// let mut info = KeyspaceInfo::new("notes", "str", "utf8");
    /// info.is_ordered = false;
    /// store.register_raw_keyspace(&info)?.put(b"a", b"text")?;
    /// const NOTES: Schema<String, str, kvcore::Raw> = Schema::new("notes").unordered();
    /// assert_eq!(store.keyspace(NOTES)?.get("a")?.as_deref(), Some("text"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::SchemaMismatch`](crate::Error::SchemaMismatch) if there is one of another
    /// description; the Rust type's name is not compared.
    pub fn register_raw_keyspace(&self, info: &KeyspaceInfo) -> Result<BytesKeyspace> {
        let core = self.engine().keyspace(info.meta())?;
        Ok(self.bytes_of(core))
    }

    pub(crate) fn bytes_of(&self, core: Arc<KeyspaceCore>) -> BytesKeyspace {
        Keyspace::new(core, Arc::clone(&self.0))
    }
}
