//! List commands that wait until there is something to take.

use super::ends::{move_one, pop, pop_first};
use super::position::End;
use super::{INSERT_KEY, TAKE_KEY, WRITE, find, list};
use crate::command::arguments::ManyPop;
use crate::command::blocking::{Timeout, seconds, wait_for};
use crate::command::keys::Span;
use crate::command::{Command, Flags, KeySpec, Outcome};
use crate::context::Context;
use crate::data::Type;

const WAITS: Flags = WRITE.and(Flags::BLOCKING);
const WAITS_ALONE: Flags = WAITS.and(Flags::NOSCRIPT);

const PER_KEY: &str = "O(N) with N the number of keys given";

/// The part of the family's table for commands that wait.
pub(crate) const COMMANDS: &[Command] = &[
    list("blmove", 6, blmove)
        .flags(WAITS_ALONE.and(Flags::DENYOOM))
        .keys(&[KeySpec::one(1, TAKE_KEY), KeySpec::one(2, INSERT_KEY)])
        .since("6.2.0")
        .summary("Moves an element from one list to another, once there is one."),
    list("blmpop", -5, blmpop)
        .flags(WAITS.and(Flags::MOVABLEKEYS))
        .keys(&[KeySpec { first: 2, span: Span::Counted, flags: TAKE_KEY }])
        .since("7.0.0")
        .summary("Pops elements from the first of several lists that there is, once there is one.")
        .complexity("O(N+M) with N the number of keys and M the number of elements popped"),
    list("blpop", -3, blpop)
        .flags(WAITS_ALONE)
        .keys(&[KeySpec::to_last_but_one(1, TAKE_KEY)])
        .since("2.0.0")
        .summary("Takes the first element of the first of several lists, once there is one.")
        .complexity(PER_KEY),
    list("brpop", -3, brpop)
        .flags(WAITS_ALONE)
        .keys(&[KeySpec::to_last_but_one(1, TAKE_KEY)])
        .since("2.0.0")
        .summary("Takes the last element of the first of several lists, once there is one.")
        .complexity(PER_KEY),
    list("brpoplpush", 4, brpoplpush)
        .flags(WAITS_ALONE.and(Flags::DENYOOM))
        .keys(&[KeySpec::one(1, TAKE_KEY), KeySpec::one(2, INSERT_KEY)])
        .since("2.2.0")
        .summary(
            "Moves the last element of one list before the first of another, once it is there.",
        ),
];

/// `BLPOP key [key …] timeout`
fn blpop(ctx: &mut Context<'_>) -> Outcome {
    pop_or_wait(ctx, End::Left)
}

/// `BRPOP key [key …] timeout`
fn brpop(ctx: &mut Context<'_>) -> Outcome {
    pop_or_wait(ctx, End::Right)
}

fn pop_or_wait(ctx: &mut Context<'_>, end: End) -> Outcome {
    let last = ctx.args.len() - 1;
    let (keys, timeout) = (&ctx.args[1..last], seconds(ctx.args[last], ctx.now_ms)?);
    for key in keys {
        let Some(list) = find(ctx, key)? else { continue };
        let popped = pop(ctx, list, end, 1)?;
        ctx.reply.array(2);
        ctx.reply.bulk(key);
        ctx.reply.bulk_or_null(popped.first().map(|element| &element.value[..]));
        return Ok(());
    }
    wait_for(ctx, Type::List, keys, timeout);
    Ok(())
}

/// `BLMPOP timeout numkeys key [key …] <LEFT | RIGHT> [COUNT count]`
fn blmpop(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let wanted = ManyPop::parse(&args[2..], End::parse)?;
    let timeout = seconds(args[1], ctx.now_ms)?;
    if !pop_first(ctx, &wanted)? {
        wait_for(ctx, Type::List, wanted.keys, timeout);
    }
    Ok(())
}

/// `BLMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout`
fn blmove(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let (from, to) = (End::parse(args[3])?, End::parse(args[4])?);
    let timeout = seconds(args[5], ctx.now_ms)?;
    move_or_wait(ctx, from, to, timeout)
}

/// `BRPOPLPUSH source destination timeout`
fn brpoplpush(ctx: &mut Context<'_>) -> Outcome {
    let timeout = seconds(ctx.args[3], ctx.now_ms)?;
    move_or_wait(ctx, End::Right, End::Left, timeout)
}

fn move_or_wait(ctx: &mut Context<'_>, from: End, to: End, timeout: Timeout) -> Outcome {
    let args = ctx.args;
    if move_one(ctx, (args[1], from), (args[2], to))? {
        return Ok(());
    }
    if ctx.client.is_in_exec {
        // As LMOVE, not as what waits.
        ctx.reply.null();
    } else {
        wait_for(ctx, Type::List, &args[1..2], timeout);
    }
    Ok(())
}
