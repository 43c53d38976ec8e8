//! Giving a keyspace another schema: its entries are rewritten, and then it is replaced at once.
//!
//! # Invariants
//!
//! T1. The new entries go into a hidden keyspace. Until it is whole, durable, and given the name by
//!     one replacement of the manifest, the old keyspace is what a crash or an error leaves.
//! T2. The old keyspace takes no writes meanwhile. How far the rewriting has come is committed
//!     together with what it wrote, so that a crash neither loses nor repeats an entry.
//! T3. Rewriting goes on after a crash only if the old keyspace has not changed since.

use super::{Store, registry::check_schema};
use crate::{
    batch::Batch,
    codec::{Codec, Raw},
    engine::{Engine, KeyspaceCore},
    error::{Error, Result},
    index::State,
    iter::Entry,
    key::{Key, Position},
    keyspace::{BytesKeyspace, Keyspace, ScanCursor},
    log::KeyspaceMeta,
    options::{Durability, Put},
    schema::Schema,
};
use std::{borrow::Borrow, collections::HashSet, sync::Arc};

/// How far a migration has come; see [`Store::migrate_with_progress`].
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// use kvcore::{MigrationProgress, Schema};
/// const V1: Schema<u64, u64> = Schema::new("ages").version(1);
/// const V2: Schema<u64, String> = Schema::new("ages").version(2);
/// store.keyspace(V1)?.put(1, &36)?;
/// let bar = |p: MigrationProgress| eprintln!("{} of {}", p.entries_done, p.entries_total);
/// store.migrate_with_progress(V1, V2, |id, age| Ok(Some((id, age.to_string()))), bar)?;
/// assert_eq!(store.keyspace(V2)?.get(1)?.as_deref(), Some("36"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationProgress {
    /// Old entries that have been dealt with, durably or not.
    pub entries_done: u64,
    /// Old entries in all, those that have expired included.
    pub entries_total: u64,
}

/// Entries of one batch.
const BATCH_ENTRIES: usize = 512;
/// A batch of more than one entry has at most this many bytes of old values.
const BATCH_BYTES_MAX: u64 = 8 << 20;

impl Store {
    /// Rewrites a keyspace of the schema `from` as one of the schema `to`, whose name is the same:
    /// `f` makes the new entry of each old one, or drops it. True if that was done now.
    ///
    /// Nothing happens if the keyspace does not have the schema `from`, so a program calls this at
    /// every start, once per step from its oldest schema to its newest, and then opens the keyspace
    /// with the newest.
    ///
    /// The old entries are gone, and the new ones there, in one step at the end. Expiries are kept,
    /// and [`Keyspace::next_id`] goes on where it was.
    /// Meanwhile the old keyspace can be read and takes no writes; handles of it are of no use
    /// afterwards. Works in batches of some hundred entries, in memory that does not depend on
    /// their number; takes space for both until the end.
    ///
    /// After a crash the next call goes on where it was, calling `f` only for entries that were not
    /// done, provided the old keyspace has not changed in between; else it starts again. Until that
    /// call, or until the keyspace is dropped, what was written takes space, and is not seen.
    ///
    /// Expired entries are not migrated, unless they are their owner's to remove
    /// ([`Schema::expired_by_owner`]).
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// use kvcore::Schema;
    /// const AGES_1: Schema<String, u64> = Schema::new("ages").version(1);
    /// const AGES: Schema<u64, (String, u64)> = Schema::new("ages").version(2);
    /// store.keyspace(AGES_1)?.put("7:ada", &36)?;
    ///
    /// store.migrate(AGES_1, AGES, |key, age| {
    ///     let Some((id, name)) = key.split_once(':') else { return Ok(None) };
    ///     let id = id.parse().map_err(kvcore::Error::abort)?;
    ///     Ok(Some((id, (name.to_owned(), age))))
    /// })?;
    /// assert_eq!(store.keyspace(AGES)?.get(7)?, Some(("ada".to_owned(), 36)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `f`; [`Error::Aborted`] if two entries become the same key; [`Error::BadOption`] if
    /// the schemas differ in name, or in nothing else; [`Error::KeyspaceGone`] if the keyspace is
    /// being migrated or dropped already; and as [`Batch::commit`]. The old keyspace is then as it
    /// was, and what was written for the new one is dropped.
    pub fn migrate<K1, V1, C1, K2, V2, C2>(
        &self,
        from: Schema<'_, K1, V1, C1>,
        to: Schema<'_, K2, V2, C2>,
        f: impl FnMut(K1, C1::Owned) -> Result<Option<(K2, C2::Owned)>>,
    ) -> Result<bool>
    where
        K1: Key,
        V1: ?Sized + 'static,
        C1: Codec<V1>,
        K2: Key,
        V2: ?Sized + 'static,
        C2: Codec<V2>,
    {
        self.migrate_with_progress(from, to, f, |_| {})
    }

    /// The same, with a call after each batch.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use kvcore::Schema;
    /// const AGES_1: Schema<String, u8> = Schema::new("ages").version(1);
    /// const AGES: Schema<String, u64> = Schema::new("ages").version(2);
    /// store.keyspace(AGES_1)?.put("ada", &36)?;
    /// let wider = |name, age| Ok(Some((name, u64::from(age))));
    /// store.migrate_with_progress(AGES_1, AGES, wider, |progress| {
    ///     println!("{} of {}", progress.entries_done, progress.entries_total);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Store::migrate`].
    pub fn migrate_with_progress<K1, V1, C1, K2, V2, C2>(
        &self,
        from: Schema<'_, K1, V1, C1>,
        to: Schema<'_, K2, V2, C2>,
        f: impl FnMut(K1, C1::Owned) -> Result<Option<(K2, C2::Owned)>>,
        on_progress: impl FnMut(MigrationProgress),
    ) -> Result<bool>
    where
        K1: Key,
        V1: ?Sized + 'static,
        C1: Codec<V1>,
        K2: Key,
        V2: ?Sized + 'static,
        C2: Codec<V2>,
    {
        let (old_meta, new_meta) = (from.meta(), to.meta());
        check_pair(&old_meta, &new_meta)?;
        let engine = self.engine();
        engine.check_open()?;
        let found = engine.keyspaces.read().get(&old_meta.name).cloned();
        let Some(old) = found.filter(|found| check_schema(&found.meta, &old_meta).is_ok()) else {
            return Ok(false);
        };
        let frozen = Frozen::new(engine, &old)?;
        let work = Work::begin(self, &old, &new_meta)?;
        if let Err(e) = work.copy_all::<K1, V1, C1, K2, V2, C2>(f, on_progress) {
            work.give_up();
            return Err(e);
        }
        work.finish(frozen, new_meta)?;
        Ok(true)
    }
}

fn check_pair(old: &KeyspaceMeta, new: &KeyspaceMeta) -> Result<()> {
    let bad = |what: &str| Error::BadOption { option: "schema", what: what.to_owned() };
    if old.name != new.name {
        return Err(bad("a migration does not change a keyspace's name"));
    }
    if check_schema(old, new).is_ok() {
        return Err(bad("the schemas do not differ: give the new one another version"));
    }
    Ok(())
}

/// The old keyspace, which takes no writes for as long as this lives.
struct Frozen<'a>(Option<&'a KeyspaceCore>);

impl<'a> Frozen<'a> {
    fn new(engine: &Engine, core: &'a KeyspaceCore) -> Result<Frozen<'a>> {
        let _no_writer = engine.write()?;
        if !core.index.freeze(&core.meta.name) {
            return Err(Error::KeyspaceGone { keyspace: core.meta.name.clone() });
        }
        Ok(Frozen(Some(core)))
    }

    /// It is gone, and takes no writes ever again.
    fn for_ever(mut self) {
        self.0 = None;
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if let Some(core) = self.0 {
            core.index.thaw();
        }
    }
}

/// A migration in progress.
struct Work<'a> {
    store: &'a Store,
    old: &'a Arc<KeyspaceCore>,
    new: Arc<KeyspaceCore>,
    /// Holds one entry: the [`Progress`] last committed.
    cursor: Arc<KeyspaceCore>,
}

/// How far the rewriting has come, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// Where the scan of the old keyspace goes on; none at its end.
    next: Option<ScanCursor>,
    done: u64,
    /// What shows that the old keyspace has not changed (T3).
    old_len: u64,
    old_last_change: u64,
}

/// The key of the only entry of the cursor's keyspace.
const CURSOR_KEY: &[u8] = b"";
/// Stands for the end of the scan, whose cursors are below 2^40.
const AT_END: u64 = u64::MAX;

impl Progress {
    fn start(old: &KeyspaceCore) -> Progress {
        let old_last_change = old.index.last_change().0;
        Progress { next: Some(ScanCursor(0)), done: 0, old_len: old.index.len(), old_last_change }
    }

    fn encode(&self) -> Vec<u8> {
        let next = self.next.map_or(AT_END, |cursor| cursor.0);
        let words = [next, self.done, self.old_len, self.old_last_change];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn decode(bytes: &[u8]) -> Option<Progress> {
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let &[next, done, old_len, old_last_change] = words else { return None };
        let word = u64::from_le_bytes;
        let next = Some(word(next)).filter(|next| *next != AT_END).map(ScanCursor);
        let (done, old_len, old_last_change) = (word(done), word(old_len), word(old_last_change));
        Some(Progress { next, done, old_len, old_last_change })
    }

    fn is_of(&self, start: &Progress) -> bool {
        self.old_len == start.old_len && self.old_last_change == start.old_last_change
    }
}

impl<'a> Work<'a> {
    fn begin(
        store: &'a Store,
        old: &'a Arc<KeyspaceCore>,
        new_meta: &KeyspaceMeta,
    ) -> Result<Work<'a>> {
        let engine = store.engine();
        let [new_name, cursor_name] = Engine::hidden_names(&old.meta.name);
        let new_meta = KeyspaceMeta { name: new_name, ..new_meta.clone() };
        let leftover = engine.keyspaces.read().get(&new_meta.name).cloned();
        if leftover.is_some_and(|found| check_schema(&found.meta, &new_meta).is_err()) {
            engine.drop_hidden(&old.meta.name)?;
        }
        let cursor: Schema<'_, Vec<u8>, [u8], Raw> = Schema::new(&cursor_name);
        let new = engine.register(new_meta)?;
        Ok(Work { store, old, new, cursor: engine.register(cursor.meta())? })
    }

    fn cursor(&self) -> BytesKeyspace {
        Keyspace::new(Arc::clone(&self.cursor), Arc::clone(&self.store.0))
    }

    /// Where to begin: behind what an earlier attempt has done, if that is still good.
    fn resume(&self) -> Result<Progress> {
        let start = Progress::start(self.old);
        let found = self.cursor().get_bytes(CURSOR_KEY)?;
        if let Some(found) = found.as_deref().and_then(Progress::decode)
            && found.is_of(&start)
        {
            return Ok(found);
        }
        let new: BytesKeyspace = Keyspace::new(Arc::clone(&self.new), Arc::clone(&self.store.0));
        let mut batch = self.store.batch();
        batch.clear(&new)?;
        batch.clear(&self.cursor())?;
        batch.commit_with(Durability::Buffered)?;
        Ok(start)
    }

    fn copy_all<K1, V1, C1, K2, V2, C2>(
        &self,
        mut f: impl FnMut(K1, C1::Owned) -> Result<Option<(K2, C2::Owned)>>,
        mut on_progress: impl FnMut(MigrationProgress),
    ) -> Result<()>
    where
        K1: Key,
        V1: ?Sized + 'static,
        C1: Codec<V1>,
        K2: Key,
        V2: ?Sized + 'static,
        C2: Codec<V2>,
    {
        let handle = || Arc::clone(&self.store.0);
        let old: Keyspace<K1, V1, C1> = Keyspace::new(Arc::clone(self.old), handle());
        let new: Keyspace<K2, V2, C2> = Keyspace::new(Arc::clone(&self.new), handle());
        let mut progress = self.resume()?;
        while let Some(at) = progress.next {
            let (page, next) = bounded_page(&old, at)?;
            let mut batch = self.store.batch();
            let mut keys = HashSet::new();
            progress.done += page.len() as u64;
            for entry in page {
                let put = entry.expires_at_ms().map_or_else(Put::default, Put::at_ms);
                let value = entry.value()?;
                if let Some((key, value)) = f(entry.into_key(), value)? {
                    self.check_new(&key, &mut keys)?;
                    batch.put_with(&new, &key, value.borrow(), put)?;
                }
            }
            progress.next = (next != ScanCursor::default()).then_some(next);
            self.commit(batch, &progress)?;
            let (entries_done, entries_total) = (progress.done, progress.old_len);
            on_progress(MigrationProgress { entries_done, entries_total });
        }
        Ok(())
    }

    /// Refuses a key that another entry became before.
    fn check_new<K: Key>(&self, key: &K, batch: &mut HashSet<Vec<u8>>) -> Result<()> {
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        let index = &self.new.index;
        if index.state(&bytes, index.hash(&bytes)).is_some() || !batch.insert(bytes) {
            let name = &self.old.meta.name;
            return Err(Error::abort(format!("two entries of {name:?} become the same key")));
        }
        Ok(())
    }

    fn commit(&self, mut batch: Batch, progress: &Progress) -> Result<()> {
        batch.put(&self.cursor(), CURSOR_KEY, &progress.encode())?;
        batch.commit_with(Durability::Buffered).map(drop)
    }

    /// Drops what was written. What a second failure leaves is dropped by the next attempt.
    fn give_up(&self) {
        let engine = self.store.engine();
        if let Err(e) = engine.drop_hidden(&self.old.meta.name) {
            crate::trace::background_failed(&engine.dir, &e);
        }
    }

    /// Gives the new keyspace the old one's name.
    fn finish(&self, frozen: Frozen<'_>, new_meta: KeyspaceMeta) -> Result<()> {
        let engine = self.store.engine();
        self.store.inherit_ids(self.new.id(), self.old.id())?;
        engine.sync_all()?;
        engine.replace(self.old, (&self.new, new_meta), &self.cursor)?;
        // Durable from here.
        frozen.for_ever();
        crate::trace::migrated(&engine.dir, &self.old.meta.name, self.new.index.len());
        // Should this fail, the space is given back after the next open.
        for gone in [self.old, &self.cursor] {
            if let Err(e) = engine.release(gone) {
                crate::trace::background_failed(&engine.dir, &e);
            }
        }
        Ok(())
    }
}

/// A page of entries whose values are few enough bytes for one batch.
#[expect(clippy::type_complexity, reason = "a page and where to go on, as `scan` gives it")]
fn bounded_page<K: Key, V: ?Sized + 'static, C: Codec<V>>(
    old: &Keyspace<K, V, C>,
    at: ScanCursor,
) -> Result<(Vec<Entry<K, V, C>>, ScanCursor)> {
    let is_owned = old.inner.core.is_expired_by_owner();
    let now_ms = old.store().engine().clock.now_ms();
    let mut limit = BATCH_ENTRIES;
    loop {
        // What has expired is dropped, unless its owner has still to see it.
        let is_kept = |state: &State| is_owned || state.is_alive(|| now_ms);
        let (page, next) = old.scan_where(at, limit, is_kept)?;
        let bytes: u64 = page.iter().map(Entry::size_bytes).sum();
        if bytes <= BATCH_BYTES_MAX || limit == 1 {
            return Ok((page, next));
        }
        limit /= 2;
    }
}
