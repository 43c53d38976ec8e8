//! The introspection commands.

use super::Command;

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[];
