//! The string commands: the table, and what their handlers share.
//!
//! A string is the payload of its key, byte for byte. Numbers are strings that parse as such.

mod counter;
mod lcs;
mod options;
mod range;
#[cfg(test)]
mod tests;
mod value;

use super::keys::Span;
use super::{Command, CommandError, Flags, Group, KeyFlags, KeySpec, Outcome};
use crate::context::Context;
use crate::data::{Parts, Stored, Type};
use crate::resp::Reply;

const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const WRITE_FAST: Flags = WRITE.and(Flags::FAST);
const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = READ.and(Flags::FAST);

const READ_KEY: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const CHANGE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE);
const TAKE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE);
const SET_KEY: KeyFlags = KeyFlags::OW.and(KeyFlags::UPDATE);
const NEW_KEY: KeyFlags = KeyFlags::OW.and(KeyFlags::INSERT);

const fn string(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).group(Group::String)
}

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    string("append", 3, range::append)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RW.and(KeyFlags::INSERT))])
        .since("2.0.0")
        .summary("Adds bytes to the end of a string, creating it if need be.")
        .complexity("O(N) with N the length of the resulting string"),
    string("decr", 2, counter::decr)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, CHANGE_KEY)])
        .summary("Subtracts one from an integer, counting a missing key as 0."),
    string("decrby", 3, counter::decrby)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, CHANGE_KEY)])
        .summary("Subtracts a number from an integer, counting a missing key as 0."),
    string("get", 2, value::get)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .summary("Returns the string a key holds."),
    string("getdel", 2, value::getdel)
        .flags(Flags::WRITE.and(Flags::FAST))
        .keys(&[KeySpec::one(1, TAKE_KEY)])
        .since("6.2.0")
        .summary("Returns the string a key holds and deletes the key."),
    string("getex", -2, value::getex)
        .flags(Flags::WRITE.and(Flags::FAST))
        .keys(&[KeySpec::one(1, CHANGE_KEY)])
        .since("6.2.0")
        .summary("Returns the string a key holds and may set or remove its expiry."),
    string("getrange", 4, range::getrange)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("2.4.0")
        .summary("Returns part of a string, by first and last byte.")
        .complexity("O(N) with N the length of the returned part"),
    string("getset", 3, value::getset)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, CHANGE_KEY)])
        .summary("Sets a string and returns the one before."),
    string("incr", 2, counter::incr)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, CHANGE_KEY)])
        .summary("Adds one to an integer, counting a missing key as 0."),
    string("incrby", 3, counter::incrby)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, CHANGE_KEY)])
        .summary("Adds a number to an integer, counting a missing key as 0."),
    string("incrbyfloat", 3, counter::incrbyfloat)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, CHANGE_KEY)])
        .since("2.6.0")
        .summary("Adds to a floating-point number, counting a missing key as 0."),
    string("lcs", -3, lcs::lcs)
        .flags(READ)
        .keys(&[KeySpec { first: 1, span: Span::Range { last: 1, step: 1 }, flags: READ_KEY }])
        .since("7.0.0")
        .summary("Finds the longest common subsequence of two strings.")
        .complexity("O(N*M) with N and M the lengths of the strings"),
    string("mget", -2, value::mget)
        .flags(READ_FAST)
        .keys(&[KeySpec::to_end(1, 1, READ_KEY)])
        .summary("Returns the strings several keys hold, all from the same moment.")
        .complexity("O(N) with N the number of keys"),
    string("mset", -3, value::mset)
        .flags(WRITE)
        .keys(&[KeySpec::to_end(1, 2, SET_KEY)])
        .since("1.0.1")
        .summary("Sets several strings at once.")
        .complexity("O(N) with N the number of keys"),
    string("msetnx", -3, value::msetnx)
        .flags(WRITE)
        .keys(&[KeySpec::to_end(1, 2, NEW_KEY)])
        .since("1.0.1")
        .summary("Sets several strings at once, unless one of the keys exists.")
        .complexity("O(N) with N the number of keys"),
    string("psetex", 4, value::psetex)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, SET_KEY)])
        .since("2.6.0")
        .summary("Sets a string that expires after so many milliseconds."),
    string("set", -3, value::set)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, CHANGE_KEY.and(KeyFlags::VARIABLE))])
        .keys_of(value::set_keys)
        .summary("Sets a string, whatever the key held before."),
    string("setex", 4, value::setex)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, SET_KEY)])
        .since("2.0.0")
        .summary("Sets a string that expires after so many seconds."),
    string("setnx", 3, value::setnx)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, NEW_KEY)])
        .summary("Sets a string unless the key exists."),
    string("setrange", 4, range::setrange)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, KeyFlags::RW.and(KeyFlags::UPDATE))])
        .since("2.2.0")
        .summary("Overwrites part of a string, making it longer if need be.")
        .complexity("O(N) with N the length of the resulting string"),
    string("strlen", 2, range::strlen)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RO)])
        .since("2.2.0")
        .summary("Returns the length of a string in bytes."),
    string("substr", 4, range::getrange)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .summary("Returns part of a string: the older name of GETRANGE.")
        .complexity("O(N) with N the length of the returned part"),
];

/// The string `key` holds, `None` if there is no key.
#[inline]
pub(super) fn read(ctx: &mut Context<'_>, key: &[u8]) -> Result<Option<Stored>, CommandError> {
    match ctx.db().get(key)? {
        Some(stored) if stored.kind() != Type::String => Err(CommandError::WrongType),
        found => Ok(found),
    }
}

/// Hands the string `key` holds to `f`, which reads the parts it needs; `None` if there is no key.
pub(super) fn read_parts(
    ctx: &mut Context<'_>,
    key: &[u8],
    f: impl Fn(Option<Parts<'_>>, &mut Reply<'_>) -> Outcome,
) -> Outcome {
    let Context { reply, data, client, .. } = ctx;
    let found = data.db(client.db).read_parts(key, |kind, parts| match kind {
        Type::String => f(Some(parts), reply),
        _ => Err(CommandError::WrongType),
    })?;
    found.unwrap_or_else(|| f(None, reply))
}

/// Refuses a string that `more` bytes would make longer than `proto-max-bulk-len`.
fn check_len(ctx: &Context<'_>, len: usize, more: u64) -> Result<(), CommandError> {
    let total = u64::try_from(len).ok().and_then(|len| len.checked_add(more));
    match total {
        Some(total) if total <= ctx.server.string_len_max() => Ok(()),
        _ => Err(CommandError::StringTooLong),
    }
}
