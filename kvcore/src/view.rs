//! Views: registered sequences that readers look from, and the tip they start at.
//!
//! Knows sequences and which indexes hold undo. Does not know keys.
//!
//! # Invariants
//!
//! V1. Registration, the writer's decision about undo up to the tip's advance, and purging happen
//!     under one mutex ([`ViewRegistry`]'s), which is never held while user code runs.
//! V2. While a view is open, every index can answer for its sequence.

use crate::{ids::Sequence, index::Index};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

/// The views that are open at one sequence.
#[derive(Debug)]
struct Open {
    at: Sequence,
    count: usize,
    /// When the first of them was opened, by the store's clock.
    since_ms: u64,
}

/// What is open now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenViews {
    pub(crate) snapshots: u64,
    pub(crate) views: u64,
    /// When the oldest was opened.
    pub(crate) since_ms: Option<u64>,
}

/// The open views. Held locked, it keeps the tip where it is.
#[derive(Debug, Default)]
pub(crate) struct Views {
    /// Ascending by sequence: nearly always none or one.
    open: Vec<Open>,
    /// How many of the open views are snapshots.
    snapshots: u64,
    tip: Sequence,
    /// Indexes that may hold undo.
    dirty: Vec<Arc<Index>>,
}

impl Views {
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Some view sees a state that was valid from `from` up to, but not including, `until`.
    pub(crate) fn any_in(&self, from: Sequence, until: Sequence) -> bool {
        let at = self.open.partition_point(|open| open.at < from);
        self.open.get(at).is_some_and(|open| open.at < until)
    }

    pub(crate) fn oldest(&self) -> Option<Sequence> {
        self.open.first().map(|open| open.at)
    }

    /// The last applied commit's last sequence.
    pub(crate) fn tip(&self) -> Sequence {
        self.tip
    }

    pub(crate) fn advance(&mut self, tip: Sequence) {
        debug_assert!(tip >= self.tip);
        self.tip = tip;
    }

    /// The index is about to be changed; if views are open, undo is kept in it.
    pub(crate) fn touch(&mut self, index: &Arc<Index>) {
        if !self.open.is_empty() && !self.dirty.iter().any(|i| i.id == index.id) {
            self.dirty.push(Arc::clone(index));
        }
    }
}

/// The views of one store.
#[derive(Debug, Default)]
pub(crate) struct ViewRegistry(Mutex<Views>);

impl ViewRegistry {
    pub(crate) fn starting_at(tip: Sequence) -> ViewRegistry {
        ViewRegistry(Mutex::new(Views { tip, ..Views::default() }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Views> {
        self.0.lock()
    }

    /// Registers a view at the tip.
    pub(crate) fn open(self: &Arc<Self>, now_ms: u64) -> View {
        let mut views = self.0.lock();
        let sequence = views.tip;
        match views.open.last_mut() {
            // A new view is at the tip, which no other is above.
            Some(last) if last.at == sequence => last.count += 1,
            _ => views.open.push(Open { at: sequence, count: 1, since_ms: now_ms }),
        }
        View { registry: Arc::clone(self), sequence, now_ms, is_snapshot: false }
    }

    /// The same, counted as a snapshot.
    pub(crate) fn open_snapshot(self: &Arc<Self>, now_ms: u64) -> View {
        let mut view = self.open(now_ms);
        view.is_snapshot = true;
        self.0.lock().snapshots += 1;
        view
    }

    /// What is open now.
    pub(crate) fn figures(&self) -> OpenViews {
        let views = self.0.lock();
        OpenViews {
            snapshots: views.snapshots,
            views: views.open.len() as u64,
            since_ms: views.open.first().map(|open| open.since_ms),
        }
    }

    fn close(&self, sequence: Sequence, is_snapshot: bool) {
        let mut views = self.0.lock();
        views.snapshots -= u64::from(is_snapshot);
        let at = views.open.partition_point(|open| open.at < sequence);
        if let Some(open) = views.open.get_mut(at) {
            open.count -= 1;
            if open.count > 0 {
                return;
            }
            views.open.remove(at);
        }
        // Also when it was not the oldest: beside a snapshot that stays for long, what short
        // views needed must not pile up.
        if !views.dirty.is_empty() {
            let dirty = std::mem::take(&mut views.dirty);
            views.dirty = dirty.into_iter().filter(|index| index.purge_undo(&views)).collect();
        }
    }
}

/// A registered sequence; what is read through it does not change until it is dropped.
#[derive(Debug)]
pub(crate) struct View {
    registry: Arc<ViewRegistry>,
    pub(crate) sequence: Sequence,
    /// The time by which entries count as expired in this view.
    pub(crate) now_ms: u64,
    is_snapshot: bool,
}

impl Drop for View {
    fn drop(&mut self) {
        self.registry.close(self.sequence, self.is_snapshot);
    }
}
