//! Recovering what can be read from a store that cannot be opened, into a new one.
//!
//! Knows what was found and how to copy it. The old store is only read.
//!
//! # Invariants
//!
//! V1. Nothing in the old store changes, and the new one is made where there was none.
//! V2. Only bytes whose checksum fits are copied; of a key the newest record that can be read
//!     counts.
//! V3. What is known to be lost is listed.

use crate::{
    codec::Raw,
    engine::KeyspaceCore,
    error::{Error, Result},
    ids::KeyspaceId,
    index::State,
    iter::Entry,
    keyspace::BytesKeyspace,
    log::KeyspaceMeta,
    options::{Durability, Options, Put},
    recovery::{self, FoundFile},
    store::{HIDDEN, Store},
    verify::{Damage, sweep},
};
use std::{collections::BTreeSet, path::Path, sync::Arc};

/// What came of a salvage.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let (old, new) = (dir.path().join("old"), dir.path().join("new"));
/// # let store = kvcore::Store::open(&old)?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// # users.put("ada", &36)?;
/// # store.close()?;
/// let salvaged = kvcore::salvage(&old, &new)?;
/// for damage in &salvaged.lost {
///     eprintln!("lost: {damage}");
/// }
/// assert_eq!((salvaged.keyspaces, salvaged.keys), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// Keyspaces in the new store.
    pub keyspaces: u64,
    /// Keys copied with their values.
    pub keys: u64,
    /// Bytes of keys and values copied.
    pub bytes: u64,
    /// What could not be read: files, offsets, bytes. Empty for a sound store.
    pub lost: Vec<Damage>,
    /// Names given to keyspaces whose description was lost: their types are unknown.
    pub unknown_keyspaces: Vec<String>,
}

/// Recovers everything that can be read from the store in `from` into a new store in `to`, also
/// from one that refuses to open: with damaged or missing manifests, headers, data, hints or blobs.
///
/// Of a sound store it makes a full copy, under a new identity and without history.
///
/// Every record vouches for itself by its checksum, so what is copied is what was written. Known
/// losses are listed. Where the last change of a key is among them, the key shows up with an older
/// value that can still be read, or as not deleted.
///
/// Keyspaces keep their name and types if the manifest can be read, an older one too. Without one,
/// they are called `keyspace-1`, `keyspace-2` … by their number, with keys of tag `bytes` and
/// values of codec `raw`: [`Store::raw_keyspace`] reads them. Then also records that merge had
/// dropped may come back, if their files had not been removed yet.
///
/// Keys, not values, must fit into memory. The old store must not be open for writing.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let (old, new) = (dir.path().join("old"), dir.path().join("new"));
/// let store = kvcore::Store::open(&old)?;
/// let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// store.close()?;
/// let salvaged = kvcore::salvage(&old, &new)?;
/// assert!(salvaged.lost.is_empty() && salvaged.keys == 1);
/// let store = kvcore::Store::open(&new)?;
/// let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// assert_eq!(users.get("ada")?, Some(36));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::NotAStore`] if nothing says whose bytes there are, or if `to` is not empty;
/// [`Error::Io`] for the new store. Damage is no error.
pub fn salvage(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Salvaged> {
    Options::new().durability(Durability::Buffered).salvage(from, to, |_| {})
}

impl Options {
    /// The same as [`salvage`](crate::salvage()) with these options for both stores, telling the
    /// number of keys copied so far now and then.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    /// # let store = kvcore::Store::open(&old)?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// # users.put("ada", &36)?;
    /// # store.close()?;
    /// use kvcore::{Options, ReadMode};
    /// // From a disk with sectors that cannot be read: `Map` would end the process there.
    /// let options = Options::new().read_mode(ReadMode::Pread);
    /// let salvaged = options.salvage(&old, &new, |keys| eprintln!("{keys} keys"))?;
    /// assert_eq!(salvaged.keys, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`salvage`](crate::salvage()).
    pub fn salvage(
        &self,
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
        mut progress: impl FnMut(u64),
    ) -> Result<Salvaged> {
        let mut salvaged = Salvaged::default();
        let old = open_damaged(from.as_ref(), self, &mut salvaged)?;
        check_new(to.as_ref(), self)?;
        let new = self.clone().open(to)?;
        // Those of the store's own: what a migration left unfinished is not seen, and goes.
        let shown = |core: &Arc<KeyspaceCore>| !core.meta.name.starts_with(HIDDEN);
        for core in old.engine().all_keyspaces().into_iter().filter(shown) {
            salvaged.keyspaces += 1;
            let target = new.engine().keyspace(core.meta.clone())?;
            let (source, target) = (old.bytes_of(core), new.bytes_of(target));
            copy_keyspace(&source, &target, &mut salvaged, &mut progress)?;
            match source.last_id() {
                Ok(last) => target.skip_ids(last)?,
                Err(e) => salvaged.lost.push(Damage::of(e)?),
            }
        }
        new.close()?;
        Ok(salvaged)
    }
}

/// Nothing is added to a store that is there.
fn check_new(to: &Path, options: &Options) -> Result<()> {
    match options.disk.list(to) {
        Ok(entries) if !entries.is_empty() => {
            let what = "a new store is to be made here, and it is not empty".to_owned();
            Err(Error::NotAStore { path: to.to_path_buf(), what })
        }
        _ => Ok(()),
    }
}

/// The old store, read-only, with whatever can be read of it.
fn open_damaged(from: &Path, options: &Options, salvaged: &mut Salvaged) -> Result<Store> {
    let mut found = recovery::survey(from, options)?;
    salvaged.lost.append(&mut found.damage);
    for id in found.missing() {
        let path = from.join(crate::log::file_names::data(id));
        salvaged.lost.push(Damage::new(&path, 0, 0, "the log file is missing"));
    }
    let mut ids = BTreeSet::new();
    for part in &found.parts {
        look_through(part, &mut ids, &mut salvaged.lost)?;
    }
    let manifest = found.store.manifest_mut();
    let known: BTreeSet<KeyspaceId> = manifest.keyspaces.iter().map(|k| k.id).collect();
    // With the newest manifest at hand, what it does not name was dropped.
    if !found.is_current {
        for id in ids.difference(&known) {
            let meta = unknown(*id);
            salvaged.unknown_keyspaces.push(meta.name.clone());
            found.store.manifest_mut().keyspaces.push(meta);
        }
    }
    let (engine, recovery) = recovery::open_damaged(found)?;
    Ok(Store::read_only(engine, recovery))
}

/// Notes keyspaces and gaps of one file.
fn look_through(
    part: &FoundFile,
    ids: &mut BTreeSet<KeyspaceId>,
    lost: &mut Vec<Damage>,
) -> Result<()> {
    let path = &part.file.path;
    if let Some(what) = &part.damage {
        lost.push(Damage::new(path, 0, 0, format!("file header: {what}")));
    }
    let mut gaps = Vec::new();
    let swept = sweep(
        &part.file,
        part.len,
        |_, frame| {
            ids.extend(frame.members().filter_map(|m| m.record.keyspace()));
        },
        |gap| gaps.push(gap),
    );
    if let Err(e) = swept {
        lost.push(Damage::of(e)?);
    }
    let is_lost = |gap: &crate::verify::Gap| part.is_exact || !gap.is_end;
    lost.extend(gaps.into_iter().filter(is_lost).map(|gap| gap.damage(path)));
    Ok(())
}

/// A keyspace of which nothing but the number is left.
fn unknown(id: KeyspaceId) -> KeyspaceMeta {
    KeyspaceMeta {
        id,
        name: format!("keyspace-{}", id.0),
        key_tag: "bytes".to_owned(),
        codec: "raw".to_owned(),
        schema_version: 0,
        options: 0,
        type_name: "[u8]".to_owned(),
        dropped: false,
    }
}

impl Salvaged {
    fn lose(&mut self, damage: Damage) {
        if !self.lost.contains(&damage) {
            self.lost.push(damage);
        }
    }
}

/// Copies a value of any length in constant memory: whole, or not at all.
fn copy_large(
    entry: &Entry<Vec<u8>, [u8], Raw>,
    target: &BytesKeyspace,
    put: Put,
    salvaged: &mut Salvaged,
) -> Result<()> {
    let put = put.with_durability(Durability::Buffered);
    let reader = match entry.reader() {
        Ok(reader) => reader,
        Err(e) => {
            salvaged.lose(Damage::of(e)?);
            return Ok(());
        }
    };
    let bytes = entry.key().len() as u64 + reader.len();
    match target.put_reader_with(entry.key(), reader, put) {
        Ok(_) => {
            salvaged.keys += 1;
            salvaged.bytes += bytes;
            Ok(())
        }
        Err(Error::Source { source }) => {
            salvaged.lose(Damage::of(source.downcast::<Error>().map_err(unexpected)?)?);
            Ok(())
        }
        Err(e) => Err(e),
    }
}

/// Readers of values fail with the store's errors and no others.
fn unexpected(source: std::io::Error) -> Error {
    Error::Source { source }
}

/// Keys copied per commit.
const COMMIT_KEYS: usize = 256;
/// Bytes copied per commit, about.
const COMMIT_BYTES: u64 = 1 << 20;

fn copy_keyspace(
    source: &BytesKeyspace,
    target: &BytesKeyspace,
    salvaged: &mut Salvaged,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut cursor = crate::ScanCursor::default();
    let (is_owned, now_ms) =
        (source.inner.core.is_expired_by_owner(), source.store().engine().clock.now_ms());
    // What has expired is gone, unless its owner has still to see it.
    let is_kept = |state: &State| is_owned || state.is_alive(|| now_ms);
    loop {
        let (page, next) = source.scan_where(cursor, COMMIT_KEYS, is_kept)?;
        let mut batch = target.store().batch();
        let mut bytes = 0;
        for entry in page {
            let put = entry.expires_at_ms().map_or_else(Put::default, Put::at_ms);
            if entry.is_large() {
                copy_large(&entry, target, put, salvaged)?;
                continue;
            }
            let value = match entry.value_bytes() {
                Ok(value) => value,
                Err(e) => {
                    salvaged.lose(Damage::of(e)?);
                    continue;
                }
            };
            let key = entry.key();
            salvaged.keys += 1;
            bytes += key.len() as u64 + value.len() as u64;
            batch.put_with(target, key, &value, put)?;
            if bytes >= COMMIT_BYTES {
                std::mem::replace(&mut batch, target.store().batch())
                    .commit_with(Durability::Buffered)?;
                salvaged.bytes += std::mem::take(&mut bytes);
            }
        }
        batch.commit_with(Durability::Buffered)?;
        salvaged.bytes += bytes;
        progress(salvaged.keys);
        cursor = next;
        if cursor == crate::ScanCursor::default() {
            return Ok(());
        }
    }
}
