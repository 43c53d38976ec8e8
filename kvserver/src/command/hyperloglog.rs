//! The HyperLogLog commands: the table, and what their handlers share.
//!
//! A sketch is a string in Redis' own representation, so GET and SET move it between servers.

mod debug;
mod sketch;
#[cfg(test)]
mod tests;

use super::{Command, CommandError, Flags, Group, KeyFlags, KeySpec};
use crate::context::Context;
use crate::data::Stored;
use crate::hll::{Invalid, Sketch};

const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const ADMIN: Flags = Flags::ADMIN;

const NOT_A_SKETCH: CommandError =
    CommandError::text("WRONGTYPE Key is not a valid HyperLogLog string value.");
const CORRUPT: CommandError = CommandError::text("INVALIDOBJ Corrupted HLL object detected");

const fn sketch(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).group(Group::HyperLogLog).since("2.8.9")
}

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    sketch("pfadd", -2, sketch::pfadd)
        .flags(WRITE.and(Flags::FAST))
        .keys(&[KeySpec::one(1, KeyFlags::RW.and(KeyFlags::INSERT))])
        .summary("Adds elements to a sketch, creating it if need be.")
        .complexity("O(1) for each element"),
    sketch("pfcount", -2, sketch::pfcount)
        .flags(Flags::READONLY.and(Flags::MAY_REPLICATE).and(Flags::REMEMBERS))
        .keys(&[KeySpec::to_end(1, 1, KeyFlags::RW.and(KeyFlags::ACCESS))])
        .summary("Estimates how many different elements sketches have seen together.")
        .complexity("O(1) for one sketch that has not changed, O(N) for N of them"),
    sketch("pfdebug", 3, debug::pfdebug)
        .flags(WRITE.and(ADMIN))
        .keys(&[KeySpec::one(2, KeyFlags::RW.and(KeyFlags::ACCESS))])
        .summary("Shows how a sketch is written down, or makes it dense.")
        .complexity("O(1)"),
    sketch("pfmerge", -2, sketch::pfmerge)
        .flags(WRITE)
        .keys(&[
            KeySpec::one(1, KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::INSERT)),
            KeySpec::to_end(2, 1, KeyFlags::RO.and(KeyFlags::ACCESS)),
        ])
        .summary("Merges sketches into one.")
        .complexity("O(N) with N the number of sketches"),
    sketch("pfselftest", 1, debug::pfselftest)
        .flags(ADMIN)
        .summary("Tests the registers and the estimates of sketches.")
        .complexity("O(1)"),
];

impl From<Invalid> for CommandError {
    fn from(_: Invalid) -> Self {
        CORRUPT
    }
}

/// The sketch a key holds.
fn read<'s>(found: Option<&'s Stored>) -> Result<Option<Sketch<'s>>, CommandError> {
    found.map(|stored| Sketch::of(stored.payload()).ok_or(NOT_A_SKETCH)).transpose()
}

/// `hll-sparse-max-bytes`.
fn sparse_len_max(ctx: &Context<'_>) -> usize {
    ctx.server.parameters.value("hll-sparse-max-bytes").parse().unwrap_or(usize::MAX)
}

/// Writes a sketch; its expiry stays.
fn write(ctx: &mut Context<'_>, key: &[u8], sketch: &Sketch<'_>) -> Result<(), CommandError> {
    let bytes = sketch.bytes();
    Ok(ctx.db().edit(key, bytes, bytes.len(), |_| ())?)
}
