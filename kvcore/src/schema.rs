//! A keyspace's name, types, version and options, in one value that can be a constant.

use crate::{
    codec::Bincode,
    error::{Error, Result},
    log::{COMPRESSED, UNORDERED, compression},
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
    types: Types<K, V, C>,
}

impl<'a, K, V: ?Sized, C> Schema<'a, K, V, C> {
    /// A keyspace of this name, ordered, of version 0.
    #[must_use]
    pub const fn new(name: &'a str) -> Self {
        Schema { name, version: 0, is_unordered: false, is_compressed: false, types: PhantomData }
    }

    /// The version of the schema: opening the keyspace with another one is an error.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Without an order index: saves about 20 bytes of memory per key and some time per new key.
    /// Calls that need order answer with an error.
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
}

impl<K, V: ?Sized, C> Schema<'_, K, V, C> {
    /// The options as they are registered.
    pub(crate) fn options(&self) -> Result<u32> {
        if self.is_compressed && !compression::IS_BUILT {
            let what = "this build lacks the feature `lz4`".to_owned();
            return Err(Error::BadOption { option: "compressed", what });
        }
        let order = if self.is_unordered { UNORDERED } else { 0 };
        let compression = if self.is_compressed { COMPRESSED } else { 0 };
        Ok(order | compression)
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
