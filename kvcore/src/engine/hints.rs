//! Hint files of sealed files that are below the watermark.
//!
//! A merge gathers the hints of what it writes. The hint of a log file costs a reading of it, so it
//! is not written while much of the file is dead: merge takes such a file soon, and then has read
//! it for nothing. What a kill leaves without hints is so bounded by the dead bytes that merge
//! tolerates. At a close, and where no merge comes by itself, every file gets one.

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

/// Which files should have hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hinted {
    /// All that can.
    All,
    /// Those that merge is not likely to take soon.
    Settled,
}

impl Hinted {
    fn includes(self, file: &DataFile) -> bool {
        self == Hinted::All || !file.is_dying()
    }
}

impl Engine {
    /// Writes the hints that are missing, unless space is tight. A failure costs nothing but time
    /// at the next open.
    pub(crate) fn write_missing_hints(&self, which: Hinted) -> Result<()> {
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
            .filter(|f| which.includes(f))
            .map(|f| f.id)
            .collect();
        todo.sort_by_cached_key(|id| u64::from(id.0));
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
