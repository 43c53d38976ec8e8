//! Parameters of the process.

use super::kind::{ANY, INT, Kind};
use super::row::Parameter;

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter::new("always-show-logo", Kind::YesNo, "no").fixed(),
    Parameter::new("busy-reply-threshold", ANY, "5000").alias("lua-time-limit"),
    Parameter::new("daemonize", Kind::YesNo, "no").fixed(),
    Parameter::new("databases", INT, "").fixed().effect("the number of databases"),
    Parameter::new("disable-thp", Kind::YesNo, "yes").fixed(),
    Parameter::new("dynamic-hz", Kind::YesNo, "yes"),
    Parameter::new("extended-redis-compatibility", Kind::YesNo, "no"),
    Parameter::new("hz", INT, "10").adjust(|hz| hz.clamp(1, 500)),
    Parameter::new("ignore-warnings", Kind::Text, ""),
    Parameter::new("io-threads", INT, "").fixed().effect("the number of worker threads"),
    Parameter::new("io-threads-do-reads", Kind::YesNo, "yes").fixed(),
    Parameter::new("locale-collate", Kind::Text, ""),
    Parameter::new("pidfile", Kind::Text, "").fixed(),
    Parameter::new("proc-title-template", Kind::Text, "{title} {listen-addr} {server-mode}"),
    Parameter::new(
        "propagation-error-behavior",
        Kind::OneOf(&["ignore", "panic", "panic-on-replicas"]),
        "ignore",
    ),
    Parameter::new("set-proc-title", Kind::YesNo, "yes").fixed(),
    Parameter::new("shutdown-on-sigint", Kind::OnSignal, "default"),
    Parameter::new("shutdown-on-sigterm", Kind::OnSignal, "default"),
    Parameter::new("shutdown-timeout", INT, "10"),
    Parameter::new("supervised", Kind::OneOf(&["upstart", "systemd", "auto", "no"]), "no").fixed(),
    Parameter::new("syslog-enabled", Kind::YesNo, "no").fixed(),
    Parameter::new("syslog-facility", Kind::Text, "local0").fixed(),
    Parameter::new("syslog-ident", Kind::Text, "redis").fixed(),
];
