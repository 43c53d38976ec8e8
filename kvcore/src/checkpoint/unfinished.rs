//! Telling what a checkpoint that came to no end has left in a directory from anything else.
//!
//! A first checkpoint has no manifest before everything else is there. So that what it brings is
//! known for what it is whenever it stops, its list of files comes first, under a temporary name:
//! the marker. Nobody takes that for a store.
//!
//! # Invariants
//!
//! U1. The marker is durable before a file is brought, and goes when the manifest is durable, or
//!     when the files are gone durably.
//! U2. Files without a manifest are leftovers only if a marker of this store lists them.

use super::Target;
use crate::{
    engine::Engine,
    error::Result,
    log::{Manifest, file_names::Name},
    recovery,
};
use std::path::Path;

impl Target<'_> {
    /// Leaves the marker (U1). Its number is taken, then: the manifest gets a higher one.
    pub(super) fn mark(&mut self, manifest: &mut Manifest) -> Result<()> {
        let taken = self.names.iter().filter_map(|name| match name {
            Name::ManifestTmp(number) => Some(*number),
            _ => None,
        });
        manifest.number = manifest.number.max(taken.max().unwrap_or(0)).saturating_add(1);
        let name = Name::ManifestTmp(manifest.number);
        let path = self.dir.join(name.to_string());
        let written = self.disk.create_new(&path).and_then(|file| {
            file.write_all_at(&manifest.encode(), 0)?;
            file.sync_data()?;
            self.disk.sync_dir(&self.dir)
        });
        if let Err(e) = written {
            let _ = self.disk.unlink(&path);
            return Err(self.io("write", &path, e));
        }
        // Durable from here.
        self.marker = Some(path);
        self.names.push(name);
        manifest.number = manifest.number.saturating_add(1);
        Ok(())
    }

    /// Removes what was brought: the directory is as it was before.
    pub(super) fn give_up(&self) {
        let removed = self.brought.iter().fold(true, |all, path| {
            let gone = self.disk.unlink(path);
            all & gone.map_or_else(|e| e.kind() == std::io::ErrorKind::NotFound, |()| true)
        });
        if let Some(marker) = &self.marker
            && removed
            && self.disk.sync_dir(&self.dir).is_ok()
        {
            let _ = self.disk.unlink(marker);
        }
    }
}

/// Whether all there is, is of checkpoints of this store that came to no end (U2).
pub(super) fn is_leftover(engine: &Engine, dir: &Path, names: &[Name]) -> bool {
    let marker = |name: &Name| match name {
        Name::ManifestTmp(number) => {
            let path = dir.join(name.to_string());
            recovery::read_manifest_at(&path, &engine.options, *number).ok()
        }
        _ => None,
    };
    let ours = engine.manifest.lock().store_id;
    // What an open store writes about itself leaves room for its log.
    let is_ours = |m: &Manifest| m.store_id == ours && m.log_floor == m.next_file;
    let markers: Vec<Manifest> = names.iter().filter_map(marker).filter(is_ours).collect();
    let is_listed = |id| markers.iter().any(|m| m.files.iter().any(|file| file.id == id));
    names.iter().all(|name| match name {
        Name::Lock => true,
        Name::Data(id) | Name::Hint(id) => is_listed(*id),
        Name::Blob(_) => !markers.is_empty(),
        // Nothing that counts has such a name, whoever made it.
        name => name.is_temporary(),
    })
}
