//! Who waits for something to change, each with the waker it came with last.
//!
//! Knows wakers. Does not know what they wait for.
//!
//! # Invariants
//!
//! L1. A waiter has one slot at most, and none once it is gone: waiting in vain leaves nothing.
//! L2. No waker is called or dropped under the lock: it may be the last to hold a task, and with it
//!     a waiter.

use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    task::Waker,
};

/// One that waits, told from all others of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Waiter(u64);

impl Waiter {
    pub(crate) fn new() -> Waiter {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Waiter(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Those who are woken, once, when something has changed.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<BTreeMap<Waiter, Waker>>);

impl Waiting {
    /// To be called again after every time it was woken.
    pub(crate) fn join(&self, waiter: Waiter, waker: &Waker) {
        let waker = waker.clone();
        let replaced = self.0.lock().insert(waiter, waker);
        drop(replaced);
    }

    /// It waits no longer.
    pub(crate) fn leave(&self, waiter: Waiter) {
        let left = self.0.lock().remove(&waiter);
        drop(left);
    }

    /// All of them, to be woken when no lock is held.
    pub(crate) fn take(&self) -> Vec<Waker> {
        let taken = std::mem::take(&mut *self.0.lock());
        taken.into_values().collect()
    }
}

/// Wakes all. A waker that panics is somebody else's failure: neither the commit that wakes it nor
/// others that wait have a part in it.
pub(crate) fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
    }
}
