//! Keys by their places in order, several at once.

use super::Keyspace;
#[cfg(doc)]
use crate::Error;
use crate::{
    batch::borrow,
    codec::Codec,
    error::Result,
    key::{EncodedRange, Key, KeyRange},
};

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// Hands to `f` the encoded keys of a range that have so many of the range's keys below them,
    /// in the order of `places`.
    ///
    /// As [`Keyspace::nth_key_in`] for each place, and cheaper: the range is looked up once, and
    /// what finding the keys waits for in memory is fetched side by side. `f` runs under locks of
    /// the keyspace, and must not call the store.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// for name in ["ada", "bob", "eve"] {
    ///     users.put(name, &1)?;
    /// }
    /// let mut names = Vec::new();
    /// users.nth_keys_in("b".., [1, 0, 7], |key| names.push(key.to_vec()))?;
    /// assert_eq!(names, [b"eve", b"bob"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Expired keys count until their removal; where one has such a place, the next key of the
    /// range that has not expired is given, so that one may come twice. Places behind the end of
    /// the range are passed over.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::nth`].
    pub fn nth_keys_in(
        &self,
        range: impl KeyRange<K>,
        places: impl IntoIterator<Item = u64>,
        f: impl FnMut(&[u8]),
    ) -> Result<()> {
        self.engine().check_open()?;
        self.check_ordered("nth_keys_in")?;
        let EncodedRange { start, end } = range.encode_range();
        let now_ms = self.engine().clock.now_ms();
        let bounds = (borrow(&start), borrow(&end));
        self.index().nth_keys(bounds, places.into_iter(), now_ms, f);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Background, BytesKeyspace, Options, Put, clock::SimClock, error::Result};
    use std::{sync::Arc, time::Duration};

    #[test]
    fn keys_by_many_places_are_those_by_each_place() -> Result<()> {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let clock = Arc::new(SimClock::new(1_750_000_000_000));
        let options = Options::new().in_memory().background(Background::Manual);
        let store = options.clock(Arc::clone(&clock) as _).open("/store")?;
        let keys: BytesKeyspace = store.keyspace("keys")?;
        for _ in 0..600 {
            let key = rng.u16(..2_000).to_be_bytes();
            if rng.u8(..8) == 0 {
                keys.put_with(&key[..], b"", Put::expires_in(Duration::from_secs(1)))?;
            } else {
                keys.put(&key[..], b"")?;
            }
        }
        for expired in [false, true] {
            for _ in 0..200 {
                let (a, b) = (rng.u16(..2_000), rng.u16(..2_000));
                let (low, high) = (a.min(b).to_be_bytes(), a.max(b).to_be_bytes());
                let places: Vec<u64> = (0..rng.usize(..20)).map(|_| rng.u64(..400)).collect();
                let range = || &low[..]..&high[..];
                let mut found = Vec::new();
                keys.nth_keys_in(range(), places.iter().copied(), |key| found.push(key.to_vec()))?;
                let one = |at: &u64| keys.nth_key_in(range(), *at, <[u8]>::to_vec);
                let expected: Result<Vec<_>> = places.iter().map(one).collect();
                let expected: Vec<Vec<u8>> = expected?.into_iter().flatten().collect();
                assert_eq!(found, expected, "{low:?} to {high:?}, {places:?}, {expired}");
            }
            clock.advance(Duration::from_secs(2));
        }
        Ok(())
    }
}
