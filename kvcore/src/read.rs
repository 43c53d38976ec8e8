//! One face for everything that can be read: the store as it is, a snapshot, a transaction.

#[cfg(doc)]
use crate::Error;
use crate::{
    codec::Codec,
    error::Result,
    iter::{Entry, Iter},
    key::{AsKey, EncodedRange, Key, KeyPrefix, KeyRange},
    keyspace::Keyspace,
    snapshot::Snapshot,
    store::Store,
    transaction::{Transaction, TxIter},
    value::Value,
};
use std::iter::DoubleEndedIterator as BothEnds;

/// What an iterator over entries gives.
type Found<K, V, C> = Result<Entry<K, V, C>>;

mod source;

pub(crate) use source::Source;

/// Reading from a [`Store`] as it is now, from a [`Snapshot`], or inside a [`Transaction`]: for
/// functions that do not care which.
///
/// The methods are those of the three types, of the same names and meaning. On a store every call
/// looks at the tip of its moment; on the others all calls look at one moment. Sealed: it may get
/// more methods.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path())?;
/// use kvcore::{Keyspace, Read, Result};
///
/// fn total(from: &impl Read, prices: &Keyspace<String, u64>) -> Result<u64> {
///     from.range(prices, ..).map(|entry| entry?.value()).sum()
/// }
///
/// let prices: Keyspace<String, u64> = store.keyspace("prices")?;
/// prices.put("tea", &3)?;
/// let before = store.snapshot();
/// let inside = store.transaction(|tx| {
///     tx.put(&prices, "cake", &5)?;
///     total(tx, &prices)
/// })?;
/// assert_eq!((total(&before, &prices)?, inside, total(&store, &prices)?), (3, 8, 8));
/// # Ok(())
/// # }
/// ```
pub trait Read: Source {
    /// Entries in key order, from either end.
    type Iter<'a, K: Key, V: ?Sized + 'static, C: Codec<V>>: BothEnds<Item = Found<K, V, C>>
    where
        Self: 'a;

    /// What `range` and `prefix` give, whose names are in the error of an unordered keyspace.
    #[doc(hidden)]
    fn entries<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: EncodedRange,
        call: &'static str,
    ) -> Self::Iter<'_, K, V, C>;

    /// The value of a key; see [`Keyspace::get`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::{Keyspace, Read, Result};
    /// fn age(from: &impl Read, users: &Keyspace<String, u64>, name: &str) -> Result<u64> {
    ///     Ok(from.get(users, name)?.unwrap_or(0))
    /// }
    /// users.put("ada", &36)?;
    /// assert_eq!(age(&store, &users, "ada")?, 36);
    /// assert_eq!(store.transaction(|tx| age(tx, &users, "bob"))?, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::get`], and [`Error::ForeignKeyspace`] for a keyspace of another store, as
    /// all methods.
    fn get<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<Option<C::Owned>> {
        self.look_up(keyspace, key, C::decode)
    }

    /// The stored bytes of a key's value; see [`Keyspace::get_bytes`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Read;
    /// users.put("ada", &36)?;
    /// let view = store.snapshot();
    /// assert_eq!(Read::get_bytes(&view, &users, "ada")?.as_deref(), Some([36].as_slice()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Read::get`].
    fn get_bytes<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<Option<Value>> {
        self.look_up(keyspace, key, |v| Ok(v.to_value()))
    }

    /// Whether the key is there; see [`Keyspace::contains`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::{Keyspace, Read, Result};
    /// fn is_known(from: &impl Read, users: &Keyspace<String, u64>, name: &str) -> Result<bool> {
    ///     from.contains(users, name)
    /// }
    /// users.put("ada", &36)?;
    /// let before = store.snapshot();
    /// users.delete("ada")?;
    /// assert!(is_known(&before, &users, "ada")? && !is_known(&store, &users, "ada")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::contains`].
    fn contains<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<bool> {
        self.is_there(keyspace, key)
    }

    /// The entries of a range of keys; see [`Keyspace::range`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::{Keyspace, Read, Result};
    /// fn sum(from: &impl Read, users: &Keyspace<String, u64>) -> Result<u64> {
    ///     from.range(users, "a".."n").map(|entry| entry?.value()).sum()
    /// }
    /// users.put("ada", &36)?;
    /// users.put("zoe", &7)?;
    /// assert_eq!(sum(&store.snapshot(), &users)?, 36);
    /// # Ok(())
    /// # }
    /// ```
    fn range<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: impl KeyRange<K>,
    ) -> Self::Iter<'_, K, V, C> {
        self.entries(keyspace, range.encode_range(), "range")
    }

    /// The entries whose key starts with a prefix; see [`Keyspace::prefix`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::{Keyspace, Read};
    /// fn matches(from: &impl Read, users: &Keyspace<String, u64>, typed: &str) -> usize {
    ///     from.prefix(users, typed).count()
    /// }
    /// users.put("ada", &36)?;
    /// users.put("adele", &41)?;
    /// assert_eq!(matches(&store, &users, "ad"), 2);
    /// # Ok(())
    /// # }
    /// ```
    fn prefix<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        prefix: impl KeyPrefix<K>,
    ) -> Self::Iter<'_, K, V, C> {
        let mut bytes = Vec::new();
        prefix.encode_prefix(&mut bytes);
        self.entries(keyspace, EncodedRange::from_prefix(bytes), "prefix")
    }

    /// How many keys lie in a range; see [`Keyspace::count`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Read;
    /// users.put("ada", &36)?;
    /// let in_transaction = store.transaction(|tx| {
    ///     tx.put(&users, "bob", &41)?;
    ///     Read::count(tx, &users, ..)
    /// })?;
    /// assert_eq!(in_transaction, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::count`].
    fn count<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: impl KeyRange<K>,
    ) -> Result<u64> {
        self.count_in(keyspace, range.encode_range())
    }

    /// The values of several keys, in their order.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Read;
    /// users.put("ada", &36)?;
    /// assert_eq!(Read::get_many(&store, &users, ["ada", "bob"])?, [Some(36), None]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Read::get`]; the first error ends it.
    fn get_many<K: Key, V: ?Sized + 'static, C: Codec<V>, Q: AsKey<K>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        keys: impl IntoIterator<Item = Q>,
    ) -> Result<Vec<Option<C::Owned>>> {
        keys.into_iter().map(|key| self.get(keyspace, key)).collect()
    }

    /// The entry with the smallest key.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::{Keyspace, Read, Result};
    /// fn next_job(from: &impl Read, queue: &Keyspace<String, u64>) -> Result<Option<String>> {
    ///     Ok(from.first(queue)?.map(|entry| entry.into_key()))
    /// }
    /// users.put("job 1", &1)?;
    /// assert_eq!(next_job(&store, &users)?.as_deref(), Some("job 1"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::first`].
    fn first<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<Option<Entry<K, V, C>>> {
        self.range(keyspace, ..).next().transpose()
    }

    /// The entry with the largest key.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Read;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// assert_eq!(Read::last(&store.snapshot(), &users)?.expect("two").key(), "bob");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::last`].
    fn last<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<Option<Entry<K, V, C>>> {
        self.range(keyspace, ..).next_back().transpose()
    }
}

/// A store, as it is at the moment of each call.
impl Read for Store {
    type Iter<'a, K: Key, V: ?Sized + 'static, C: Codec<V>> = Iter<K, V, C>;

    fn entries<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: EncodedRange,
        call: &'static str,
    ) -> Iter<K, V, C> {
        let checked = keyspace.check_store(self).and_then(|()| keyspace.check_ordered(call));
        Iter::new(&keyspace.inner, range, checked.err())
    }
}

impl Read for Snapshot {
    type Iter<'a, K: Key, V: ?Sized + 'static, C: Codec<V>> = Iter<K, V, C>;

    fn entries<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: EncodedRange,
        call: &'static str,
    ) -> Iter<K, V, C> {
        let checked =
            keyspace.check_store(self.store()).and_then(|()| keyspace.check_ordered(call));
        Iter::at(&keyspace.inner, self.view(), range, checked.err())
    }
}

impl Read for Transaction<'_> {
    type Iter<'a, K: Key, V: ?Sized + 'static, C: Codec<V>>
        = TxIter<'a, K, V, C>
    where
        Self: 'a;

    fn entries<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: EncodedRange,
        call: &'static str,
    ) -> TxIter<'_, K, V, C> {
        TxIter::new(self, keyspace, range, call)
    }
}
