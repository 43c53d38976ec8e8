//! Parameters of what the server tells about itself: slow commands, latency, events, the log.

use super::kind::{ANY, INT, Kind};
use super::row::{Live, Parameter};

const LOG_LEVELS: &[&str] = &["debug", "verbose", "notice", "warning", "nothing"];

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter::new("crash-log-enabled", Kind::YesNo, "yes"),
    Parameter::new("crash-memcheck-enabled", Kind::YesNo, "yes"),
    Parameter::new("latency-monitor-threshold", ANY, "0")
        .live(Live::LatencyThresholdMs)
        .effect("from how many milliseconds on the time of a call is recorded; none for 0"),
    Parameter::new("latency-tracking", Kind::YesNo, "yes")
        .live(Live::LatencyTracking)
        .effect("whether histograms of the time of calls are kept"),
    Parameter::new("latency-tracking-info-percentiles", Kind::Percentiles, "50 99 99.9")
        .effect("the percentiles INFO latencystats shows"),
    Parameter::new("logfile", Kind::Text, "").fixed(),
    Parameter::new("loglevel", Kind::OneOf(LOG_LEVELS), "notice"),
    Parameter::new("notify-keyspace-events", Kind::Events, "")
        .live(Live::NotifiedEvents)
        .effect("which events about keys are published"),
    Parameter::new("slowlog-log-slower-than", Kind::Integer { min: -1, max: i64::MAX }, "10000")
        .live(Live::SlowlogSlowerThanUs)
        .effect("from how many microseconds on a call is kept; none for -1"),
    Parameter::new("slowlog-max-len", ANY, "128")
        .live(Live::SlowlogLenMax)
        .then(|shared, _| {
            let len_max = shared.parameters.size(Live::SlowlogLenMax);
            shared.observer.limit_slow_calls(len_max);
        })
        .effect("how many slow calls are kept"),
    Parameter::new("watchdog-period", INT, "0").hidden(),
];
