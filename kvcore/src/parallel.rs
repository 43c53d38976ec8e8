//! Work shared out over the cores of the machine.
//!
//! Knows threads and nothing else. For work that comes in bulk, as at an open: a thread is started
//! for each core and ended again.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many threads work at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Threads(usize);

impl Threads {
    /// One for each core, unless there is so little to do that starting them costs more.
    pub(crate) fn for_items(items: u64) -> Threads {
        if items < ITEMS_MIN {
            return Threads(1);
        }
        Threads::one_per_core()
    }

    pub(crate) fn one_per_core() -> Threads {
        Threads(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Calls `work` with every number below `tasks`, several at a time, and returns what it
    /// returned, in the order of the numbers.
    ///
    /// # Panics
    ///
    /// As `work` does.
    pub(crate) fn share_out<T: Send>(
        self,
        tasks: usize,
        work: impl Fn(usize) -> T + Sync,
    ) -> Vec<T> {
        let mut results: Vec<Mutex<Option<T>>> = Vec::new();
        results.resize_with(tasks, Mutex::default);
        self.run(tasks, &|task| *results[task].lock() = Some(work(task)));
        results.into_iter().filter_map(Mutex::into_inner).collect()
    }

    /// Calls `work` with every number below `tasks`, each once, in their order.
    ///
    /// # Panics
    ///
    /// As `work` does.
    pub(crate) fn run(self, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|task| *task < tasks);
        let worker = || std::iter::from_fn(take).for_each(work);
        std::thread::scope(|scope| {
            let others = 1..self.0.min(tasks);
            let threads: Vec<_> = others.map(|_| scope.spawn(worker)).collect();
            worker();
            for thread in threads {
                thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
            }
        });
    }
}

/// Fewer items than this, of some hundred nanoseconds each, are not worth a thread.
const ITEMS_MIN: u64 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_once_and_results_keep_their_order() {
        for threads in [1, 2, 5] {
            for tasks in [0, 1, 3, 100] {
                let results = Threads(threads).share_out(tasks, |task| task * 2);
                assert_eq!(results, (0..tasks).map(|task| task * 2).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn little_work_starts_no_thread() {
        let here = std::thread::current().id();
        let threads = Threads::for_items(10).share_out(10, |_| std::thread::current().id());
        assert!(threads.iter().all(|thread| *thread == here));
    }
}
