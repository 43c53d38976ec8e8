//! The set commands: the table, and what their handlers share.
//!
//! An element of a set is (hash of the member, member) → nothing. The same member has the same key
//! in every set, so sets are compared by their elements' keys.

mod algebra;
#[cfg(test)]
mod drawn;
mod member;
mod random;
mod reverse;
#[cfg(test)]
mod tests;

use super::collection;
use super::keys::Span;
use super::{Command, CommandError, Flags, Group, KeyFlags, KeySpec, Names};
use crate::context::Context;
use crate::data::hashed::HASH_LEN;
use crate::data::{Collection, Type};

const WRITE: Flags = Flags::WRITE;
const WRITE_FAST: Flags = WRITE.and(Flags::FAST);
const GROW: Flags = WRITE.and(Flags::DENYOOM);
const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = READ.and(Flags::FAST);

const READ_KEY: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const INSERT_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::INSERT);
const TAKE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE);
const SET_KEY: KeyFlags = KeyFlags::OW.and(KeyFlags::UPDATE);

const PER_MEMBER: &str = "O(N) with N the number of members given";
const ALL_MEMBERS: &str = "O(N) with N the number of members of all sets given";
const INTERSECTION: &str = "O(N*M) with N the size of the smallest set and M the number of sets";

const STORE_KEYS: &[KeySpec] = &[KeySpec::one(1, SET_KEY), KeySpec::to_end(2, 1, READ_KEY)];

const fn set(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).group(Group::Set)
}

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    set("sadd", -3, member::sadd)
        .flags(GROW.and(Flags::FAST))
        .keys(&[KeySpec::one(1, INSERT_KEY)])
        .names(Names::placed(2).every(1))
        .summary("Adds members to a set, creating it if need be.")
        .complexity(PER_MEMBER),
    set("scard", 2, member::scard)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RO)])
        .summary("Returns the number of members of a set.")
        .complexity("O(log N) with N the number of elements in the database"),
    set("sdiff", -2, algebra::sdiff)
        .flags(READ)
        .keys(&[KeySpec::to_end(1, 1, READ_KEY)])
        .summary("Returns the members of a set that others do not have.")
        .complexity(ALL_MEMBERS),
    set("sdiffstore", -3, algebra::sdiffstore)
        .flags(GROW)
        .keys(STORE_KEYS)
        .summary("Stores the members of a set that others do not have.")
        .complexity(ALL_MEMBERS),
    set("sinter", -2, algebra::sinter)
        .flags(READ)
        .keys(&[KeySpec::to_end(1, 1, READ_KEY)])
        .summary("Returns the members that several sets share.")
        .complexity(INTERSECTION),
    set("sintercard", -3, algebra::sintercard)
        .flags(READ.and(Flags::MOVABLEKEYS))
        .keys(&[KeySpec { first: 1, span: Span::Counted, flags: READ_KEY }])
        .since("7.0.0")
        .summary("Returns the number of members that several sets share.")
        .complexity(INTERSECTION),
    set("sinterstore", -3, algebra::sinterstore)
        .flags(GROW)
        .keys(&[
            KeySpec::one(1, KeyFlags::RW.and(KeyFlags::UPDATE)),
            KeySpec::to_end(2, 1, READ_KEY),
        ])
        .summary("Stores the members that several sets share.")
        .complexity(INTERSECTION),
    set("sismember", 3, member::sismember)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RO)])
        .names(Names::placed(2))
        .summary("Tells whether a set has a member."),
    set("smembers", 2, algebra::sinter)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .summary("Lists the members of a set.")
        .complexity("O(N) with N the number of members"),
    set("smismember", -3, member::smismember)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .names(Names::placed(2).every(1))
        .since("6.2.0")
        .summary("Tells of several members whether a set has them.")
        .complexity(PER_MEMBER),
    set("smove", 4, member::smove)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, TAKE_KEY), KeySpec::one(2, INSERT_KEY)])
        .summary("Takes a member out of one set and puts it into another."),
    set("spop", -2, random::spop)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, TAKE_KEY)])
        .summary("Takes members chosen at random from a set; an empty set is gone.")
        .complexity("O(M log N) with M the number of members taken"),
    set("srandmember", -2, random::srandmember)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .summary("Returns members chosen at random.")
        .complexity("O(M log N) with M the number of members returned"),
    set("srem", -3, member::srem)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RW.and(KeyFlags::DELETE))])
        .names(Names::placed(2).every(1))
        .summary("Removes members from a set; an empty set is gone.")
        .complexity(PER_MEMBER),
    set("sscan", -3, random::sscan)
        .flags(READ)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("2.8.0")
        .summary("Walks over the members of a set in steps.")
        .complexity("O(1) for a step, O(N) for a walk over N members"),
    set("sunion", -2, algebra::sunion)
        .flags(READ)
        .keys(&[KeySpec::to_end(1, 1, READ_KEY)])
        .summary("Returns the members that any of several sets has.")
        .complexity(ALL_MEMBERS),
    set("sunionstore", -3, algebra::sunionstore)
        .flags(GROW)
        .keys(STORE_KEYS)
        .summary("Stores the members that any of several sets has.")
        .complexity(ALL_MEMBERS),
    set("swithmember", -2, reverse::swithmember)
        .flags(READ.and(Flags::ARBITRARY_KEYS))
        .since("7.2.0")
        .summary("Returns the keys of all sets that have a member, from a reverse index.")
        .complexity("O(N log M) with N the number of sets returned and M that of all members"),
];

fn find<'k>(ctx: &mut Context<'_>, key: &'k [u8]) -> Result<Option<Collection<'k>>, CommandError> {
    collection::find(ctx, key, Type::Set)
}

fn find_or_create<'k>(
    ctx: &mut Context<'_>,
    key: &'k [u8],
) -> Result<Collection<'k>, CommandError> {
    collection::find_or_create(ctx, key, Type::Set)
}

/// The member in the key of an element.
fn member_of(sub: &[u8]) -> &[u8] {
    sub.get(HASH_LEN..).unwrap_or_default()
}
