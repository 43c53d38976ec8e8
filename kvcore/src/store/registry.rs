//! Which keyspaces there are: registering, dropping and comparing them.
//!
//! # Invariants
//!
//! G1. A keyspace is in the manifest, durably, before anybody gets a handle to it.
//! G2. It leaves the manifest after everything committed before is durable; its number is never
//!     given out again, so records that are left of it mean nothing.

use super::Store;
use crate::{
    engine::{Engine, KeyspaceCore, PreparedBatch, When, wake},
    error::{Error, Result},
    ids::KeyspaceId,
    index::Index,
    log::{COMPRESSED, EXPIRED_BY_OWNER, KeyspaceMeta, Record, UNORDERED, compression},
    options::Durability,
};
use std::{ops::Bound, sync::Arc};

/// Names that begin like this are the store's own, and not shown.
pub(crate) const HIDDEN: char = '\0';

impl Store {
    /// Drops a keyspace with everything in it; false if there is none of this name.
    ///
    /// One record of the log, whatever the number of keys, and a change of the manifest, durable
    /// when this returns; a crash in between may leave the keyspace there and empty. Handles that
    /// are still around find nothing, and their writes are [`Error::KeyspaceGone`]. A keyspace that
    /// is registered under the name later has nothing to do with this one.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use kvcore::{Error, Keyspace};
    /// let users: Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// assert!(store.drop_keyspace("users")?);
    /// assert!(!store.drop_keyspace("users")?);
    /// assert!(matches!(users.put("ada", &36), Err(Error::KeyspaceGone { .. })));
    /// let users: Keyspace<u64, u64> = store.keyspace("users")?; // other types now
    /// assert!(users.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::KeyspaceGone`] while it is migrated, [`Error::Nested`], and as
    /// [`Batch::commit`](crate::Batch::commit). The keyspace may then be empty, and is still there.
    pub fn drop_keyspace(&self, name: &str) -> Result<bool> {
        self.engine().drop_by_name(name)
    }
}

impl Engine {
    /// The keyspace of this description, registered if it is new.
    pub(crate) fn keyspace(&self, wanted: KeyspaceMeta) -> Result<Arc<KeyspaceCore>> {
        self.check_open()?;
        if wanted.name.starts_with(HIDDEN) {
            let what =
                format!("{:?} begins with a NUL, as names of the store's own do", wanted.name);
            return Err(Error::BadOption { option: "name", what });
        }
        check_built(&wanted)?;
        let found = self.keyspaces.read().get(&wanted.name).cloned();
        if let Some(found) = found {
            let is_handed_over = is_handed_over(&found.meta, &wanted);
            let known = if is_handed_over { &expired_by_owner(&found.meta) } else { &found.meta };
            check_schema(known, &wanted)?;
            return if is_handed_over { self.hand_over(&wanted.name) } else { Ok(found) };
        }
        self.check_writable()?;
        self.register(wanted)
    }

    /// Leaves the expired entries of a keyspace to its owner from now on.
    fn hand_over(&self, name: &str) -> Result<Arc<KeyspaceCore>> {
        self.check_writable()?;
        let mut registry = self.keyspaces.write();
        let Some(old) = registry.get(name).cloned() else {
            return Err(Error::KeyspaceGone { keyspace: name.to_owned() });
        };
        let meta = expired_by_owner(&old.meta);
        self.publish(|manifest| {
            let listed = manifest.keyspaces.iter_mut().find(|listed| listed.id == meta.id);
            if let Some(listed) = listed {
                listed.options = meta.options;
            }
        })?;
        // Durable from here.
        let core = Arc::new(KeyspaceCore::new(meta, Arc::clone(&old.index)));
        registry.insert(name.to_owned(), Arc::clone(&core));
        Ok(core)
    }

    /// The same, hidden or not.
    pub(super) fn register(&self, wanted: KeyspaceMeta) -> Result<Arc<KeyspaceCore>> {
        check_built(&wanted)?;
        let mut registry = self.keyspaces.write();
        if let Some(found) = registry.get(&wanted.name) {
            check_schema(&found.meta, &wanted)?;
            return Ok(Arc::clone(found));
        }
        let mut meta = wanted;
        self.publish(|manifest| {
            meta.id = KeyspaceId(manifest.next_keyspace);
            manifest.next_keyspace = manifest.next_keyspace.saturating_add(1);
            manifest.keyspaces.push(meta.clone());
        })?;
        // Durable from here.
        let ordered = meta.options & UNORDERED == 0;
        let index = Arc::new(Index::new(meta.id, ordered, self.hash_key));
        let core = Arc::new(KeyspaceCore::new(meta, index));
        registry.insert(core.meta.name.clone(), Arc::clone(&core));
        Ok(core)
    }

    /// The hidden keyspaces of a migration: of the new entries, and of how far it has come.
    pub(super) fn hidden_names(name: &str) -> [String; 2] {
        [format!("{HIDDEN}migration of {name}"), format!("{HIDDEN}progress of {name}")]
    }

    /// Drops a keyspace and what a migration may have left of it; false if there is none.
    fn drop_by_name(&self, name: &str) -> Result<bool> {
        self.check_open()?;
        let found = self.keyspaces.read().get(name).cloned();
        let Some(core) = found.filter(|_| !name.starts_with(HIDDEN)) else { return Ok(false) };
        self.drop_core(&core)?;
        crate::trace::dropped(&self.dir, name);
        self.drop_hidden(name)?;
        Ok(true)
    }

    /// Drops what a migration of this keyspace has written so far.
    pub(super) fn drop_hidden(&self, name: &str) -> Result<()> {
        for hidden in Self::hidden_names(name) {
            let found = self.keyspaces.read().get(&hidden).cloned();
            if let Some(core) = found {
                self.drop_core(&core)?;
            }
        }
        Ok(())
    }

    /// Empties a keyspace, lets no one write to it any more, and forgets it (G2).
    fn drop_core(&self, core: &Arc<KeyspaceCore>) -> Result<()> {
        let index = &core.index;
        {
            let mut guard = self.write()?;
            if let Some(keyspace) = index.frozen_name() {
                return Err(Error::KeyspaceGone { keyspace });
            }
            guard.commit(&mut cleared(index)?, When::Now(Durability::Buffered))?;
            index.freeze(&core.meta.name);
        }
        self.work_off_pending()
            .and_then(|()| self.sync_all())
            .and_then(|()| self.forget(core))
            .inspect_err(|_| index.thaw())
    }

    fn forget(&self, core: &KeyspaceCore) -> Result<()> {
        let mut registry = self.keyspaces.write();
        self.with_whole_reserve(|| {
            self.publish(|manifest| manifest.keyspaces.retain(|meta| meta.id != core.id()))
        })?;
        // Durable from here.
        registry.remove(&core.meta.name);
        drop(registry);
        wake(self.watching.end_keyspace(core.id()));
        Ok(())
    }

    /// Replaces a keyspace by another, which gets its name; the caller has made that one durable.
    /// The replaced one and `helper` are in the manifest no more, and wait to be released.
    pub(super) fn replace(
        &self,
        old: &Arc<KeyspaceCore>,
        (new, new_meta): (&Arc<KeyspaceCore>, KeyspaceMeta),
        helper: &KeyspaceCore,
    ) -> Result<()> {
        let meta = KeyspaceMeta { id: new.id(), ..new_meta };
        let gone = [old.id(), new.id(), helper.id()];
        let mut registry = self.keyspaces.write();
        self.publish(|manifest| {
            manifest.keyspaces.retain(|meta| !gone.contains(&meta.id));
            manifest.keyspaces.push(meta.clone());
        })?;
        // Durable from here. The old one takes the hidden name until its space is given back.
        registry.insert(new.meta.name.clone(), Arc::clone(old));
        let core = Arc::new(KeyspaceCore::new(meta, Arc::clone(&new.index)));
        registry.insert(core.meta.name.clone(), core);
        drop(registry);
        wake(self.watching.end_keyspace(old.id()));
        Ok(())
    }

    /// Gives back the space of a keyspace that the manifest does not know any more.
    pub(super) fn release(&self, core: &Arc<KeyspaceCore>) -> Result<()> {
        let index = &core.index;
        {
            let mut guard = self.write()?;
            index.thaw();
            let cleared = cleared(index)
                .and_then(|mut batch| guard.commit(&mut batch, When::Now(Durability::Buffered)));
            index.freeze(&core.meta.name);
            cleared?;
        }
        self.work_off_pending()?;
        self.keyspaces.write().retain(|_, there| !Arc::ptr_eq(there, core));
        Ok(())
    }

    /// Sets a budget, if one is asked for that it does not have yet.
    pub(super) fn set_budget(&self, core: &KeyspaceCore, bytes: Option<u64>) -> Result<()> {
        if let Some(bytes) = bytes.filter(|_| core.index.budget_bytes() != bytes) {
            let _guard = self.write()?;
            core.index.set_budget(bytes);
        }
        Ok(())
    }
}

/// A batch that deletes everything in a keyspace.
fn cleared(index: &Arc<Index>) -> Result<PreparedBatch> {
    let mut batch = PreparedBatch::default();
    let (start, end) = (Bound::Unbounded, Bound::Unbounded);
    batch.push(index, &Record::RangeTombstone { keyspace: index.id, start, end })?;
    Ok(batch)
}

/// A build that cannot compress registers and opens nothing that is to be compressed.
fn check_built(wanted: &KeyspaceMeta) -> Result<()> {
    if wanted.options & COMPRESSED != 0 && !compression::IS_BUILT {
        let what = "this build lacks the feature `lz4`".to_owned();
        return Err(Error::BadOption { option: "compressed", what });
    }
    Ok(())
}

/// A keyspace that the store has expired is asked for as one that its owner expires.
fn is_handed_over(found: &KeyspaceMeta, wanted: &KeyspaceMeta) -> bool {
    wanted.options & EXPIRED_BY_OWNER != 0 && found.options & EXPIRED_BY_OWNER == 0
}

fn expired_by_owner(meta: &KeyspaceMeta) -> KeyspaceMeta {
    KeyspaceMeta { options: meta.options | EXPIRED_BY_OWNER, ..meta.clone() }
}

pub(super) fn check_schema(found: &KeyspaceMeta, wanted: &KeyspaceMeta) -> Result<()> {
    let order = |m: &KeyspaceMeta| match m.options & UNORDERED {
        0 => "ordered".to_owned(),
        _ => "unordered".to_owned(),
    };
    let expiry = |m: &KeyspaceMeta| match m.options & EXPIRED_BY_OWNER {
        0 => "expired by the store".to_owned(),
        _ => "expired by owner".to_owned(),
    };
    let compression = |m: &KeyspaceMeta| match m.options & COMPRESSED {
        0 => "none".to_owned(),
        _ => "lz4".to_owned(),
    };
    let pairs = [
        ("key type", found.key_tag.clone(), wanted.key_tag.clone()),
        ("codec", found.codec.clone(), wanted.codec.clone()),
        ("schema version", found.schema_version.to_string(), wanted.schema_version.to_string()),
        ("order", order(found), order(wanted)),
        ("compression", compression(found), compression(wanted)),
        ("expiry", expiry(found), expiry(wanted)),
    ];
    match pairs.into_iter().find(|(_, a, b)| a != b) {
        None => Ok(()),
        Some((what, a, b)) => {
            Err(Error::SchemaMismatch { keyspace: found.name.clone(), what, found: a, wanted: b })
        }
    }
}
