//! The hash commands: the table, and what their handlers share.
//!
//! An element of a hash is (hash of the field, field) → value, byte for byte.

mod counter;
mod field;
mod scan;
#[cfg(test)]
mod tests;
mod whole;

use super::collection;
use super::{Command, CommandError, Flags, Group, KeyFlags, KeySpec, Names};
use crate::context::Context;
use crate::data::hashed::HASH_LEN;
use crate::data::{Collection, Type};

const WRITE_FAST: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);
const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = READ.and(Flags::FAST);

const READ_KEY: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const UPDATE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::UPDATE);
const CHANGE_KEY: KeyFlags = UPDATE_KEY.and(KeyFlags::ACCESS);

const ALL_FIELDS: &str = "O(N) with N the number of fields";

const fn hash(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).group(Group::Hash).since("2.0.0")
}

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    hash("hdel", -3, field::hdel)
        .flags(Flags::WRITE.and(Flags::FAST))
        .keys(&[KeySpec::one(1, KeyFlags::RW.and(KeyFlags::DELETE))])
        .names(Names::placed(2).every(1))
        .summary("Removes fields from a hash; a hash without fields is gone.")
        .complexity("O(N) with N the number of fields given"),
    hash("hexists", 3, field::hexists)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RO)])
        .names(Names::placed(2))
        .summary("Tells whether a hash has a field."),
    hash("hget", 3, field::hget)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .names(Names::read(2))
        .summary("Returns the value of a field."),
    hash("hgetall", 2, whole::hgetall)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .summary("Returns all fields and values of a hash.")
        .complexity(ALL_FIELDS),
    hash("hincrby", 4, counter::hincrby)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, CHANGE_KEY)])
        .names(Names::updated(2))
        .summary("Adds to an integer in a field, counting a missing one as 0."),
    hash("hincrbyfloat", 4, counter::hincrbyfloat)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, CHANGE_KEY)])
        .names(Names::updated(2))
        .since("2.6.0")
        .summary("Adds to a floating-point number in a field, counting a missing one as 0."),
    hash("hkeys", 2, whole::hkeys)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .summary("Returns all fields of a hash.")
        .complexity(ALL_FIELDS),
    hash("hlen", 2, whole::hlen)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RO)])
        .summary("Returns the number of fields of a hash.")
        .complexity("O(log N) with N the number of elements in the database"),
    hash("hmget", -3, field::hmget)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .names(Names::read(2).every(1))
        .summary("Returns the values of several fields.")
        .complexity("O(N) with N the number of fields given"),
    hash("hmset", -4, field::hmset)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, UPDATE_KEY)])
        .names(Names::placed(2).every(2))
        .summary("Sets several fields: the older name of HSET.")
        .complexity("O(N) with N the number of fields given"),
    hash("hrandfield", -2, scan::hrandfield)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("6.2.0")
        .summary("Returns fields chosen at random.")
        .complexity("O(M log N) with M the number of fields returned"),
    hash("hscan", -3, scan::hscan)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("2.8.0")
        .summary("Walks over the fields of a hash in steps.")
        .complexity("O(1) for a step, O(N) for a walk over N fields"),
    hash("hset", -4, field::hset)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, UPDATE_KEY)])
        .names(Names::placed(2).every(2))
        .summary("Sets fields and returns how many are new.")
        .complexity("O(N) with N the number of fields given"),
    hash("hsetnx", 4, field::hsetnx)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RW.and(KeyFlags::INSERT))])
        .names(Names::placed(2))
        .summary("Sets a field unless the hash has it."),
    hash("hstrlen", 3, field::hstrlen)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RO)])
        .names(Names::read(2))
        .since("3.2.0")
        .summary("Returns the length of a field's value in bytes."),
    hash("hvals", 2, whole::hvals)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .summary("Returns all values of a hash.")
        .complexity(ALL_FIELDS),
];

fn find<'k>(ctx: &mut Context<'_>, key: &'k [u8]) -> Result<Option<Collection<'k>>, CommandError> {
    collection::find(ctx, key, Type::Hash)
}

/// The field in the key of an element.
fn field_of(sub: &[u8]) -> &[u8] {
    sub.get(HASH_LEN..).unwrap_or_default()
}
