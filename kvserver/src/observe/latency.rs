//! Times of events that took longer than `latency-monitor-threshold`.

use std::collections::{BTreeMap, VecDeque};

/// Times kept per event.
const SAMPLES_MAX: usize = 160;

/// The worst an event took within one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Seconds since the Unix epoch.
    pub(crate) at_s: u64,
    pub(crate) took_ms: u64,
}

/// What is known of an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Oldest first.
    pub(crate) samples: VecDeque<Sample>,
    /// The worst since it is watched, beyond what is kept.
    pub(crate) worst_ms: u64,
}

#[derive(Debug, Default)]
pub(super) struct Latency {
    events: BTreeMap<&'static str, History>,
}

impl Latency {
    pub(super) fn add(&mut self, event: &'static str, sample: Sample) {
        let history = self.events.entry(event).or_default();
        history.worst_ms = history.worst_ms.max(sample.took_ms);
        match history.samples.back_mut() {
            Some(last) if last.at_s == sample.at_s => {
                last.took_ms = last.took_ms.max(sample.took_ms);
            }
            _ => history.samples.push_back(sample),
        }
        if history.samples.len() > SAMPLES_MAX {
            history.samples.pop_front();
        }
    }
    pub(super) fn history(&self, event: &str) -> Option<History> {
        self.events.get(event).cloned()
    }
    pub(super) fn histories(&self) -> Vec<(&'static str, History)> {
        self.events.iter().map(|(event, history)| (*event, history.clone())).collect()
    }
    pub(super) fn forget(&mut self, event: &str) -> bool {
        self.events.remove(event).is_some()
    }
}
