//! A typed keyspace: the calls most programs make.
//!
//! Knows types, and turns every call into bytes for the engine. User code (keys, codecs,
//! closures) runs here, under no keydir lock. Reads of keys are in `get`, writes in `put`,
//! `delete` and `modify`, what needs the order in `ordered`, what does not in `scan`.

use crate::{
    codec::{Codec, Raw},
    engine::{Engine, KeyspaceCore},
    error::{BoxError, Error, Result},
    index::Index,
    key::{AsKey, EncodedRange, Key, Position},
    options::KEY_BYTES_MAX,
    schema::Types,
    store::{Handle, Store},
};
use std::{fmt, marker::PhantomData, ops::Bound, sync::Arc};

mod delete;
mod expired;
mod expiry;
mod get;
mod modify;
mod next_id;
mod nth_keys;
mod ordered;
mod pin;
mod prepare;
mod put;
mod scan;
mod stream;
mod tip;
mod uses;
mod watching;

pub use prepare::PreparedValue;
pub use tip::{Direction, Visited};
pub use uses::{DrawFrom, DrawnEntry, Footprint, LastUse, UsesRemembered};
pub use watching::WatchBuilder;

pub use scan::ScanCursor;

/// A keyspace of raw bytes.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// let files: kvcore::BytesKeyspace = store.keyspace("files")?;
/// files.put(b"readme", b"hello")?;
/// assert_eq!(files.get(b"readme")?.as_deref(), Some(b"hello".as_slice()));
/// # Ok(())
/// # }
/// ```
pub type BytesKeyspace = Keyspace<Vec<u8>, [u8], Raw>;

/// A named, typed part of a store. Clones are handles to the same one.
///
/// Keys are ordered by [`Key`]'s encoding, which is the order of the Rust type. Values are encoded
/// by the codec `C`. Every handle is `Send + Sync + 'static` and keeps the store open.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// use kvcore::Keyspace;
/// let users: Keyspace<String, u64> = store.keyspace("users")?;
/// let same = users.clone(); // a handle, for another thread
/// std::thread::spawn(move || same.put("ada", &36)).join().expect("no panic")?;
/// assert_eq!(users.get("ada")?, Some(36));
/// # Ok(())
/// # }
/// ```
pub struct Keyspace<K, V: ?Sized, C = crate::Bincode> {
    pub(crate) inner: Arc<Inner>,
    types: Types<K, V, C>,
}

/// A keyspace and the store it is in.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) core: Arc<KeyspaceCore>,
    pub(crate) store: Store,
}

/// The outcome of [`Keyspace::compare_and_swap`].
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// use kvcore::Swap;
/// users.put("ada", &36)?;
/// match users.compare_and_swap("ada", Some(&35), Some(&40))? {
///     Swap::Swapped => unreachable!("she is 36"),
///     Swap::Differs(now) => assert_eq!(now, Some(36)),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap<T> {
    /// The value was as expected and has been replaced.
    Swapped,
    /// The value is another one, and has been left.
    Differs(Option<T>),
}

impl<K, V: ?Sized, C> Clone for Keyspace<K, V, C> {
    fn clone(&self) -> Self {
        Keyspace { inner: Arc::clone(&self.inner), types: PhantomData }
    }
}

impl<K, V: ?Sized, C> fmt::Debug for Keyspace<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl<K, V: ?Sized, C> Keyspace<K, V, C> {
    pub(crate) fn new(core: Arc<KeyspaceCore>, handle: Arc<Handle>) -> Self {
        let inner = Inner { core, store: Store(handle) };
        Keyspace { inner: Arc::new(inner), types: PhantomData }
    }

    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.inner.core.index
    }

    fn engine(&self) -> &Engine {
        self.inner.store.engine()
    }

    /// Its name.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// assert_eq!(users.name(), "users");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.core.meta.name
    }

    /// The store it is part of.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.store().sync()?; // whoever has a keyspace needs no second handle
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn check_store(&self, store: &Store) -> Result<()> {
        if Arc::ptr_eq(&self.inner.store.0, &store.0) {
            return Ok(());
        }
        Err(Error::ForeignKeyspace { keyspace: self.name().to_owned() })
    }

    /// The bytes of a key that is about to be written, or looked at, in this store.
    pub(crate) fn key_in(&self, store: &Store, key: impl AsKey<K>) -> Result<Vec<u8>> {
        self.check_store(store)?;
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        check_key(&bytes)?;
        Ok(bytes)
    }

    pub(crate) fn check_ordered(&self, call: &'static str) -> Result<()> {
        if self.index().is_ordered() {
            return Ok(());
        }
        Err(Error::Unordered { keyspace: self.name().to_owned(), call })
    }

    /// An unordered keyspace can only be cleared as a whole.
    pub(crate) fn check_range(&self, range: &EncodedRange, call: &'static str) -> Result<()> {
        match (&range.start, &range.end) {
            (Bound::Unbounded, Bound::Unbounded) => Ok(()),
            _ => self.check_ordered(call),
        }
    }
}

pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    let len_bytes = key.len() as u64;
    if len_bytes > KEY_BYTES_MAX {
        return Err(Error::KeyTooLong { len_bytes, max_bytes: KEY_BYTES_MAX });
    }
    Ok(())
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// Keys, expired ones included until their removal. O(1).
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("ada", &37)?;
    /// assert_eq!(users.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.index().len()
    }

    /// There are no keys.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// assert!(users.is_empty());
    /// users.put("ada", &36)?;
    /// assert!(!users.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The error of a key or value that does not decode.
pub(crate) fn decode_error(source: BoxError) -> Error {
    Error::Decode { source }
}
