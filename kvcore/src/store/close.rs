//! The end of a store: everything durable, and the end of the log written down.

use super::Handle;
use crate::{
    engine::{Engine, Hinted, Share},
    error::Result,
};

impl Handle {
    /// Closes the store, once; later calls do nothing.
    pub(super) fn close(&self) -> Result<()> {
        self.engine.check_nested()?;
        if self.engine.check_process().is_err() || !self.engine.start_closing() {
            return Ok(());
        }
        self.threads.stop(&self.engine);
        // First, since what comes now takes space.
        self.engine.release_reserve(Share::All);
        let result = self.engine.finish();
        self.engine.declare_ended();
        self.engine.unlock();
        self.remove_if_temporary();
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
        // Another thread's merge ends at its next step; the directory is not left before.
        let _no_merge = self.merge.lock();
        let end = self.end_log()?;
        if end.is_some() {
            self.sync_all()?;
            self.unlink_dead_blobs()?;
            // Without a hint the next open reads the data file: slower, not wrong.
            let _ = self.write_missing_hints(Hinted::All);
        }
        self.publish_end(end)
    }
}
