//! What INFO counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::Mutex;

use crate::command::table::{Entry, table};

/// Different error codes remembered; more are counted together, as a client can invent them.
const ERROR_CODES_MAX: usize = 128;

/// Counters of the whole server.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_rejected: AtomicU64,
    pub(crate) input_bytes: AtomicU64,
    pub(crate) output_bytes: AtomicU64,
    pub(crate) error_replies: AtomicU64,
    /// Look-ups of values that found one, and that found none.
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    /// Keys removed because their time had come.
    pub(crate) expired: AtomicU64,
    /// Keys that gave way to others.
    pub(crate) evicted: AtomicU64,
    /// The most that keys have taken in memory.
    pub(crate) memory_peak: AtomicU64,
    /// Requests committed that changed something.
    pub(crate) changes: AtomicU64,
    /// What `changes` was at the last SAVE.
    pub(crate) changes_saved: AtomicU64,
    commands: Vec<CommandStats>,
    errors: Mutex<BTreeMap<String, u64>>,
}

/// Counters of one command.
#[derive(Debug, Default)]
pub(crate) struct CommandStats {
    pub(crate) calls: AtomicU64,
    pub(crate) usec: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl CommandStats {
    /// Counts a call whose time is counted elsewhere.
    pub(crate) fn count_call(&self) {
        self.calls.fetch_add(1, Relaxed);
    }
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            connections: AtomicU64::new(0),
            connections_rejected: AtomicU64::new(0),
            input_bytes: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
            error_replies: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            memory_peak: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            changes_saved: AtomicU64::new(0),
            commands: (0..table().count()).map(|_| CommandStats::default()).collect(),
            errors: Mutex::default(),
        }
    }
}

impl Stats {
    pub(crate) fn command(&self, entry: &Entry) -> &CommandStats {
        &self.commands[entry.index]
    }
    /// Counts an error reply by its code, the first word.
    pub(crate) fn error(&self, text: &str) {
        self.error_replies.fetch_add(1, Relaxed);
        let code = text.split(' ').next().unwrap_or_default();
        let mut errors = self.errors.lock();
        if let Some(count) = errors.get_mut(code) {
            *count += 1;
        } else if errors.len() < ERROR_CODES_MAX {
            errors.insert(code.to_owned(), 1);
        }
    }
    /// Counts commands that have failed; then they are counted.
    #[inline]
    pub(crate) fn count_failed(&self, failed: &mut Vec<(&'static Entry, String)>) {
        if !failed.is_empty() {
            self.count_all_failed(failed);
        }
    }
    #[cold]
    fn count_all_failed(&self, failed: &mut Vec<(&'static Entry, String)>) {
        for (entry, text) in failed.drain(..) {
            self.error(&text);
            self.command(entry).failed.fetch_add(1, Relaxed);
        }
    }
    pub(crate) fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().clone()
    }
    pub(crate) fn calls(&self) -> u64 {
        self.commands.iter().map(|command| command.calls.load(Relaxed)).sum()
    }
    /// CONFIG RESETSTAT.
    pub(crate) fn reset(&self) {
        let of_server = [
            &self.connections,
            &self.connections_rejected,
            &self.input_bytes,
            &self.output_bytes,
            &self.error_replies,
            &self.hits,
            &self.misses,
            &self.expired,
            &self.evicted,
            &self.memory_peak,
        ];
        of_server.into_iter().for_each(|counter| counter.store(0, Relaxed));
        for CommandStats { calls, usec, rejected, failed } in &self.commands {
            [calls, usec, rejected, failed].into_iter().for_each(|c| c.store(0, Relaxed));
        }
        self.errors.lock().clear();
    }
}

/// Counts runs of the same command, so that a pipeline of SETs costs two clock readings.
#[derive(Debug)]
pub(crate) struct Tally {
    run: Option<(&'static Entry, u64)>,
    since: Instant,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Tally { run: None, since: Instant::now() }
    }
    /// The time of the first call begins now.
    pub(crate) fn start(&mut self) {
        self.since = Instant::now();
    }
    /// A call of `entry` begins. A run before it, of another command, has ended.
    #[inline]
    pub(crate) fn begin(&mut self, entry: &'static Entry, stats: &Stats) {
        match &mut self.run {
            Some((running, calls)) if running.index == entry.index => *calls += 1,
            _ => {
                self.end(stats);
                self.run = Some((entry, 1));
            }
        }
    }
    /// The call that began last is taken back, and begins again later.
    pub(crate) fn take_back(&mut self) {
        if let Some((_, calls)) = &mut self.run {
            *calls = calls.saturating_sub(1);
        }
    }
    /// When something began or ended last.
    pub(crate) fn last(&self) -> Instant {
        self.since
    }
    /// Nothing runs any more.
    pub(crate) fn end(&mut self, stats: &Stats) {
        let now = Instant::now();
        if let Some((entry, calls)) = self.run.take() {
            let usec = now.duration_since(self.since).as_micros();
            let command = stats.command(entry);
            command.calls.fetch_add(calls, Relaxed);
            command.usec.fetch_add(u64::try_from(usec).unwrap_or(u64::MAX), Relaxed);
        }
        self.since = now;
    }
}
