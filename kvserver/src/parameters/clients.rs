//! Parameters of connections and of who may use them.

use super::kind::{ANY, INT, Kind, PORT, memory_from};
use super::row::{Live, Parameter};
use crate::open_files;

const PROTECTED: Kind = Kind::OneOf(&["no", "yes", "local"]);

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter::new(
        "acl-pubsub-default",
        Kind::OneOf(&["allchannels", "resetchannels"]),
        "resetchannels",
    )
    .effect("the channels of new users"),
    Parameter::new("aclfile", Kind::Text, "")
        .fixed()
        .effect("the file of users, which ACL LOAD reads and ACL SAVE writes"),
    Parameter::new("acllog-max-len", ANY, "128").effect("refusals that ACL LOG keeps"),
    Parameter::new("bind", Kind::Text, "").same().effect("the address listened on"),
    Parameter::new("bind-source-addr", Kind::Text, ""),
    Parameter::new(
        "client-output-buffer-limit",
        Kind::OutputLimits,
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
    )
    .then(|shared, value| shared.output_limits.set(value))
    .effect("how much may wait to be sent to a client"),
    Parameter::new("client-query-buffer-limit", memory_from(1 << 20), "1073741824")
        .live(Live::InputBytesMax)
        .effect("bytes of requests kept for one client"),
    Parameter::new("enable-debug-command", PROTECTED, "no")
        .fixed()
        .live(Live::DebugCommand)
        .effect("who may use DEBUG"),
    Parameter::new("enable-module-command", PROTECTED, "no")
        .fixed()
        .live(Live::ModuleCommand)
        .effect("who is told that modules cannot be loaded, and not that they are not allowed"),
    Parameter::new("enable-protected-configs", PROTECTED, "no").fixed(),
    Parameter::new("maxclients", Kind::Integer { min: 1, max: u32::MAX as i64 }, "10000")
        .live(Live::ClientsMax)
        .check(open_files::check_clients_max)
        .effect("connections served at once"),
    Parameter::new("maxmemory-clients", Kind::MemoryOrPercent, "0"),
    Parameter::new("port", PORT, "").same().effect("the port listened on"),
    Parameter::new("protected-mode", Kind::YesNo, "yes")
        .same()
        .effect("addresses other machines can reach are refused"),
    Parameter::new("proto-max-bulk-len", memory_from(1 << 20), "536870912")
        .live(Live::BulkLenMax)
        .effect("bytes of an argument, and of a string"),
    Parameter::new("requirepass", Kind::Password, "")
        .then(|shared, value| shared.access.set_password(value))
        .effect("the password that clients must give, if it is not empty"),
    Parameter::new("socket-mark-id", Kind::Integer { min: 0, max: u32::MAX as i64 }, "0").fixed(),
    Parameter::new("tcp-backlog", INT, "511").fixed(),
    Parameter::new("tcp-keepalive", INT, "300")
        .live(Live::TcpKeepaliveS)
        .effect("seconds of silence after which the system asks whether a new client is there"),
    Parameter::new("timeout", INT, "0")
        .live(Live::TimeoutS)
        .then(|shared, _| shared.wake_workers())
        .effect("seconds after which idle clients are closed, if it is not 0"),
    Parameter::new("tracking-table-max-keys", ANY, "1000000"),
    Parameter::new("unixsocket", Kind::Text, "").fixed(),
    Parameter::new("unixsocketperm", Kind::Octal, "0").fixed(),
];
