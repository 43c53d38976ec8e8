//! What differs between a store, a snapshot and a transaction, when they are read from.
//!
//! Nobody outside can name it, so nobody else implements `Read`.

use crate::{
    batch::borrow,
    codec::Codec,
    engine::Scratch,
    error::{BoxError, Result},
    key::{AsKey, EncodedRange, Key, Position},
    keyspace::Keyspace,
    snapshot::Snapshot,
    store::Store,
    value::ValueRef,
};

/// Where a read looks.
pub trait Source {
    /// What `decode` makes of a key's value; `None` if the key is not there.
    fn look_up<K: Key, V: ?Sized + 'static, C: Codec<V>, T>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        decode: impl FnOnce(ValueRef<'_>) -> Result<T, BoxError>,
    ) -> Result<Option<T>>;

    /// Whether a key is there. Reads nothing but memory.
    fn is_there<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<bool>;

    /// How many keys lie in a range.
    fn count_in<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: EncodedRange,
    ) -> Result<u64>;
}

/// The tip.
impl Source for Store {
    fn look_up<K: Key, V: ?Sized + 'static, C: Codec<V>, T>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        decode: impl FnOnce(ValueRef<'_>) -> Result<T, BoxError>,
    ) -> Result<Option<T>> {
        keyspace.check_store(self)?;
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            self.engine().get(keyspace.index(), &s.key, decode)
        })
    }

    fn is_there<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<bool> {
        keyspace.check_store(self)?;
        keyspace.contains(key)
    }

    fn count_in<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: EncodedRange,
    ) -> Result<u64> {
        keyspace.check_store(self)?;
        keyspace.count(range)
    }
}

/// Its view.
impl Source for Snapshot {
    fn look_up<K: Key, V: ?Sized + 'static, C: Codec<V>, T>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        decode: impl FnOnce(ValueRef<'_>) -> Result<T, BoxError>,
    ) -> Result<Option<T>> {
        keyspace.check_store(self.store())?;
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            self.store().engine().get_at(keyspace.index(), &s.key, self.view(), decode)
        })
    }

    fn is_there<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<bool> {
        Ok(self.item(keyspace, key)?.is_some())
    }

    fn count_in<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: EncodedRange,
    ) -> Result<u64> {
        keyspace.check_store(self.store())?;
        keyspace.check_range(&range, "count")?;
        let (start, end) = (borrow(&range.start), borrow(&range.end));
        self.store().engine().count_at(keyspace.index(), start, end, self.view())
    }
}
