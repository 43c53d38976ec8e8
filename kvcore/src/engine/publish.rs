//! Replacing the manifest: the one atomic step by which files come and go.
//!
//! # Invariants
//!
//! P1. A manifest is complete and synced under a temporary name before it gets its own.
//! P2. Before the directory is synced the old manifest stays; after that only the new one counts.

use super::Engine;
use crate::{
    disk::Disk,
    error::{Error, Result},
    log::{
        LogEnd, Manifest,
        file_names::{self, Name},
    },
};
use std::path::Path;

impl Engine {
    /// Changes the manifest durably. After an error the old one stands, or the store is poisoned.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        let mut current = self.manifest.lock();
        self.check_open()?;
        self.check_writable()?;
        self.publish_next(&mut current, change)
    }

    /// Publishes the last manifest of a store that is being closed, if there is anything to say:
    /// where the log ends, or how late it was when expired keys were last seen as such.
    pub(crate) fn publish_end(&self, end: Option<LogEnd>) -> Result<()> {
        if self.is_read_only() {
            return Ok(());
        }
        let mut current = self.manifest.lock();
        self.check_poison()?;
        let expires = self.all_keyspaces().iter().any(|k| k.index.expiring() > 0);
        if end.is_none() && !expires {
            return Ok(());
        }
        self.publish_next(&mut current, |manifest| manifest.clean_end = end.or(manifest.clean_end))
    }

    fn publish_next(
        &self,
        current: &mut Manifest,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<()> {
        let mut next = current.clone();
        change(&mut next);
        next.number += 1;
        next.next_file = self.next_file();
        next.highest_clock_ms = next.highest_clock_ms.max(self.clock.now_ms());
        next.trim_generations();
        write_manifest(&*self.disk, &self.dir, &next).map_err(|e| match e {
            PublishError::Before(e) => e,
            // Either manifest may be the one a crash leaves: memory must not go on.
            PublishError::Unknown(e) => self.poison(e),
        })?;
        // Durable from here. The old one is only clutter.
        let _ = self.disk.unlink(&self.dir.join(file_names::manifest(current.number)));
        *current = next;
        Ok(())
    }
}

pub(crate) enum PublishError {
    /// Nothing changed.
    Before(Error),
    /// The new manifest has its name, but it is not known whether durably.
    Unknown(Error),
}

impl PublishError {
    /// Nothing changed.
    pub(crate) fn is_before(&self) -> bool {
        matches!(self, PublishError::Before(_))
    }

    pub(crate) fn into_error(self) -> Error {
        match self {
            PublishError::Before(e) | PublishError::Unknown(e) => e,
        }
    }
}

/// Writes a manifest under its name, durably; the previous one is left alone.
pub(crate) fn write_manifest(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
) -> Result<(), PublishError> {
    let name = file_names::manifest(manifest.number);
    let path = dir.join(&name);
    let temporary = dir.join(Name::ManifestTmp(manifest.number).to_string());
    let io = |action, e| Error::Io { action, path: path.clone(), source: e };
    let before = |action| move |e| PublishError::Before(io(action, e));
    match disk.unlink(&temporary) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(before("remove the leftover of")(e));
        }
        _ => {}
    }
    let written = disk.create_new(&temporary).and_then(|file| {
        file.write_all_at(&manifest.encode(), 0)?;
        file.sync_data()
    });
    if let Err(e) = written.and_then(|()| disk.rename(&temporary, &path)) {
        let _ = disk.unlink(&temporary);
        return Err(before("write")(e));
    }
    disk.sync_dir(dir).map_err(|e| PublishError::Unknown(io("sync the directory of", e)))
}
