//! Sorted-set commands that wait until there is a member to take.

use super::end::{End, pop, pop_first};
use super::{REMOVED, TAKE_KEY, WRITE, find, zset};
use crate::command::arguments::ManyPop;
use crate::command::blocking::{seconds, wait_for};
use crate::command::keys::Span;
use crate::command::{Command, Flags, KeySpec, Outcome};
use crate::context::Context;
use crate::data::Type;
use crate::double;

const WAITS: Flags = WRITE.and(Flags::BLOCKING);
const WAITS_ALONE: Flags = WAITS.and(Flags::NOSCRIPT).and(Flags::FAST);

/// The part of the family's table for commands that wait.
pub(crate) const COMMANDS: &[Command] = &[
    zset("bzmpop", -5, bzmpop)
        .flags(WAITS.and(Flags::MOVABLEKEYS))
        .keys(&[KeySpec { first: 2, span: Span::Counted, flags: TAKE_KEY }])
        .since("7.0.0")
        .summary("Takes members from the first of several sorted sets, once there is one.")
        .complexity(REMOVED),
    zset("bzpopmax", -3, bzpopmax)
        .flags(WAITS_ALONE)
        .keys(&[KeySpec::to_last_but_one(1, TAKE_KEY)])
        .since("5.0.0")
        .summary("Takes the member with the highest score, once there is one.")
        .complexity("O(log N)"),
    zset("bzpopmin", -3, bzpopmin)
        .flags(WAITS_ALONE)
        .keys(&[KeySpec::to_last_but_one(1, TAKE_KEY)])
        .since("5.0.0")
        .summary("Takes the member with the lowest score, once there is one.")
        .complexity("O(log N)"),
];

/// `BZPOPMIN key [key …] timeout`
fn bzpopmin(ctx: &mut Context<'_>) -> Outcome {
    pop_or_wait(ctx, End::Min)
}

/// `BZPOPMAX key [key …] timeout`
fn bzpopmax(ctx: &mut Context<'_>) -> Outcome {
    pop_or_wait(ctx, End::Max)
}

fn pop_or_wait(ctx: &mut Context<'_>, end: End) -> Outcome {
    let last = ctx.args.len() - 1;
    let (keys, timeout) = (&ctx.args[1..last], seconds(ctx.args[last], ctx.now_ms)?);
    for key in keys {
        let Some(zset) = find(ctx, key)? else { continue };
        if let Some(popped) = pop(ctx, zset, end, 1)?.first() {
            ctx.reply.array(3);
            ctx.reply.bulk(key);
            ctx.reply.bulk(&popped.member);
            ctx.reply.double_text(&double::to_text(popped.score));
            return Ok(());
        }
    }
    wait_for(ctx, Type::ZSet, keys, timeout);
    Ok(())
}

/// `BZMPOP timeout numkeys key [key …] <MIN | MAX> [COUNT count]`
fn bzmpop(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let wanted = ManyPop::parse(&args[2..], End::parse)?;
    let timeout = seconds(args[1], ctx.now_ms)?;
    if !pop_first(ctx, &wanted)? {
        wait_for(ctx, Type::ZSet, wanted.keys, timeout);
    }
    Ok(())
}
