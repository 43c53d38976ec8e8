//! Removing the members of a range.

use super::find;
use super::layout::{len, remove};
use super::span::{Limit, Members};
use crate::command::Outcome;
use crate::command::arguments::Indexes;
use crate::context::Context;
use crate::data::{Class, Direction};

/// `ZREMRANGEBYRANK key start stop`
pub(super) fn zremrangebyrank(ctx: &mut Context<'_>) -> Outcome {
    let members = Members::Ranks(Indexes::parse(ctx.args[2], ctx.args[3])?);
    remove_range(ctx, &members, "zremrangebyrank")
}

/// `ZREMRANGEBYSCORE key min max`
pub(super) fn zremrangebyscore(ctx: &mut Context<'_>) -> Outcome {
    let members = Members::scores(ctx.args[2], ctx.args[3])?;
    remove_range(ctx, &members, "zremrangebyscore")
}

/// `ZREMRANGEBYLEX key min max`
pub(super) fn zremrangebylex(ctx: &mut Context<'_>) -> Outcome {
    let members = Members::names(ctx.args[2], ctx.args[3])?;
    remove_range(ctx, &members, "zremrangebylex")
}

fn remove_range(ctx: &mut Context<'_>, members: &Members, event: &'static str) -> Outcome {
    let args = ctx.args;
    let Some(zset) = find(ctx, args[1])? else {
        ctx.reply.count(0);
        return Ok(());
    };
    let mut db = ctx.db();
    let gone = members.collect(&mut db, zset, Direction::Ascending, Limit::NONE)?;
    let count = u64::try_from(gone.len()).unwrap_or(u64::MAX);
    if count > 0 {
        db.tell(Class::ZSet, event, args[1]);
        if count == len(&mut db, zset)? {
            // All at once: two small records, whatever the number.
            db.delete(args[1])?;
            db.tell(Class::Generic, "del", args[1]);
        } else {
            gone.iter().for_each(|scored| remove(&mut db, zset, scored));
        }
    }
    ctx.reply.count(count);
    Ok(())
}
