//! Events for whoever listens: `tracing` events with the feature of that name, nothing without.

use crate::{error::Error, stats::Recovery};
use std::path::Path;

#[cfg(feature = "tracing")]
mod events {
    use super::{Error, Path, Recovery};

    pub(crate) fn opened(dir: &Path, recovery: &Recovery) {
        tracing::info!(dir = %dir.display(), ?recovery, "store opened");
    }
    pub(crate) fn recovering(dir: &Path, bytes_done: u64, bytes_total: u64, keys: u64) {
        tracing::debug!(dir = %dir.display(), bytes_done, bytes_total, keys, "recovering");
    }
    pub(crate) fn rolled(file: &Path) {
        tracing::debug!(file = %file.display(), "log rolled");
    }
    pub(crate) fn hinted(hint: &Path) {
        tracing::debug!(hint = %hint.display(), "hint written");
    }
    pub(crate) fn expired(dir: &Path, keyspace: &str, entries: u64) {
        tracing::debug!(dir = %dir.display(), keyspace, entries, "expired entries removed");
    }
    pub(crate) fn evicted(dir: &Path, entries: u64) {
        tracing::debug!(dir = %dir.display(), entries, "entries evicted");
    }
    pub(crate) fn migrated(dir: &Path, keyspace: &str, entries: u64) {
        tracing::info!(dir = %dir.display(), keyspace, entries, "keyspace migrated");
    }
    pub(crate) fn dropped(dir: &Path, keyspace: &str) {
        tracing::info!(dir = %dir.display(), keyspace, "keyspace dropped");
    }
    pub(crate) fn merging(dir: &Path, files: usize) {
        tracing::debug!(dir = %dir.display(), files, "merge started");
    }
    pub(crate) fn merged(dir: &Path, read_bytes: u64, written_bytes: u64) {
        tracing::debug!(dir = %dir.display(), read_bytes, written_bytes, "merged");
    }
    pub(crate) fn poisoned(dir: &Path, cause: &Error) {
        tracing::error!(dir = %dir.display(), %cause, "store poisoned");
    }
    pub(crate) fn background_failed(dir: &Path, cause: &Error) {
        tracing::warn!(dir = %dir.display(), %cause, "background work failed");
    }
    pub(crate) fn close_failed(dir: &Path, cause: &Error) {
        tracing::error!(dir = %dir.display(), %cause, "closing the store failed");
    }
}

#[cfg(not(feature = "tracing"))]
mod events {
    use super::{Error, Path, Recovery};

    pub(crate) fn opened(_: &Path, _: &Recovery) {}
    pub(crate) fn recovering(_: &Path, _: u64, _: u64, _: u64) {}
    pub(crate) fn rolled(_: &Path) {}
    pub(crate) fn hinted(_: &Path) {}
    pub(crate) fn expired(_: &Path, _: &str, _: u64) {}
    pub(crate) fn evicted(_: &Path, _: u64) {}
    pub(crate) fn migrated(_: &Path, _: &str, _: u64) {}
    pub(crate) fn dropped(_: &Path, _: &str) {}
    pub(crate) fn merging(_: &Path, _: usize) {}
    pub(crate) fn merged(_: &Path, _: u64, _: u64) {}
    pub(crate) fn poisoned(_: &Path, _: &Error) {}
    pub(crate) fn background_failed(_: &Path, _: &Error) {}
    pub(crate) fn close_failed(_: &Path, _: &Error) {}
}

pub(crate) use events::*;
