//! One database as a handler sees it.

use std::collections::HashSet;

use super::pending::{Change, Latest, What};
use super::{Class, Data, Expiry, Place, StoreError, Stored, Type, Value};

type Result<T> = std::result::Result<T, StoreError>;

/// One database, lent to a handler. Reads see the pending changes of the running command.
#[derive(Debug)]
pub(crate) struct Db<'a> {
    pub(super) data: &'a mut Data,
    pub(super) place: Place,
}

/// What the pending changes leave to ask the store.
enum Seen {
    /// Nothing pending: the store decides.
    Untouched,
    /// The store's value, with this expiry.
    Touched(Option<u64>),
    Put(Value, Option<u64>),
    Absent,
}

impl<'a> Db<'a> {
    pub(super) fn new(data: &'a mut Data, place: Place) -> Self {
        Db { data, place }
    }

    /// The value of `key`.
    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<Stored>> {
        let value = match self.seen(key) {
            Seen::Untouched => self.stored(key)?,
            Seen::Touched(at) if self.is_past(at) => None,
            Seen::Touched(_) => self.stored(key)?,
            Seen::Put(value, at) if !self.is_past(at) => Some(value),
            Seen::Put(..) | Seen::Absent => None,
        };
        let lookups = &mut self.data.lookups;
        let counter = if value.is_some() { &mut lookups.hits } else { &mut lookups.misses };
        *counter += 1;
        if value.is_none() {
            self.miss(key);
        }
        value.map(Stored::new).transpose()
    }

    /// Hands what `key` holds to `f`, its type and the bytes after the type tag: not copied, where
    /// nothing is pending. `None` if there is no key.
    #[inline]
    pub(crate) fn read_with<R>(
        &mut self,
        key: &[u8],
        f: impl FnOnce(Type, &[u8]) -> R,
    ) -> Result<Option<R>> {
        if !self.data.pending.is_empty() || self.data.is_quiet {
            let found = self.get(key)?;
            return Ok(found.map(|stored| f(stored.kind(), stored.payload())));
        }
        let found = self.data.engine.get_with(self.place.home, key, |value| {
            let (tag, payload) = value.split_first()?;
            Some(f(Type::from_tag(*tag)?, payload))
        })?;
        let lookups = &mut self.data.lookups;
        let counter = if found.is_some() { &mut lookups.hits } else { &mut lookups.misses };
        *counter += 1;
        if found.is_none() {
            self.miss(key);
        }
        found.map(|read| read.ok_or(StoreError::UnknownType)).transpose()
    }

    #[inline]
    fn stored(&self, key: &[u8]) -> Result<Option<Value>> {
        if self.data.is_quiet {
            return self.data.engine.peek(self.place.home, key);
        }
        self.data.engine.get(self.place.home, key)
    }

    /// True if `key` exists; cheaper than [`Db::get`].
    pub(crate) fn contains(&mut self, key: &[u8]) -> Result<bool> {
        let exists = self.holds(key)?;
        if !exists {
            self.miss(key);
        }
        Ok(exists)
    }
    /// The same, without being noticed: a key that is not there is no miss.
    pub(crate) fn holds(&mut self, key: &[u8]) -> Result<bool> {
        match self.seen(key) {
            Seen::Untouched => self.data.engine.contains(self.place.home, key),
            Seen::Touched(at) | Seen::Put(_, at) => Ok(!self.is_past(at)),
            Seen::Absent => Ok(false),
        }
    }

    /// The type of `key`. Asking is no use of it, and reads no long value.
    pub(crate) fn kind(&mut self, key: &[u8]) -> Result<Option<Type>> {
        if self.data.pending.is_empty()
            && self.data.engine.is_string_by_length(self.place.home, key)?
            && self.holds(key)?
        {
            self.data.lookups.hits += 1;
            return Ok(Some(Type::String));
        }
        let was_quiet = std::mem::replace(&mut self.data.is_quiet, true);
        let stored = self.get(key);
        self.data.is_quiet = was_quiet;
        Ok(stored?.map(|stored| stored.kind()))
    }

    /// When `key` expires, in milliseconds since the Unix epoch. `None`: no such key;
    /// `Some(None)`: it exists and does not expire.
    #[expect(clippy::option_option, reason = "absent and without expiry are different answers")]
    pub(crate) fn expires_at_ms(&mut self, key: &[u8]) -> Result<Option<Option<u64>>> {
        let at = self.expiry(key)?;
        if at.is_none() {
            self.miss(key);
        }
        Ok(at)
    }
    /// The same, without being noticed.
    #[expect(clippy::option_option, reason = "absent and without expiry are different answers")]
    fn expiry(&mut self, key: &[u8]) -> Result<Option<Option<u64>>> {
        Ok(match self.seen(key) {
            Seen::Untouched => self.data.engine.expires_at_ms(self.place.home, key)?,
            Seen::Touched(at) | Seen::Put(_, at) => (!self.is_past(at)).then_some(at),
            Seen::Absent => None,
        })
    }

    /// Writes a value; what `key` held is gone. Costs no look-up unless the expiry is kept, or the
    /// database holds collections, as `key` may be one.
    pub(crate) fn put(
        &mut self,
        key: &[u8],
        kind: Type,
        payload: &[u8],
        expiry: Expiry,
    ) -> Result<()> {
        self.put_edited(key, kind, expiry, (payload, payload.len()), |_| ())
    }

    /// Writes a value of `len` bytes that begins with `beginning` and goes on with zeros, after
    /// `f` has changed it: large values are copied once only.
    pub(crate) fn put_edited<R>(
        &mut self,
        key: &[u8],
        kind: Type,
        expiry: Expiry,
        (beginning, len): (&[u8], usize),
        f: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R> {
        let at = match expiry {
            Expiry::None => None,
            Expiry::At(at) => Some(at),
            Expiry::Keep => self.expiry(key)?.flatten(),
        };
        if self.data.is_heard {
            self.foretell(key)?;
        }
        self.drop_elements_of(key)?;
        let value = (kind.tag(), beginning, len);
        Ok(self.data.pending.put_edited(self.place, key, value, at, f))
    }

    /// The same of the string `old` that `key` holds, or an empty one if there is no key, made
    /// `len` bytes long if it is shorter; its expiry stays.
    pub(crate) fn edit<R>(
        &mut self,
        key: &[u8],
        old: &[u8],
        len: usize,
        f: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R> {
        let value = (old, len.max(old.len()));
        self.put_edited(key, Type::String, Expiry::Keep, value, f)
    }

    /// Removes `key` with all it holds; false if there was none.
    pub(crate) fn delete(&mut self, key: &[u8]) -> Result<bool> {
        let existed = self.holds(key)?;
        if existed {
            self.drop_elements_of(key)?;
            self.data.pending.delete(self.place, key);
        }
        Ok(existed)
    }

    /// Gives `key` an expiry in the future, leaving its value; false if there is no such key.
    /// (For a time that has passed, delete the key.)
    pub(crate) fn set_expires_at_ms(&mut self, key: &[u8], at_ms: u64) -> Result<bool> {
        let exists = self.holds(key)?;
        if exists {
            self.data.pending.expire(self.place, key, Some(at_ms));
        }
        Ok(exists)
    }

    /// Takes the expiry from `key`; false if there is no such key or it had none.
    pub(crate) fn persist(&mut self, key: &[u8]) -> Result<bool> {
        let had_one = self.expires_at_ms(key)?.flatten().is_some();
        if had_one {
            self.data.pending.expire(self.place, key, None);
        }
        Ok(had_one)
    }

    /// Removes every key.
    pub(crate) fn clear(&mut self) {
        self.data.pending.clear_db(self.place);
    }

    /// The number of keys. Keys past their time count until they are removed.
    pub(crate) fn len(&mut self) -> Result<u64> {
        let mut len = if self.is_cleared() { 0 } else { self.data.engine.len(self.place.home) };
        for key in self.pending_keys() {
            let before = !self.is_cleared() && self.in_store(&key)?;
            match (before, self.contains(&key)?) {
                (false, true) => len += 1,
                (true, false) => len = len.saturating_sub(1),
                _ => {}
            }
        }
        Ok(len)
    }

    /// One step of a walk over all keys, in no order: about `limit` keys, and the cursor for the
    /// next step, 0 at the end. A key that is there throughout is returned at least once.
    pub(crate) fn scan(&mut self, cursor: u64, limit: usize) -> Result<(Vec<Vec<u8>>, u64)> {
        let (mut keys, mut next) = (Vec::new(), 0);
        if !self.is_cleared() {
            (keys, next) = self.data.engine.scan(self.place.home, cursor, limit)?;
        }
        if self.data.pending.is_empty() {
            return Ok((keys, next));
        }
        // Only inside MULTI, after writes: what they added comes with the first step.
        let mut kept = Vec::with_capacity(keys.len());
        for key in keys {
            if self.contains(&key)? {
                kept.push(key);
            }
        }
        if cursor == 0 {
            for key in self.pending_keys() {
                if self.contains(&key)? && (self.is_cleared() || !self.in_store(&key)?) {
                    kept.push(key);
                }
            }
        }
        Ok((kept, next))
    }

    /// Calls `f` with every key, in no order.
    pub(crate) fn for_each_key(&mut self, mut f: impl FnMut(&[u8])) -> Result<()> {
        let mut cursor = 0;
        loop {
            let (keys, next) = self.scan(cursor, 1024)?;
            keys.iter().for_each(|key| f(key));
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// A key chosen evenly by `seed`.
    pub(crate) fn random(&mut self, seed: u64) -> Result<Option<Vec<u8>>> {
        if !self.is_cleared()
            && let Some(key) = self.data.engine.random(self.place.home, seed)?
            && self.contains(&key)?
        {
            return Ok(Some(key));
        }
        // Empty, or the changes of this MULTI hide what was drawn.
        if self.data.pending.is_empty() {
            return Ok(None);
        }
        let mut keys = Vec::new();
        self.for_each_key(|key| keys.push(key.to_vec()))?;
        let mut rng = fastrand::Rng::with_seed(seed);
        Ok((!keys.is_empty()).then(|| keys.swap_remove(rng.usize(..keys.len()))))
    }

    /// Tells whoever listens what happened to `key`.
    pub(crate) fn tell(&mut self, class: Class, name: &'static str, key: &[u8]) {
        if self.data.is_heard {
            self.data.pending.tell(self.place, (class, name), key);
        }
    }

    /// A key that is not there was looked up.
    #[inline]
    fn miss(&mut self, key: &[u8]) {
        if self.data.tells_misses {
            self.tell(Class::KeyMiss, "keymiss", key);
        }
    }

    /// `key` is about to be written. If it was there and its time had come, nobody has been told
    /// of that end, and nobody else will; and it may be new.
    #[cold]
    pub(super) fn foretell(&mut self, key: &[u8]) -> Result<()> {
        let notified = self.data.notified;
        let is_of_interest = notified.has(Class::New) || notified.has(Class::Expired);
        if !is_of_interest || self.holds(key)? {
            return Ok(());
        }
        let is_untouched = self.data.pending.latest(self.place.home, key).is_none();
        if is_untouched && self.data.engine.is_stored(self.place.home, key)? {
            self.tell(Class::Expired, "expired", key);
        }
        self.tell(Class::New, "new", key);
        Ok(())
    }

    /// A value that was made elsewhere is about to take the place of what `key` holds: that goes
    /// first, so the key is new.
    pub(super) fn foretell_replaced(&mut self, key: &[u8]) -> Result<()> {
        if self.data.is_heard && self.data.notified.has(Class::New) && self.holds(key)? {
            self.tell(Class::New, "new", key);
        }
        Ok(())
    }

    fn seen(&mut self, key: &[u8]) -> Seen {
        match self.data.pending.latest(self.place.home, key) {
            None => Seen::Untouched,
            Some(Latest::Changed(What::Put { value, expires_at_ms })) => {
                Seen::Put(Value::from(value.to_vec()), expires_at_ms)
            }
            Some(Latest::Changed(What::Expire(at))) => Seen::Touched(at),
            Some(Latest::Changed(What::Delete) | Latest::Cleared) => Seen::Absent,
        }
    }
    pub(super) fn is_past(&self, at: Option<u64>) -> bool {
        at.is_some_and(|at| at <= self.data.now_ms)
    }
    fn in_store(&self, key: &[u8]) -> Result<bool> {
        self.data.engine.contains(self.place.home, key)
    }
    fn is_cleared(&self) -> bool {
        self.data.pending.clears(self.place.home)
    }
    /// Every key of this database among the pending changes, once.
    fn pending_keys(&self) -> Vec<Vec<u8>> {
        let keys: HashSet<&[u8]> = self
            .data
            .pending
            .iter()
            .filter_map(|(place, change)| match change {
                Change::Key(key, _) if place.home == self.place.home => Some(key),
                _ => None,
            })
            .collect();
        keys.into_iter().map(<[u8]>::to_vec).collect()
    }
}
