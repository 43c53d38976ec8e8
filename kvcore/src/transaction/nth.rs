//! Finding an entry by its place, without walking there.
//!
//! The order index knows places in what is stored now; the transaction sees its view and its own
//! writes. How many entries lie below a key is known for both together, so the key is searched for:
//! among those stored, then among its own, and the few steps that are left are walked.

use super::{Transaction, TxIter};
#[cfg(doc)]
use crate::Error;
use crate::{
    codec::Codec,
    error::Result,
    index::Index,
    iter::Entry,
    key::{EncodedRange, Key, Position},
    keyspace::Keyspace,
};
use std::ops::Bound;

type Bytes = Box<[u8]>;

impl Transaction<'_> {
    /// The entry with this many keys below it, own writes included.
    ///
    /// As with [`Keyspace::nth`], expired keys count until their removal; where one has this place,
    /// the next entry that has not expired is given. Costs O((log n + *w*) log n), where *w* is the
    /// number of the transaction's own writes, and in an optimistic one also of what others have
    /// written since it began.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| {
    ///     let second = tx.nth(&users, 1)?.map(|entry| entry.into_key());
    ///     assert_eq!(second.as_deref(), Some("bob"));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::nth`], and [`Error::ForeignKeyspace`].
    pub fn nth<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        index: u64,
    ) -> Result<Option<Entry<K, V, C>>> {
        keyspace.check_store(self.store)?;
        keyspace.check_ordered("nth")?;
        let near = self.key_near(keyspace.index(), index)?;
        let start = near.map_or(Bound::Unbounded, |key| Bound::Included(key.into()));
        let range = EncodedRange { start, end: Bound::Unbounded };
        let mut key = Vec::new();
        let mut found = None;
        for entry in TxIter::new(self, keyspace, range, "nth") {
            let entry = entry?;
            key.clear();
            entry.key().encode_key(&mut key, Position::Last);
            if self.count_below(keyspace.index(), &key)? >= index {
                found = Some(entry);
                break;
            }
        }
        if let Some(reads) = &self.reads {
            // Whatever comes or goes below changes the place.
            let end = if found.is_some() { Bound::Included(key) } else { Bound::Unbounded };
            let range = EncodedRange { start: Bound::Unbounded, end };
            reads.borrow_mut().add_range(keyspace.index(), &range);
        }
        Ok(found)
    }

    fn count_below(&self, index: &Index, key: &[u8]) -> Result<u64> {
        let range = EncodedRange { start: Bound::Unbounded, end: Bound::Excluded(key.to_vec()) };
        if range.is_empty() { Ok(0) } else { self.count_within(index, &range) }
    }

    /// A key that has at most so many entries below it, and hardly fewer; none if all have more.
    fn key_near(&self, index: &Index, wanted: u64) -> Result<Option<Bytes>> {
        let (stored, after) = self.last_with(index, wanted, index.len(), |at| index.key_at(at))?;
        let Some(space) = self.own.space(index.id) else { return Ok(stored) };
        let start = stored.clone().map_or(Bound::Unbounded, |key| Bound::Included(key.into()));
        let end = index.key_at(after).map_or(Bound::Unbounded, |key| Bound::Excluded(key.into()));
        let gap = EncodedRange { start, end };
        if gap.is_empty() {
            return Ok(stored);
        }
        let own: Vec<&[u8]> = space.range(&gap).map(|(key, _)| key.as_slice()).collect();
        let key_at = |at: u64| own.get(usize::try_from(at).ok()?).map(|key| Bytes::from(*key));
        let (own, _) = self.last_with(index, wanted, own.len() as u64, key_at)?;
        Ok(own.or(stored))
    }

    /// Of `len` keys in order, the last with at most `wanted` entries below it; and how many keys
    /// come up to it. Others may move the keys meanwhile, who then are not quite the last.
    fn last_with(
        &self,
        index: &Index,
        wanted: u64,
        len: u64,
        key_at: impl Fn(u64) -> Option<Bytes>,
    ) -> Result<(Option<Bytes>, u64)> {
        let (mut low, mut high, mut last) = (0, len, None);
        while low < high {
            let middle = low + (high - low) / 2;
            match key_at(middle) {
                Some(key) if self.count_below(index, &key)? <= wanted => {
                    (last, low) = (Some(key), middle + 1);
                }
                _ => high = middle,
            }
        }
        Ok((last, low))
    }
}
