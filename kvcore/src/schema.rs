//! A keyspace's name, types, version and options, in one value that can be a constant.

use crate::codec::Bincode;
use std::{fmt, marker::PhantomData};

/// The types of a keyspace, as a marker that is `Send` and `Sync` whatever they are.
pub(crate) type Types<K, V, C> = PhantomData<(fn() -> K, fn(&V), fn() -> C)>;

/// Names a keyspace and says what is in it: key type, value type, codec, version, options.
///
/// The key type's tag, the codec's id, the version and whether it is ordered are stored with the
/// keyspace and compared whenever it is opened.
///
/// ```
/// use kvcore::{Raw, Schema};
/// const NOTES: Schema<u64, str, Raw> = Schema::new("notes").version(2);
/// ```
pub struct Schema<'a, K, V: ?Sized, C = Bincode> {
    pub(crate) name: &'a str,
    pub(crate) version: u32,
    pub(crate) is_unordered: bool,
    types: Types<K, V, C>,
}

impl<'a, K, V: ?Sized, C> Schema<'a, K, V, C> {
    /// A keyspace of this name, ordered, of version 0.
    #[must_use]
    pub const fn new(name: &'a str) -> Self {
        Schema { name, version: 0, is_unordered: false, types: PhantomData }
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
