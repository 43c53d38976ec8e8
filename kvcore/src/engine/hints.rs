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
    /// Writes the hints that are missing, unless space is tight. A failure costs nothing but time
    /// at the next open.
    pub(crate) fn write_missing_hints(&self) -> Result<()> {
        if self.is_tight() {
            return Ok(());
        }
        let Some(floor) = self.durable_below() else { return Ok(()) };
        // By number: a file that merge removes meanwhile takes space for as long as it is held.
        let mut todo: Vec<FileId> = self
            .files
            .load()
            .iter()
            .filter(|f| f.is_sealed() && f.id < floor && !f.has_hint.load(Ordering::Acquire))
            .map(|f| f.id)
            .collect();
        todo.sort_unstable();
        for id in todo {
            self.check_poison()?;
            let file = self.files.load().get(id).cloned();
            if let Some(file) = file {
                self.write_hint(&file)?;
            }
        }
        Ok(())
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
