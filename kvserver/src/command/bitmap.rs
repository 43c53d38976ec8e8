//! The bitmap commands: the table, and what their handlers share.
//!
//! A bitmap is a string; its bits are numbered from the most significant one of the first byte.
//! What lies beyond the end of a string, or where no key is, counts as zeros.

mod combine;
mod field;
mod range;
mod single;
#[cfg(test)]
mod tests;

use super::{Command, CommandError, Flags, Group, KeyFlags, KeySpec};
use crate::bits;
use crate::context::Context;
use crate::number::parse_i64;

const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = READ.and(Flags::FAST);

const READ_KEY: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const CHANGE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE);
const SET_KEY: KeyFlags = KeyFlags::OW.and(KeyFlags::UPDATE);

const BAD_OFFSET: CommandError =
    CommandError::text("ERR bit offset is not an integer or out of range");

const fn bitmap(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).group(Group::Bitmap)
}

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    bitmap("bitcount", -2, range::bitcount)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("2.6.0")
        .summary("Counts the bits that are set in a string, or in a part of it.")
        .complexity("O(N) with N the length of the part"),
    bitmap("bitfield", -2, field::bitfield)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, CHANGE_KEY.and(KeyFlags::VARIABLE))])
        .keys_of(field::bitfield_keys)
        .since("3.2.0")
        .summary("Reads, sets and adds to integers of any width, at any bit of a string.")
        .complexity("O(1) for each integer; O(N) to write, with N the length of the string"),
    bitmap("bitfield_ro", -2, field::bitfield_ro)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("6.0.0")
        .summary("Reads integers of any width, at any bit of a string.")
        .complexity("O(1) for each integer"),
    bitmap("bitop", -4, combine::bitop)
        .flags(WRITE)
        .keys(&[KeySpec::one(2, SET_KEY), KeySpec::to_end(3, 1, READ_KEY)])
        .since("2.6.0")
        .summary("Combines strings bit by bit and stores the result.")
        .complexity("O(N) with N the length of the longest string"),
    bitmap("bitpos", -3, range::bitpos)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("2.8.7")
        .summary("Finds the first bit that is set, or clear, in a string or a part of it.")
        .complexity("O(N) with N the length of the part"),
    bitmap("getbit", 3, single::getbit)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("2.2.0")
        .summary("Returns one bit of a string, 0 beyond its end."),
    bitmap("setbit", 4, single::setbit)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, CHANGE_KEY)])
        .since("2.2.0")
        .summary("Sets or clears one bit of a string, making it longer if need be.")
        .complexity("O(N) with N the length of the string"),
];

/// Reads the number of a bit; the string that would hold it must not be too long.
fn offset(ctx: &Context<'_>, text: &[u8]) -> Result<u64, CommandError> {
    parse_i64(text).and_then(|at| addressable(ctx, at)).ok_or(BAD_OFFSET)
}

/// Refuses bits that no string may be long enough for.
fn addressable(ctx: &Context<'_>, at: i64) -> Option<u64> {
    let at = u64::try_from(at).ok()?;
    (at / 8 < ctx.server.string_len_max() && bits::byte_of(at) < usize::MAX / 2).then_some(at)
}
