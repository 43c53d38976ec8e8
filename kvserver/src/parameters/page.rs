//! The parameters as a table of `docs/commands.md`; for the test that compares it.

use super::PARAMETERS;
use super::row::{Access, Parameter};
use crate::command::page::row;

/// All that are not hidden, in the order of their names.
pub(crate) fn page() -> String {
    let mut text =
        "| parameter | default | `CONFIG SET` | effect |\n|---|---|---|---|\n".to_owned();
    for parameter in PARAMETERS.iter().filter(|parameter| !parameter.is_hidden) {
        text.push_str(&row(&cells(parameter)));
    }
    text
}

fn cells(parameter: &Parameter) -> [String; 4] {
    let name = match parameter.alias {
        "" => format!("`{}`", parameter.name),
        alias => format!("`{}`, `{alias}`", parameter.name),
    };
    let default = match parameter.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let access = match parameter.access {
        Access::Free => "yes",
        Access::Fixed => "no",
        Access::Same => "to what it is",
    };
    let effect = match parameter.effect {
        "" => "remembered, without effect",
        effect => effect,
    };
    [name, default, access.to_owned(), effect.to_owned()]
}
