//! MONITOR: clients that see every command the server runs.
//!
//! Lines reach them as messages do: posted when the command is committed, handed out by the worker
//! of each. While nobody looks, a command costs one load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::client::ClientState;
use crate::command::table::Entry;
use crate::command::{Flags, sensitive};
use crate::pubsub::{Frame, Outgoing, Seat};
use crate::shared::{Shared, now_us};

/// A line, with its place among all of them.
#[derive(Debug)]
pub(crate) struct Line {
    number: u64,
    frame: Frame,
}

#[derive(Debug)]
struct Monitor {
    slot: usize,
    client: u64,
    /// The number of the last line before it looked.
    since: u64,
}

/// The clients of one worker.
#[derive(Debug, Default)]
struct Watching {
    count: AtomicUsize,
    monitors: Mutex<Vec<Monitor>>,
}

/// All clients that look.
#[derive(Debug)]
pub(crate) struct Monitors {
    count: AtomicUsize,
    last_number: AtomicU64,
    by_worker: Box<[Watching]>,
}

impl Monitors {
    pub(crate) fn new(workers: usize) -> Self {
        Monitors {
            count: AtomicUsize::new(0),
            last_number: AtomicU64::new(0),
            by_worker: (0..workers).map(|_| Watching::default()).collect(),
        }
    }
    /// True if nobody looks.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }
    /// A client looks from now on.
    pub(crate) fn add(&self, Seat { worker, slot, client }: Seat) {
        let of_worker = &self.by_worker[worker];
        let since = self.last_number.load(Relaxed);
        of_worker.monitors.lock().push(Monitor { slot, client, since });
        of_worker.count.fetch_add(1, Relaxed);
        self.count.fetch_add(1, Relaxed);
    }
    /// A client that looked does so no more.
    pub(crate) fn remove(&self, Seat { worker, slot, .. }: Seat) {
        let of_worker = &self.by_worker[worker];
        of_worker.monitors.lock().retain(|monitor| monitor.slot != slot);
        of_worker.count.fetch_sub(1, Relaxed);
        self.count.fetch_sub(1, Relaxed);
    }
    /// Calls `f` with slot and id of every client of a worker that sees the line.
    pub(crate) fn hand_out(
        &self,
        worker: usize,
        line: &Line,
        mut f: impl FnMut(usize, u64, &Frame),
    ) {
        let monitors = self.by_worker[worker].monitors.lock();
        let looking = monitors.iter().filter(|monitor| monitor.since < line.number);
        looking.for_each(|monitor| f(monitor.slot, monitor.client, &line.frame));
    }

    fn address(&self, text: String) -> Outgoing {
        let number = self.last_number.fetch_add(1, Relaxed) + 1;
        let workers = self.by_worker.iter().enumerate();
        let looking = workers.filter(|(_, watching)| watching.count.load(Relaxed) > 0);
        let frame = Frame::line(text.into_bytes());
        Outgoing::line(
            Arc::new(Line { number, frame }),
            looking.map(|(worker, _)| worker).collect(),
        )
    }
}

/// What clients that look see of a command that has run: nothing of those for administrators, and
/// no passwords.
#[cold]
pub(crate) fn report(
    shared: &Shared,
    entry: &Entry,
    args: &[&[u8]],
    client: &ClientState,
) -> Option<Outgoing> {
    let flags = entry.command.flags;
    if flags.has(Flags::ADMIN) {
        return None;
    }
    let now_us = now_us();
    let (seconds, micros) = (now_us / 1_000_000, now_us % 1_000_000);
    let mut text = format!("+{seconds}.{micros:06} [{} {}]", client.db, client.card.peer);
    for arg in sensitive::redacted(entry, args) {
        text.push_str(" \"");
        arg.iter().for_each(|byte| push_escaped(&mut text, *byte));
        text.push('"');
    }
    text.push_str("\r\n");
    Some(shared.monitors.address(text))
}

fn push_escaped(text: &mut String, byte: u8) {
    match byte {
        b'\\' => text.push_str("\\\\"),
        b'"' => text.push_str("\\\""),
        b'\n' => text.push_str("\\n"),
        b'\r' => text.push_str("\\r"),
        b'\t' => text.push_str("\\t"),
        7 => text.push_str("\\a"),
        8 => text.push_str("\\b"),
        b' '..=b'~' => text.push(char::from(byte)),
        _ => text.push_str(&format!("\\x{byte:02x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_text_is_written_as_redis_does() {
        let mut text = String::new();
        b"a\\\"\n\r\t\x07\x08 ~\x7f\x00\xff".iter().for_each(|byte| push_escaped(&mut text, *byte));
        assert_eq!(text, "a\\\\\\\"\\n\\r\\t\\a\\b ~\\x7f\\x00\\xff");
    }
}
