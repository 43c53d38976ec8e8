//! The slow log: calls that took longer than `slowlog-log-slower-than`.

use std::collections::VecDeque;

use crate::command::sensitive;
use crate::command::table::Entry;
use crate::context::Context;

/// Arguments kept of a call, the note that some are missing included.
const ARGS_MAX: usize = 32;
/// Bytes kept of an argument.
const ARG_BYTES_MAX: usize = 128;

/// One slow call.
#[derive(Clone, Debug)]
pub(crate) struct SlowCall {
    /// Grows by one with every slow call since the start.
    pub(crate) id: i64,
    /// Seconds since the Unix epoch.
    pub(crate) at_s: u64,
    pub(crate) took_us: u64,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) peer: String,
    pub(crate) name: Vec<u8>,
}

impl SlowCall {
    pub(super) fn new(took_us: u64, entry: &Entry, ctx: &Context<'_>) -> Self {
        let card = &ctx.client.card;
        SlowCall {
            id: 0,
            at_s: ctx.now_ms / 1_000,
            took_us,
            args: shortened(&sensitive::redacted(entry, ctx.args)),
            peer: card.peer.to_string(),
            name: card.seen.lock().name.clone(),
        }
    }
}

/// The arguments, as far as they are kept.
fn shortened(args: &[&[u8]]) -> Vec<Vec<u8>> {
    let kept = if args.len() > ARGS_MAX { ARGS_MAX - 1 } else { args.len() };
    let mut all: Vec<Vec<u8>> = args[..kept].iter().map(|arg| cut(arg)).collect();
    if kept < args.len() {
        all.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    all
}

fn cut(arg: &[u8]) -> Vec<u8> {
    if arg.len() <= ARG_BYTES_MAX {
        return arg.to_vec();
    }
    let mut kept = arg[..ARG_BYTES_MAX].to_vec();
    kept.extend_from_slice(format!("... ({} more bytes)", arg.len() - ARG_BYTES_MAX).as_bytes());
    kept
}

#[derive(Debug, Default)]
pub(super) struct SlowLog {
    /// Oldest first.
    calls: VecDeque<SlowCall>,
    next_id: i64,
}

impl SlowLog {
    pub(super) fn add(&mut self, call: SlowCall, len_max: usize) {
        self.calls.push_back(SlowCall { id: self.next_id, ..call });
        self.next_id += 1;
        self.limit(len_max);
    }
    /// Drops the oldest until there are no more than this.
    pub(super) fn limit(&mut self, len_max: usize) {
        while self.calls.len() > len_max {
            self.calls.pop_front();
        }
    }
    /// The newest, newest first.
    pub(super) fn newest(&self, count: usize) -> Vec<SlowCall> {
        self.calls.iter().rev().take(count).cloned().collect()
    }
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }
    pub(super) fn clear(&mut self) {
        self.calls.clear();
    }
}
