//! Uses of entries, for an owner who evicts by a policy of its own.
//!
//! A keyspace that evicts by itself has a budget (`Schema::budget_bytes`); this is for programs
//! that must do more than delete what goes, or choose otherwise.

use super::Keyspace;
use crate::{
    codec::Codec,
    error::{BoxError, Error, Result},
    ids::Sequence,
    index::{Drawn, KnownUse, Remembered, State},
    iter::Entry,
    key::{AsKey, Key, Position},
    keydir::Heat,
};

/// What a keyspace remembers of the uses of its entries, in memory; see
/// [`Keyspace::remember_uses`].
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{BytesKeyspace, Store, UsesRemembered};
/// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
/// pages.remember_uses(UsesRemembered::Frequency { log_factor: 10, decay_ticks: 60 })?;
/// pages.put(b"a", b"text")?;
/// assert_eq!(pages.last_use(b"a")?.expect("it is there").frequency, Some(5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsesRemembered {
    /// Nothing: costs nothing.
    #[default]
    Nothing,
    /// When each entry was used last. About 14 bytes per key.
    LastUse,
    /// How often each was used lately, as a counter from 0 to 255 that begins at 5, grows with the
    /// logarithm of the uses and shrinks with time. About 14 bytes per key.
    Frequency {
        /// A counter goes from n to n + 1 with a probability of 1 / ((n − 5) · this + 1).
        log_factor: u32,
        /// A counter loses one for each such period without a use; 0: none. Exact to 64 ticks.
        decay_ticks: u32,
    },
}

/// What is known of an entry's uses.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{BytesKeyspace, Store, UsesRemembered};
/// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
/// pages.remember_uses(UsesRemembered::LastUse)?;
/// pages.put(b"a", b"text")?;
/// pages.set_use_tick(7);
/// let last_use = pages.last_use(b"a")?.expect("it is there");
/// assert_eq!((last_use.idle_ticks, last_use.frequency), (Some(7), None));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastUse {
    /// The commit that put its value.
    pub written: Sequence,
    /// Ticks since its last use, if that is remembered.
    pub idle_ticks: Option<u32>,
    /// How often it was used, if that is remembered.
    pub frequency: Option<u8>,
}

/// Which entries [`Keyspace::draw`] draws from.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{BytesKeyspace, DrawFrom, Store};
/// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
/// pages.put(b"a", b"text")?;
/// assert_eq!(pages.draw(DrawFrom::Expiring, 5, 17)?.len(), 0);
/// assert_eq!(pages.draw(DrawFrom::All, 5, 17)?.len(), 5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrawFrom {
    /// All entries.
    All,
    /// Those that expire. Evenly, if at least one in a few does; where they are rare, those before
    /// which nothing expires for long are drawn more often.
    Expiring,
}

/// An entry that was drawn.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{BytesKeyspace, DrawFrom, Store};
/// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
/// pages.put(b"a", b"text")?;
/// let drawn = &pages.draw(DrawFrom::All, 1, 17)?[0];
/// assert_eq!((&drawn.key[..], drawn.expires_at_ms), (&b"a"[..], None));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrawnEntry<K> {
    /// Its key.
    pub key: K,
    /// What is known of its uses.
    pub last_use: LastUse,
    /// When it expires, in milliseconds since the Unix epoch; that time may have come.
    pub expires_at_ms: Option<u64>,
}

/// What the keys of a keyspace take in memory, about.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{BytesKeyspace, Store};
/// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
/// let before = pages.footprint().held_bytes;
/// pages.put(b"a", b"text")?;
/// assert!(pages.footprint().held_bytes > before);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Footprint {
    /// Memory for keys, and what is known of each.
    pub held_bytes: u64,
    /// The part of it that belongs to keys which a range delete took away, and which the
    /// background gives back.
    pub leaving_bytes: u64,
    /// The number of those keys.
    pub leaving_entries: u64,
}

impl From<KnownUse> for LastUse {
    fn from(KnownUse { written, idle_ticks, frequency }: KnownUse) -> Self {
        LastUse { written, idle_ticks, frequency }
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// Says what is remembered of uses from now on: of reads by key (not by iterating, nor
    /// [`Keyspace::contains`] and [`Keyspace::peek`]) and of writes.
    ///
    /// What is there counts as used now, once. Nothing of it is stored. Costs a step through all
    /// keys, shard by shard; others read and write meanwhile.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{BytesKeyspace, Store, UsesRemembered};
    /// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
    /// pages.put(b"a", b"text")?;
    /// pages.remember_uses(UsesRemembered::LastUse)?;
    /// pages.set_use_tick(3);
    /// pages.get(b"a")?;
    /// assert_eq!(pages.last_use(b"a")?.expect("it is there").idle_ticks, Some(0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BadOption`] for a keyspace with a budget, [`Error::Closed`], [`Error::Poisoned`].
    pub fn remember_uses(&self, what: UsesRemembered) -> Result<()> {
        self.engine().check_open()?;
        if self.index().budget_bytes().is_some() {
            let what = "the keyspace has a budget, whose they are".to_owned();
            return Err(Error::BadOption { option: "remember_uses", what });
        }
        self.index().remember_uses(match what {
            UsesRemembered::Nothing => Remembered::Nothing,
            UsesRemembered::LastUse => Remembered::Time,
            UsesRemembered::Frequency { log_factor, decay_ticks } => {
                Remembered::Frequency(Heat { log_factor, decay_ticks })
            }
        });
        Ok(())
    }

    /// Sets the time of uses from now on, in ticks of whatever length: nobody asks a clock for each
    /// read. It may wrap.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{BytesKeyspace, Store, UsesRemembered};
    /// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
    /// pages.remember_uses(UsesRemembered::LastUse)?;
    /// pages.put(b"a", b"text")?;
    /// pages.set_use_tick(60);
    /// assert_eq!(pages.last_use(b"a")?.expect("it is there").idle_ticks, Some(60));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_use_tick(&self, tick: u32) {
        self.index().set_use_tick(tick);
    }

    /// What is known of a key's uses; `None` if it is not there. Is no use itself.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{BytesKeyspace, Store};
    /// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
    /// let written = pages.put(b"a", b"text")?;
    /// assert_eq!(pages.last_use(b"a")?.expect("it is there").written, written);
    /// assert_eq!(pages.last_use(b"b")?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Poisoned`].
    pub fn last_use(&self, key: impl AsKey<K>) -> Result<Option<LastUse>> {
        self.engine().check_open()?;
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        let is_alive = |state: &State| state.is_alive(|| self.engine().clock.now_ms());
        Ok(self.index().known_use(&bytes, is_alive).map(LastUse::from))
    }

    /// Counts a use of a key without reading it; false if it is not there. Remembered until the
    /// key is written, even where other uses are not.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{BytesKeyspace, Store};
    /// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
    /// pages.put(b"a", b"text")?;
    /// assert!(pages.use_key(b"a")?);
    /// assert_eq!(pages.last_use(b"a")?.expect("it is there").idle_ticks, Some(0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Poisoned`].
    pub fn use_key(&self, key: impl AsKey<K>) -> Result<bool> {
        self.engine().check_open()?;
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        let is_alive = |state: &State| state.is_alive(|| self.engine().clock.now_ms());
        Ok(self.index().touch_use(&bytes, is_alive))
    }

    /// The entry of a key, without counting it as used. Its value is read when asked for.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{BytesKeyspace, Store, UsesRemembered};
    /// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
    /// pages.remember_uses(UsesRemembered::LastUse)?;
    /// pages.put(b"a", b"text")?;
    /// pages.set_use_tick(9);
    /// assert_eq!(&pages.peek(b"a")?.expect("it is there").value_bytes()?[..], b"text");
    /// assert_eq!(pages.last_use(b"a")?.expect("it is there").idle_ticks, Some(9));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Poisoned`].
    pub fn peek(&self, key: impl AsKey<K>) -> Result<Option<Entry<K, V, C>>> {
        self.engine().check_open()?;
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        let (index, engine) = (self.index(), self.engine());
        let (hash, now_ms) = (index.hash(&bytes), engine.clock.now_ms());
        self.entry(|| {
            let item = index.find(&bytes, hash, |state| {
                state.is_alive(|| now_ms).then(|| engine.item(&bytes, state)).flatten()
            });
            item.flatten()
        })
    }

    /// Draws `count` entries at random by this seed, the same one perhaps twice, and those past
    /// their time too; fewer where range deletes are being worked off.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{BytesKeyspace, DrawFrom, Store, UsesRemembered};
    /// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
    /// pages.remember_uses(UsesRemembered::LastUse)?;
    /// for (tick, key) in (0..).zip([b"a", b"b", b"c"]) {
    ///     pages.set_use_tick(tick);
    ///     pages.put(key, b"text")?;
    /// }
    /// let drawn = pages.draw(DrawFrom::All, 100, 17)?;
    /// let oldest = drawn.iter().max_by_key(|drawn| drawn.last_use.idle_ticks);
    /// assert_eq!(oldest.expect("three to draw from").key, b"a");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] for a key, [`Error::Closed`], [`Error::Poisoned`].
    pub fn draw(&self, from: DrawFrom, count: usize, seed: u64) -> Result<Vec<DrawnEntry<K>>> {
        self.engine().check_open()?;
        let mut rng = fastrand::Rng::with_seed(seed);
        let from = match from {
            DrawFrom::All => Drawn::All,
            DrawFrom::Expiring => Drawn::Expiring,
        };
        let mut drawn: Vec<Result<DrawnEntry<K>, BoxError>> = Vec::with_capacity(count);
        self.index().draw(
            from,
            count,
            || rng.u64(..),
            |key, state, known| {
                drawn.push(crate::key::decode_whole(key).map(|key| DrawnEntry {
                    key,
                    last_use: known.into(),
                    expires_at_ms: state.expires_at_ms.filter(|at| *at != crate::index::NEVER_MS),
                }));
            },
        );
        drawn.into_iter().map(|entry| entry.map_err(super::decode_error)).collect()
    }

    /// What its keys take in memory: from counts, so it is cheap enough to be asked for each write.
    /// [`KeyspaceStats::keydir_bytes`](crate::KeyspaceStats::keydir_bytes) is measured.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{BytesKeyspace, Store};
    /// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
    /// for n in 0..1_000_u32 {
    ///     pages.put(&n.to_be_bytes()[..], b"text")?;
    /// }
    /// let full = pages.footprint();
    /// pages.clear()?;
    /// let empty = pages.footprint();
    /// assert!(empty.held_bytes - empty.leaving_bytes < full.held_bytes - 30_000);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let held_bytes = self.index().footprint_bytes();
        let (leaving_entries, leaving_bytes) = self.index().leaving();
        Footprint { held_bytes, leaving_bytes: leaving_bytes.min(held_bytes), leaving_entries }
    }

    /// What one more key of this length adds to the footprint, with or without an expiry.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{BytesKeyspace, Store};
    /// let pages: BytesKeyspace = Store::in_memory()?.keyspace("pages")?;
    /// assert!((30..100).contains(&pages.bytes_per_key(1, false)));
    /// assert!(pages.bytes_per_key(10, true) > pages.bytes_per_key(10, false));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn bytes_per_key(&self, key_len_bytes: usize, expires: bool) -> u64 {
        self.index().bytes_of(key_len_bytes, expires)
    }
}
