//! A check for orphans while the server serves, if it was started with `check-orphans yes`.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::data::{Check, Checked, StoreError};
use crate::shared::Shared;

/// Between steps, so that clients hardly notice.
const PAUSE: Duration = Duration::from_millis(1);
/// For keys past their time to be removed.
const LONG_PAUSE: Duration = Duration::from_millis(100);

/// What INFO tells of the check.
#[derive(Debug, Default)]
pub(crate) struct OrphanCheck {
    pub(crate) is_running: AtomicBool,
    /// Collections without a key, and keys without their collection.
    pub(crate) removed: AtomicU64,
}

/// Looks at everything once, or until the other side of `ended` is dropped.
pub(crate) fn check_orphans(shared: &Arc<Shared>, ended: &Receiver<Infallible>) {
    let state = &shared.background.orphans;
    let mut check = {
        let _gate = shared.gate.write();
        shared.engine.begin_check()
    };
    let mut pause = PAUSE;
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
        pause = match step(shared, &mut check) {
            Ok(Checked::Some) => PAUSE,
            Ok(Checked::Waits) => LONG_PAUSE,
            Ok(Checked::All) => {
                let removed = state.removed.load(Relaxed);
                tracing::info!(removed, "orphans were looked for");
                break;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot look for orphans");
                if error.is_final() {
                    shared.fail(&error);
                }
                break;
            }
        };
    }
    shared.engine.end_check();
    state.is_running.store(false, Relaxed);
}

fn step(shared: &Shared, check: &mut Check) -> Result<Checked, StoreError> {
    let checked = {
        let _gate = shared.gate.read();
        shared.engine.check_step(check)?
    };
    if check.has_found() {
        let _gate = shared.gate.write();
        let count = shared.engine.remove_checked(check)?;
        tracing::warn!(count, "removed what no key owns, or keys without elements");
        let removed = &shared.background.orphans.removed;
        removed.fetch_add(u64::try_from(count).unwrap_or(0), Relaxed);
    }
    Ok(checked)
}
