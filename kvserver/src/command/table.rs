//! All commands, found by name without regard to case.

use std::sync::LazyLock;

use super::{Command, client, config, connection, generic, introspection, server, string};

static FAMILIES: [&[Command]; 7] = [
    client::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    generic::COMMANDS,
    introspection::COMMANDS,
    server::COMMANDS,
    string::COMMANDS,
];

/// Every command, by name.
static SORTED: LazyLock<Vec<&'static Command>> = LazyLock::new(|| {
    let mut all: Vec<&Command> = FAMILIES.iter().copied().flatten().collect();
    all.sort_by_key(|command| command.name);
    all
});

/// Every command, in the order of the names.
pub(crate) fn all() -> &'static [&'static Command] {
    &SORTED
}
