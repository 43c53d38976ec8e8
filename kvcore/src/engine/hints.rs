//! Hint files: written for every sealed file once it is below the watermark.

use super::Engine;
use crate::{
    error::Result,
    ids::FileId,
    log::{
        DataFile,
        file_names::{self, Name},
    },
};
use std::sync::{Arc, atomic::Ordering};

impl Engine {
    /// Writes the hints that are missing. A failure costs nothing but time at the next open.
    pub(crate) fn write_missing_hints(&self) -> Result<()> {
        if self.counters.is_short_of_space.load(Ordering::Acquire) {
            return Ok(());
        }
        let Some(floor) = self.durable_below() else { return Ok(()) };
        let mut todo: Vec<Arc<DataFile>> = self
            .files
            .load()
            .iter()
            .filter(|f| f.is_sealed() && f.id < floor && !f.has_hint.load(Ordering::Acquire))
            .cloned()
            .collect();
        todo.sort_by_key(|f| f.id);
        for file in todo {
            self.check_poison()?;
            self.write_hint(&file)?;
        }
        Ok(())
    }

    /// Removes the hints, which are only caches, so that what is not has room. Until a merge gives
    /// space back none are written. Returns how many were removed.
    pub(crate) fn give_up_hints(&self) -> usize {
        self.counters.is_short_of_space.store(true, Ordering::Release);
        let files = self.files.load();
        let hinted = files.iter().filter(|f| f.has_hint.swap(false, Ordering::AcqRel));
        hinted.filter(|f| self.disk.unlink(&self.dir.join(file_names::hint(f.id))).is_ok()).count()
    }

    /// Sealed files with smaller numbers are wholly below the durable watermark.
    pub(crate) fn durable_below(&self) -> Option<FileId> {
        let writer = self.writer.lock();
        if writer.last_sequence() == self.sync.durable_sequence() {
            return Some(self.next_file());
        }
        self.sync.durable_position().map(|p| p.file)
    }

    fn write_hint(&self, file: &Arc<DataFile>) -> Result<()> {
        let bytes = crate::recovery::hint_of(file, &self.store_id)?;
        self.store_hint(file, &bytes)
    }

    /// Puts finished hint bytes beside their data file.
    pub(crate) fn store_hint(&self, file: &DataFile, bytes: &[u8]) -> Result<()> {
        let name = file_names::hint(file.id);
        let path = self.dir.join(&name);
        let temporary = self.dir.join(Name::HintTmp(file.id).to_string());
        let _ = self.disk.unlink(&temporary);
        let written = self.disk.create_new(&temporary).and_then(|hint| {
            hint.write_all_at(bytes, 0)?;
            hint.sync_data()
        });
        if let Err(e) = written.and_then(|()| self.disk.rename(&temporary, &path)) {
            let _ = self.disk.unlink(&temporary);
            return Err(self.io("write", &name, e));
        }
        file.has_hint.store(true, Ordering::Release);
        crate::trace::hinted(&path);
        Ok(())
    }
}
