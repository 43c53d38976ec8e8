//! The sorted-set commands: the table, and what their handlers share.
//!
//! A member has two elements: one by name, (hash, member) → score, and one in order,
//! (score, member) → nothing; `layout` says how they lie. They are written and removed together.

mod algebra;
pub(crate) mod blocking;
mod end;
mod layout;
mod member;
mod range;
#[cfg(test)]
mod remembered;
mod remove;
mod sample;
mod span;
#[cfg(test)]
mod tests;

use super::collection;
use super::keys::Span;
use super::{Command, CommandError, Flags, Group, KeyFlags, KeySpec, Names};
use crate::context::Context;
use crate::data::{Collection, Type};
use layout::NAMES;
pub(super) use layout::{BY_NAME, members, name_of};

const WRITE: Flags = Flags::WRITE;
const WRITE_FAST: Flags = WRITE.and(Flags::FAST);
const GROW: Flags = WRITE.and(Flags::DENYOOM);
const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = READ.and(Flags::FAST);

const READ_KEY: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const UPDATE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::UPDATE);
const TAKE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE);
const DELETE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::DELETE);
const SET_KEY: KeyFlags = KeyFlags::OW.and(KeyFlags::UPDATE);

const PER_MEMBER: &str = "O(1) for each member given";
const BY_RANK: &str = "O(log N) with N the number of elements in the database";
const RANGE: &str = "O(log N + M) with M the number of members returned";
const REMOVED: &str = "O(log N + M) with M the number of members removed";
const ALL: &str = "O(N log N) with N the number of members of all sets given";

const ONE_READ: &[KeySpec] = &[KeySpec::one(1, READ_KEY)];
const COUNTED: &[KeySpec] = &[KeySpec { first: 1, span: Span::Counted, flags: READ_KEY }];
const STORE: &[KeySpec] =
    &[KeySpec::one(1, SET_KEY), KeySpec { first: 2, span: Span::Counted, flags: READ_KEY }];

const fn zset(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).group(Group::SortedSet)
}

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    zset("zadd", -4, member::zadd)
        .flags(GROW.and(Flags::FAST))
        .keys(&[KeySpec::one(1, UPDATE_KEY)])
        .names(Names::updated(3).every(2).within(NAMES))
        .since("1.2.0")
        .summary("Adds members with their scores, or changes scores.")
        .complexity(BY_RANK),
    zset("zcard", 2, member::zcard)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RO)])
        .since("1.2.0")
        .summary("Returns the number of members.")
        .complexity(BY_RANK),
    zset("zcount", 4, range::zcount)
        .flags(READ_FAST)
        .keys(ONE_READ)
        .since("2.0.0")
        .summary("Counts the members with scores in a range.")
        .complexity(BY_RANK),
    zset("zdiff", -3, algebra::zdiff)
        .flags(READ.and(Flags::MOVABLEKEYS))
        .keys(COUNTED)
        .since("6.2.0")
        .summary("Returns the members of a sorted set that others do not have.")
        .complexity(ALL),
    zset("zdiffstore", -4, algebra::zdiffstore)
        .flags(GROW.and(Flags::MOVABLEKEYS))
        .keys(STORE)
        .since("6.2.0")
        .summary("Stores the members of a sorted set that others do not have.")
        .complexity(ALL),
    zset("zincrby", 4, member::zincrby)
        .flags(GROW.and(Flags::FAST))
        .keys(&[KeySpec::one(1, UPDATE_KEY.and(KeyFlags::ACCESS))])
        .names(Names::updated(3).within(NAMES))
        .since("1.2.0")
        .summary("Adds to the score of a member.")
        .complexity(BY_RANK),
    zset("zinter", -3, algebra::zinter)
        .flags(READ.and(Flags::MOVABLEKEYS))
        .keys(COUNTED)
        .since("6.2.0")
        .summary("Returns the members that several sorted sets share.")
        .complexity(ALL),
    zset("zintercard", -3, algebra::zintercard)
        .flags(READ.and(Flags::MOVABLEKEYS))
        .keys(COUNTED)
        .since("7.0.0")
        .summary("Returns the number of members that several sorted sets share.")
        .complexity(ALL),
    zset("zinterstore", -4, algebra::zinterstore)
        .flags(GROW.and(Flags::MOVABLEKEYS))
        .keys(STORE)
        .since("2.0.0")
        .summary("Stores the members that several sorted sets share.")
        .complexity(ALL),
    zset("zlexcount", 4, range::zlexcount)
        .flags(READ_FAST)
        .keys(ONE_READ)
        .since("2.8.9")
        .summary("Counts the members in a range of names, where all scores are the same.")
        .complexity(BY_RANK),
    zset("zmpop", -4, end::zmpop)
        .flags(WRITE.and(Flags::MOVABLEKEYS))
        .keys(&[KeySpec { first: 1, span: Span::Counted, flags: TAKE_KEY }])
        .since("7.0.0")
        .summary("Takes members from an end of the first of several sorted sets that there is.")
        .complexity(REMOVED),
    zset("zmscore", -3, member::zmscore)
        .flags(READ_FAST)
        .keys(ONE_READ)
        .names(Names::read(2).every(1).within(NAMES))
        .since("6.2.0")
        .summary("Returns the scores of several members.")
        .complexity(PER_MEMBER),
    zset("zpopmax", -2, end::zpopmax)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, TAKE_KEY)])
        .since("5.0.0")
        .summary("Takes the members with the highest scores.")
        .complexity(REMOVED),
    zset("zpopmin", -2, end::zpopmin)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, TAKE_KEY)])
        .since("5.0.0")
        .summary("Takes the members with the lowest scores.")
        .complexity(REMOVED),
    zset("zrandmember", -2, sample::zrandmember)
        .flags(READ)
        .keys(ONE_READ)
        .since("6.2.0")
        .summary("Returns members chosen at random.")
        .complexity("O(M log N) with M the number of members returned"),
    zset("zrange", -4, range::zrange)
        .flags(READ)
        .keys(ONE_READ)
        .since("1.2.0")
        .summary("Returns members in a range of ranks, scores or names.")
        .complexity(RANGE),
    zset("zrangebylex", -4, range::zrangebylex)
        .flags(READ)
        .keys(ONE_READ)
        .since("2.8.9")
        .summary("Returns members in a range of names, where all scores are the same.")
        .complexity(RANGE),
    zset("zrangebyscore", -4, range::zrangebyscore)
        .flags(READ)
        .keys(ONE_READ)
        .since("1.0.5")
        .summary("Returns members in a range of scores.")
        .complexity(RANGE),
    zset("zrangestore", -5, range::zrangestore)
        .flags(GROW)
        .keys(&[KeySpec::one(1, SET_KEY), KeySpec::one(2, READ_KEY)])
        .since("6.2.0")
        .summary("Stores members in a range of ranks, scores or names.")
        .complexity(RANGE),
    zset("zrank", -3, member::zrank)
        .flags(READ_FAST)
        .keys(ONE_READ)
        .names(Names::read(2).within(NAMES))
        .since("2.0.0")
        .summary("Returns how many members come before one, lowest score first.")
        .complexity(BY_RANK),
    zset("zrem", -3, member::zrem)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, DELETE_KEY)])
        .names(Names::read(2).every(1).within(NAMES))
        .since("1.2.0")
        .summary("Removes members; a sorted set without members is gone.")
        .complexity(BY_RANK),
    zset("zremrangebylex", 4, remove::zremrangebylex)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, DELETE_KEY)])
        .since("2.8.9")
        .summary("Removes members in a range of names, where all scores are the same.")
        .complexity(REMOVED),
    zset("zremrangebyrank", 4, remove::zremrangebyrank)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, DELETE_KEY)])
        .since("2.0.0")
        .summary("Removes members in a range of ranks.")
        .complexity(REMOVED),
    zset("zremrangebyscore", 4, remove::zremrangebyscore)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, DELETE_KEY)])
        .since("1.2.0")
        .summary("Removes members in a range of scores.")
        .complexity(REMOVED),
    zset("zrevrange", -4, range::zrevrange)
        .flags(READ)
        .keys(ONE_READ)
        .since("1.2.0")
        .summary("Returns members in a range of ranks, highest score first.")
        .complexity(RANGE),
    zset("zrevrangebylex", -4, range::zrevrangebylex)
        .flags(READ)
        .keys(ONE_READ)
        .since("2.8.9")
        .summary("Returns members in a range of names, last one first.")
        .complexity(RANGE),
    zset("zrevrangebyscore", -4, range::zrevrangebyscore)
        .flags(READ)
        .keys(ONE_READ)
        .since("2.2.0")
        .summary("Returns members in a range of scores, highest score first.")
        .complexity(RANGE),
    zset("zrevrank", -3, member::zrevrank)
        .flags(READ_FAST)
        .keys(ONE_READ)
        .names(Names::read(2).within(NAMES))
        .since("2.0.0")
        .summary("Returns how many members come before one, highest score first.")
        .complexity(BY_RANK),
    zset("zscan", -3, sample::zscan)
        .flags(READ)
        .keys(ONE_READ)
        .since("2.8.0")
        .summary("Walks over members and scores in steps, in no order.")
        .complexity("O(1) for a step, O(N) for a walk over N members"),
    zset("zscore", 3, member::zscore)
        .flags(READ_FAST)
        .keys(ONE_READ)
        .names(Names::read(2).within(NAMES))
        .since("1.2.0")
        .summary("Returns the score of a member.")
        .complexity(PER_MEMBER),
    zset("zunion", -3, algebra::zunion)
        .flags(READ.and(Flags::MOVABLEKEYS))
        .keys(COUNTED)
        .since("6.2.0")
        .summary("Returns the members that any of several sorted sets has.")
        .complexity(ALL),
    zset("zunionstore", -4, algebra::zunionstore)
        .flags(GROW.and(Flags::MOVABLEKEYS))
        .keys(STORE)
        .since("2.0.0")
        .summary("Stores the members that any of several sorted sets has.")
        .complexity(ALL),
];

fn find<'k>(ctx: &mut Context<'_>, key: &'k [u8]) -> Result<Option<Collection<'k>>, CommandError> {
    collection::find(ctx, key, Type::ZSet)
}

fn find_or_create<'k>(
    ctx: &mut Context<'_>,
    key: &'k [u8],
) -> Result<Collection<'k>, CommandError> {
    collection::find_or_create(ctx, key, Type::ZSet)
}
