//! Several sets at once: intersection, union and difference.

use std::ops::ControlFlow;

use super::{find, member_of};
use crate::command::arguments::{above_zero, not_negative};
use crate::command::{CommandError, Outcome, check_key};
use crate::context::Context;
use crate::data::{Class, Collection, Db, Direction, Expiry, Type, WHOLE};

/// Keys of elements.
type Subs = Vec<Vec<u8>>;

/// How sets are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Intersection,
    Union,
    Difference,
}

/// `SINTER key [key …]`, and SMEMBERS
pub(super) fn sinter(ctx: &mut Context<'_>) -> Outcome {
    reply(ctx, Operation::Intersection)
}

/// `SUNION key [key …]`
pub(super) fn sunion(ctx: &mut Context<'_>) -> Outcome {
    reply(ctx, Operation::Union)
}

/// `SDIFF key [key …]`
pub(super) fn sdiff(ctx: &mut Context<'_>) -> Outcome {
    reply(ctx, Operation::Difference)
}

fn reply(ctx: &mut Context<'_>, operation: Operation) -> Outcome {
    let args = ctx.args;
    let sets = all(ctx, &args[1..])?;
    let subs = operation.run(&mut ctx.db(), &sets, usize::MAX)?;
    ctx.reply.set(subs.len());
    subs.iter().for_each(|sub| ctx.reply.bulk(member_of(sub)));
    Ok(())
}

/// `SINTERSTORE destination key [key …]`
pub(super) fn sinterstore(ctx: &mut Context<'_>) -> Outcome {
    store(ctx, Operation::Intersection, "sinterstore")
}

/// `SUNIONSTORE destination key [key …]`
pub(super) fn sunionstore(ctx: &mut Context<'_>) -> Outcome {
    store(ctx, Operation::Union, "sunionstore")
}

/// `SDIFFSTORE destination key [key …]`
pub(super) fn sdiffstore(ctx: &mut Context<'_>) -> Outcome {
    store(ctx, Operation::Difference, "sdiffstore")
}

fn store(ctx: &mut Context<'_>, operation: Operation, event: &'static str) -> Outcome {
    let args = ctx.args;
    let destination = args[1];
    let sets = all(ctx, &args[2..])?;
    let mut db = ctx.db();
    let subs = operation.run(&mut db, &sets, usize::MAX)?;
    if subs.is_empty() {
        if db.delete(destination)? {
            db.tell(Class::Generic, "del", destination);
        }
    } else {
        check_key(destination)?;
        let set = db.create(destination, Type::Set, Expiry::None)?;
        subs.iter().for_each(|sub| db.put_element(set, sub, &[]));
        db.tell(Class::Set, event, destination);
    }
    ctx.reply.count(u64::try_from(subs.len()).unwrap_or(u64::MAX));
    Ok(())
}

/// `SINTERCARD numkeys key [key …] [LIMIT limit]`
pub(super) fn sintercard(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let count = above_zero(args[1], "ERR numkeys should be greater than 0")?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let (keys, rest) = args[2..]
        .split_at_checked(count)
        .ok_or(CommandError::text("ERR Number of keys can't be greater than number of args"))?;
    let (mut limit, pairs) = (0, rest.as_chunks::<2>());
    for [word, value] in pairs.0 {
        if !word.eq_ignore_ascii_case(b"LIMIT") {
            return Err(CommandError::Syntax);
        }
        limit = not_negative(value, "ERR LIMIT can't be negative")?;
    }
    if !pairs.1.is_empty() {
        return Err(CommandError::Syntax);
    }
    let limit = match limit {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let sets = all(ctx, keys)?;
    let subs = Operation::Intersection.run(&mut ctx.db(), &sets, limit)?;
    ctx.reply.count(u64::try_from(subs.len()).unwrap_or(u64::MAX));
    Ok(())
}

/// The sets of these keys; `None` where there is no key.
fn all<'k>(
    ctx: &mut Context<'_>,
    keys: &[&'k [u8]],
) -> Result<Vec<Option<Collection<'k>>>, CommandError> {
    keys.iter().map(|key| find(ctx, key)).collect()
}

impl Operation {
    /// The keys of up to `limit` elements of the result.
    fn run(
        self,
        db: &mut Db<'_>,
        sets: &[Option<Collection<'_>>],
        limit: usize,
    ) -> Result<Subs, CommandError> {
        match self {
            Operation::Intersection => intersection(db, sets, limit),
            Operation::Union => union(db, sets),
            Operation::Difference => difference(db, sets),
        }
    }
}

/// Walks over the smallest set and looks its members up in the others.
fn intersection(
    db: &mut Db<'_>,
    sets: &[Option<Collection<'_>>],
    limit: usize,
) -> Result<Subs, CommandError> {
    let mut by_len = Vec::with_capacity(sets.len());
    for set in sets {
        let Some(set) = *set else { return Ok(Vec::new()) };
        by_len.push((db.count(set, WHOLE)?, set));
    }
    by_len.sort_by_key(|(len, _)| *len);
    let Some(((_, smallest), others)) = by_len.split_first() else { return Ok(Vec::new()) };
    let mut shared = Vec::new();
    for sub in members(db, *smallest)? {
        if shared.len() >= limit {
            break;
        }
        let mut is_shared = true;
        for (_, other) in others {
            is_shared = is_shared && db.has_element(*other, &sub)?;
        }
        if is_shared {
            shared.push(sub);
        }
    }
    Ok(shared)
}

/// The members of each set that no set before it has.
fn union(db: &mut Db<'_>, sets: &[Option<Collection<'_>>]) -> Result<Subs, CommandError> {
    let mut all = Vec::new();
    for (at, set) in sets.iter().enumerate() {
        let Some(set) = *set else { continue };
        for sub in members(db, set)? {
            if !any_has(db, &sets[..at], &sub)? {
                all.push(sub);
            }
        }
    }
    Ok(all)
}

fn difference(db: &mut Db<'_>, sets: &[Option<Collection<'_>>]) -> Result<Subs, CommandError> {
    let Some((Some(first), others)) = sets.split_first() else { return Ok(Vec::new()) };
    let mut left = Vec::new();
    for sub in members(db, *first)? {
        if !any_has(db, others, &sub)? {
            left.push(sub);
        }
    }
    Ok(left)
}

fn any_has(
    db: &mut Db<'_>,
    sets: &[Option<Collection<'_>>],
    sub: &[u8],
) -> Result<bool, CommandError> {
    for set in sets.iter().flatten() {
        if db.has_element(*set, sub)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The keys of all elements.
fn members(db: &mut Db<'_>, set: Collection<'_>) -> Result<Subs, CommandError> {
    let mut subs = Vec::new();
    db.walk(set, WHOLE, Direction::Ascending, usize::MAX, |seen| {
        subs.push(seen.sub().to_vec());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(subs)
}
