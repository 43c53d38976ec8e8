//! The list commands: the table, and what their handlers share.
//!
//! An element of a list is (position) → value; `position` says where positions lie.

pub(crate) mod blocking;
mod ends;
mod places;
mod position;
#[cfg(test)]
mod remembered;
mod search;
#[cfg(test)]
mod tests;

use super::collection;
use super::keys::Span;
use super::{Command, CommandError, Flags, Group, KeyFlags, KeySpec};
use crate::context::Context;
use crate::data::{Collection, Type};
pub(super) use position::{End, push};

const WRITE: Flags = Flags::WRITE;
const WRITE_FAST: Flags = WRITE.and(Flags::FAST);
const GROW: Flags = WRITE.and(Flags::DENYOOM);
const GROW_FAST: Flags = GROW.and(Flags::FAST);
const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = READ.and(Flags::FAST);

const READ_KEY: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const INSERT_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::INSERT);
const TAKE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE);
const DELETE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::DELETE);

const PER_ELEMENT: &str = "O(N) with N the number of elements given";
const BY_INDEX: &str = "O(log N) with N the number of elements in the database";

const fn list(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).group(Group::List)
}

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    list("lindex", 3, places::lindex)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .summary("Returns an element of a list by its index.")
        .complexity(BY_INDEX),
    list("linsert", 5, search::linsert)
        .flags(GROW)
        .keys(&[KeySpec::one(1, INSERT_KEY)])
        .since("2.2.0")
        .summary("Inserts an element before or after another one.")
        .complexity("O(N) with N the number of elements to walk over to the pivot"),
    list("llen", 2, places::llen)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RO)])
        .summary("Counts the elements of a list.")
        .complexity(BY_INDEX),
    list("lmove", 5, ends::lmove)
        .flags(GROW)
        .keys(&[KeySpec::one(1, TAKE_KEY), KeySpec::one(2, INSERT_KEY)])
        .since("6.2.0")
        .summary("Moves an element from an end of one list to an end of another."),
    list("lmpop", -4, ends::lmpop)
        .flags(WRITE.and(Flags::MOVABLEKEYS))
        .keys(&[KeySpec { first: 1, span: Span::Counted, flags: TAKE_KEY }])
        .since("7.0.0")
        .summary("Pops elements from the first of several lists that there is.")
        .complexity("O(N+M) with N the number of keys and M the number of elements popped"),
    list("lpop", -2, ends::lpop)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, TAKE_KEY)])
        .summary("Takes the first elements from a list; an empty list is gone.")
        .complexity("O(N) with N the number of elements popped"),
    list("lpos", -3, search::lpos)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("6.0.6")
        .summary("Returns the indices of the elements that equal one.")
        .complexity("O(N) with N the number of elements walked over"),
    list("lpush", -3, ends::lpush)
        .flags(GROW_FAST)
        .keys(&[KeySpec::one(1, INSERT_KEY)])
        .summary("Adds elements before the first one, creating the list if need be.")
        .complexity(PER_ELEMENT),
    list("lpushx", -3, ends::lpushx)
        .flags(GROW_FAST)
        .keys(&[KeySpec::one(1, INSERT_KEY)])
        .since("2.2.0")
        .summary("Adds elements before the first one of a list that exists.")
        .complexity(PER_ELEMENT),
    list("lrange", 4, places::lrange)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .summary("Returns the elements between two indices.")
        .complexity("O(log N + M) with M the number of elements returned"),
    list("lrem", 4, search::lrem)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, DELETE_KEY)])
        .summary("Removes elements that equal one, from either end.")
        .complexity("O(N) with N the number of elements walked over"),
    list("lset", 4, places::lset)
        .flags(GROW)
        .keys(&[KeySpec::one(1, KeyFlags::RW.and(KeyFlags::UPDATE))])
        .summary("Replaces an element by its index.")
        .complexity(BY_INDEX),
    list("ltrim", 4, places::ltrim)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, DELETE_KEY)])
        .summary("Removes what is not between two indices.")
        .complexity("O(N) with N the number of elements removed, or of those that stay if fewer"),
    list("rpop", -2, ends::rpop)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, TAKE_KEY)])
        .summary("Takes the last elements from a list; an empty list is gone.")
        .complexity("O(N) with N the number of elements popped"),
    list("rpoplpush", 3, ends::rpoplpush)
        .flags(GROW)
        .keys(&[KeySpec::one(1, TAKE_KEY), KeySpec::one(2, INSERT_KEY)])
        .since("1.2.0")
        .summary("Moves the last element of one list before the first one of another."),
    list("rpush", -3, ends::rpush)
        .flags(GROW_FAST)
        .keys(&[KeySpec::one(1, INSERT_KEY)])
        .summary("Adds elements after the last one, creating the list if need be.")
        .complexity(PER_ELEMENT),
    list("rpushx", -3, ends::rpushx)
        .flags(GROW_FAST)
        .keys(&[KeySpec::one(1, INSERT_KEY)])
        .since("2.2.0")
        .summary("Adds elements after the last one of a list that exists.")
        .complexity(PER_ELEMENT),
];

fn find<'k>(ctx: &mut Context<'_>, key: &'k [u8]) -> Result<Option<Collection<'k>>, CommandError> {
    collection::find(ctx, key, Type::List)
}

fn find_or_create<'k>(
    ctx: &mut Context<'_>,
    key: &'k [u8],
) -> Result<Collection<'k>, CommandError> {
    collection::find_or_create(ctx, key, Type::List)
}
