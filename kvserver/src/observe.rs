//! How long commands take: histograms, the slow log, latency events.
//!
//! Every call of a handler is timed, those inside EXEC and those for clients that waited too; what
//! is written to the log afterwards is not part of it.
//!
//! # Laws
//!
//! O1. A call that is not slow writes nothing that another worker writes.
//! O2. What is kept is bounded: `slowlog-max-len` calls, of each at most 32 arguments of 128
//!     bytes; 160 times per event.
//! O3. No password is kept.

mod histogram;
mod latency;
mod slow_log;

pub(crate) use histogram::Histogram;
pub(crate) use latency::{History, Sample};
pub(crate) use slow_log::SlowCall;

use std::sync::OnceLock;

use parking_lot::Mutex;

use crate::command::Flags;
use crate::command::table::{Entry, table};
use crate::context::Context;
use crate::parameters::{Live, Parameters};
use latency::Latency;
use slow_log::SlowLog;

/// The histograms of one worker, by command, each made when it is first needed.
type Histograms = Vec<OnceLock<Box<Histogram>>>;

/// What the server knows of the time its commands took.
#[derive(Debug)]
pub(crate) struct Observer {
    clock: quanta::Clock,
    by_worker: Vec<Histograms>,
    slow_log: Mutex<SlowLog>,
    latency: Mutex<Latency>,
}

impl Observer {
    pub(crate) fn new(workers: usize) -> Self {
        let histograms = || (0..table().count()).map(|_| OnceLock::new()).collect();
        Observer {
            clock: quanta::Clock::new(),
            by_worker: (0..workers.max(1)).map(|_| histograms()).collect(),
            slow_log: Mutex::default(),
            latency: Mutex::default(),
        }
    }

    /// The moment a call begins.
    #[inline]
    pub(crate) fn begin(&self) -> u64 {
        self.clock.raw()
    }
    /// A call that began at `begun` has ended. One that runs again, as its large values are written
    /// now, has been noted when it ran first.
    #[inline]
    pub(crate) fn end(&self, begun: u64, entry: &'static Entry, ctx: &Context<'_>) {
        if ctx.client.staging.is_repeated() {
            return;
        }
        let took_ns = self.clock.delta_as_nanos(begun, self.clock.raw());
        let parameters = &ctx.server.parameters;
        if parameters.number(Live::LatencyTracking) != 0
            && let Some(all) = self.by_worker.get(ctx.client.card.worker())
        {
            all[entry.index].get_or_init(Box::default).add(took_ns);
        }
        if took_ns / 1_000 >= least_us(parameters) {
            self.note(took_ns, entry, ctx);
        }
    }

    /// Puts down a call that may be slow.
    #[cold]
    fn note(&self, took_ns: u64, entry: &'static Entry, ctx: &Context<'_>) {
        if ctx.client.wait.is_some() {
            return; // It has only begun.
        }
        let parameters = &ctx.server.parameters;
        let took_us = took_ns / 1_000;
        let is_slow = u64::try_from(parameters.number(Live::SlowlogSlowerThanUs))
            .is_ok_and(|least| took_us >= least);
        if is_slow && !entry.command.flags.has(Flags::SKIP_SLOWLOG) {
            let len_max = parameters.size(Live::SlowlogLenMax);
            let call = SlowCall::new(took_us, entry, ctx);
            self.slow_log.lock().add(call, len_max);
        }
        let threshold_ms = parameters.number(Live::LatencyThresholdMs);
        let took_ms = took_us / 1_000;
        if u64::try_from(threshold_ms).is_ok_and(|least| least > 0 && took_ms >= least) {
            let is_fast = entry.command.flags.has(Flags::FAST);
            let event = if is_fast { "fast-command" } else { "command" };
            self.latency.lock().add(event, Sample { at_s: ctx.now_ms / 1_000, took_ms });
        }
    }

    /// The slow log and its state.
    pub(crate) fn slow_calls(&self, count: usize) -> Vec<SlowCall> {
        self.slow_log.lock().newest(count)
    }
    pub(crate) fn slow_calls_len(&self) -> usize {
        self.slow_log.lock().len()
    }
    pub(crate) fn forget_slow_calls(&self) {
        self.slow_log.lock().clear();
    }
    /// `slowlog-max-len` may have become smaller.
    pub(crate) fn limit_slow_calls(&self, len_max: usize) {
        self.slow_log.lock().limit(len_max);
    }

    /// The times of an event, oldest first; `None` if there was none.
    pub(crate) fn history(&self, event: &str) -> Option<History> {
        self.latency.lock().history(event)
    }
    pub(crate) fn histories(&self) -> Vec<(&'static str, History)> {
        self.latency.lock().histories()
    }
    /// Forgets one event; true if it was known.
    pub(crate) fn forget_event(&self, event: &str) -> bool {
        self.latency.lock().forget(event)
    }

    /// How long calls of a command took, all workers together; `None` if there was none.
    pub(crate) fn histogram(&self, entry: &Entry) -> Option<Histogram> {
        let sum = Histogram::default();
        let all = self.by_worker.iter().filter_map(|worker| worker[entry.index].get());
        all.for_each(|histogram| sum.merge(histogram));
        (sum.calls() > 0).then_some(sum)
    }
    /// Begins all histograms anew.
    pub(crate) fn reset_histograms(&self) {
        self.by_worker.iter().flatten().filter_map(OnceLock::get).for_each(|h| h.reset());
    }
}

/// From how many microseconds on a call has to be looked at.
#[inline]
fn least_us(parameters: &Parameters) -> u64 {
    let slow = u64::try_from(parameters.number(Live::SlowlogSlowerThanUs)).unwrap_or(u64::MAX);
    match u64::try_from(parameters.number(Live::LatencyThresholdMs)) {
        Ok(least @ 1..) => slow.min(least.saturating_mul(1_000)),
        _ => slow,
    }
}
