//! Which keyspaces there are: registering, dropping and comparing them.
//!
//! # Invariants
//!
//! G1. A keyspace is in the manifest, durably, before anybody gets a handle to it.
//! G2. It leaves the manifest after everything committed before is durable; its number is never
//!     given out again, so records that are left of it mean nothing.

use crate::{
    engine::{Engine, KeyspaceCore},
    error::{Error, Result},
    ids::KeyspaceId,
    index::Index,
    log::{EXPIRED_BY_OWNER, KeyspaceMeta, UNORDERED},
};
use std::sync::Arc;

/// Names that begin like this are the store's own, and not shown.
pub(super) const HIDDEN: char = '\0';

impl Engine {
    /// The keyspace of this description, registered if it is new.
    pub(super) fn keyspace(&self, wanted: KeyspaceMeta) -> Result<Arc<KeyspaceCore>> {
        self.check_open()?;
        if wanted.name.starts_with(HIDDEN) {
            let what =
                format!("{:?} begins with a NUL, as names of the store's own do", wanted.name);
            return Err(Error::BadOption { option: "name", what });
        }
        if let Some(found) = self.keyspaces.read().get(&wanted.name) {
            check_schema(&found.meta, &wanted)?;
            return Ok(Arc::clone(found));
        }
        self.register(wanted)
    }

    /// The same, hidden or not.
    pub(super) fn register(&self, wanted: KeyspaceMeta) -> Result<Arc<KeyspaceCore>> {
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

    /// Sets a budget, if one is asked for that it does not have yet.
    pub(super) fn set_budget(&self, core: &KeyspaceCore, bytes: Option<u64>) -> Result<()> {
        if let Some(bytes) = bytes.filter(|_| core.index.budget_bytes() != bytes) {
            let _guard = self.write()?;
            core.index.set_budget(bytes);
        }
        Ok(())
    }
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
    let pairs = [
        ("key type", found.key_tag.clone(), wanted.key_tag.clone()),
        ("codec", found.codec.clone(), wanted.codec.clone()),
        ("schema version", found.schema_version.to_string(), wanted.schema_version.to_string()),
        ("order", order(found), order(wanted)),
        ("expiry", expiry(found), expiry(wanted)),
    ];
    match pairs.into_iter().find(|(_, a, b)| a != b) {
        None => Ok(()),
        Some((what, a, b)) => {
            Err(Error::SchemaMismatch { keyspace: found.name.clone(), what, found: a, wanted: b })
        }
    }
}
