//! Taking members from either end.

use super::find;
use super::layout::{Scored, len, remove};
use super::range::reply_scored;
use super::span::{Limit, Members};
use crate::command::arguments::{above_zero, counted_keys, positive};
use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::data::{Class, Collection, Direction};
use crate::double;

/// One end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The lowest score.
    Min,
    /// The highest.
    Max,
}

impl End {
    /// `MIN` or `MAX`.
    fn parse(word: &[u8]) -> Result<End, CommandError> {
        if word.eq_ignore_ascii_case(b"MIN") {
            Ok(End::Min)
        } else if word.eq_ignore_ascii_case(b"MAX") {
            Ok(End::Max)
        } else {
            Err(CommandError::Syntax)
        }
    }
    fn event(self) -> &'static str {
        match self {
            End::Min => "zpopmin",
            End::Max => "zpopmax",
        }
    }
}

/// `ZPOPMIN key [count]`
pub(super) fn zpopmin(ctx: &mut Context<'_>) -> Outcome {
    reply_popped(ctx, End::Min)
}

/// `ZPOPMAX key [count]`
pub(super) fn zpopmax(ctx: &mut Context<'_>) -> Outcome {
    reply_popped(ctx, End::Max)
}

fn reply_popped(ctx: &mut Context<'_>, end: End) -> Outcome {
    let args = ctx.args;
    let count = match args {
        [_, _] => None,
        [_, _, count] => Some(positive(count)?),
        _ => return Err(CommandError::Syntax),
    };
    let popped = match find(ctx, args[1])? {
        Some(zset) => pop(ctx, zset, end, count.unwrap_or(1))?,
        None => Vec::new(),
    };
    match (count, popped.first()) {
        // Without a count the pair stands alone in both protocols.
        (None, Some(Scored { member, score })) => {
            ctx.reply.array(2);
            ctx.reply.bulk(member);
            ctx.reply.double_text(&double::to_text(*score));
        }
        _ => reply_scored(ctx, &popped, true),
    }
    Ok(())
}

/// Takes up to `count` members; the key goes with the last one.
pub(super) fn pop(
    ctx: &mut Context<'_>,
    zset: Collection<'_>,
    end: End,
    count: u64,
) -> Result<Vec<Scored>, CommandError> {
    let direction = match end {
        End::Min => Direction::Ascending,
        End::Max => Direction::Descending,
    };
    let mut db = ctx.db();
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let all = Members::scores(b"-inf", b"+inf")?;
    let popped = all.collect(&mut db, zset, direction, Limit { skip: 0, most })?;
    if popped.is_empty() {
        return Ok(popped);
    }
    db.tell(Class::ZSet, end.event(), zset.key());
    if len(&mut db, zset)? == u64::try_from(popped.len()).unwrap_or(u64::MAX) {
        db.delete(zset.key())?;
        db.tell(Class::Generic, "del", zset.key());
    } else {
        popped.iter().for_each(|scored| remove(&mut db, zset, scored));
    }
    Ok(popped)
}

/// `ZMPOP numkeys key [key …] <MIN | MAX> [COUNT count]`
pub(super) fn zmpop(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let wanted = ManyPop::parse(&args[1..])?;
    if !pop_first(ctx, &wanted)? {
        ctx.reply.null_array();
    }
    Ok(())
}

/// The arguments of ZMPOP and BZMPOP after the name, or the timeout.
#[derive(Clone, Copy, Debug)]
pub(super) struct ManyPop<'a> {
    pub(super) keys: &'a [&'a [u8]],
    end: End,
    count: u64,
}

impl<'a> ManyPop<'a> {
    pub(super) fn parse(args: &'a [&'a [u8]]) -> Result<Self, CommandError> {
        let (keys, rest) = counted_keys(args)?;
        let (end, rest) = rest.split_first().ok_or(CommandError::Syntax)?;
        let end = End::parse(end)?;
        let count = match rest {
            [] => 1,
            [word, count] if word.eq_ignore_ascii_case(b"COUNT") => {
                above_zero(count, "ERR count should be greater than 0")?
            }
            _ => return Err(CommandError::Syntax),
        };
        Ok(ManyPop { keys, end, count })
    }
}

/// Pops from the first sorted set that there is, and answers its key and what was taken; false,
/// and nothing answered, if there is none.
pub(super) fn pop_first(ctx: &mut Context<'_>, wanted: &ManyPop<'_>) -> Result<bool, CommandError> {
    for key in wanted.keys {
        let Some(zset) = find(ctx, key)? else { continue };
        let popped = pop(ctx, zset, wanted.end, wanted.count)?;
        ctx.reply.array(2);
        ctx.reply.bulk(key);
        ctx.reply.array(popped.len());
        for Scored { member, score } in &popped {
            ctx.reply.array(2);
            ctx.reply.bulk(member);
            ctx.reply.double_text(&double::to_text(*score));
        }
        return Ok(true);
    }
    Ok(false)
}
