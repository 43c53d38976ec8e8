//! The end of a store: everything durable, and the end of the log written down.

use super::Handle;
use crate::{engine::Engine, error::Result};

impl Handle {
    /// Closes the store, once; later calls do nothing.
    pub(super) fn close(&self) -> Result<()> {
        if self.engine.check_process().is_err() || !self.engine.start_closing() {
            return Ok(());
        }
        self.threads.stop(&self.engine);
        let result = self.engine.finish();
        self.engine.sync.wake_waiting();
        self.engine.release_reserve();
        self.engine.unlock();
        result
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Err(e) = self.close() {
            crate::trace::close_failed(&self.engine.dir, &e);
        }
    }
}

impl Engine {
    /// Seals, syncs, hints, and records where the log ended.
    fn finish(&self) -> Result<()> {
        self.check_poison()?;
        let Some(end) = self.end_log()? else { return Ok(()) };
        self.sync_all()?;
        self.unlink_dead_blobs()?;
        // Without a hint the next open reads the data file: slower, not wrong.
        let _ = self.write_missing_hints();
        self.publish(|manifest| manifest.clean_end = Some(end))
    }
}
