//! Strings as numbers: INCR and its kin. They leave the expiry as it is.

use super::read;
use crate::command::{CommandError, Outcome, check_key};
use crate::context::Context;
use crate::data::{Class, Expiry, Type};
use crate::long_double::LongDouble;
use crate::number::parse_i64;

/// `INCR key`
pub(super) fn incr(ctx: &mut Context<'_>) -> Outcome {
    add(ctx, 1)
}

/// `DECR key`
pub(super) fn decr(ctx: &mut Context<'_>) -> Outcome {
    add(ctx, -1)
}

/// `INCRBY key increment`
pub(super) fn incrby(ctx: &mut Context<'_>) -> Outcome {
    let increment = parse_i64(ctx.args[2]).ok_or(CommandError::NotInteger)?;
    add(ctx, increment)
}

/// `DECRBY key decrement`
pub(super) fn decrby(ctx: &mut Context<'_>) -> Outcome {
    let decrement = parse_i64(ctx.args[2]).ok_or(CommandError::NotInteger)?;
    let increment =
        decrement.checked_neg().ok_or(CommandError::text("ERR decrement would overflow"))?;
    add(ctx, increment)
}

fn add(ctx: &mut Context<'_>, increment: i64) -> Outcome {
    let args = ctx.args;
    let key = args[1];
    check_key(key)?;
    let old = match read(ctx, key)? {
        Some(stored) => parse_i64(stored.payload()).ok_or(CommandError::NotInteger)?,
        None => 0,
    };
    let new = old.checked_add(increment).ok_or(CommandError::Overflow)?;
    ctx.db().put(key, Type::String, new.to_string().as_bytes(), Expiry::Keep)?;
    ctx.db().tell(Class::String, "incrby", key);
    ctx.reply.integer(new);
    Ok(())
}

/// `INCRBYFLOAT key increment`
pub(super) fn incrbyfloat(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let key = args[1];
    check_key(key)?;
    let old = match read(ctx, key)? {
        Some(stored) => LongDouble::parse(stored.payload()).ok_or(CommandError::NotFloat)?,
        None => LongDouble::ZERO,
    };
    let increment = LongDouble::parse(args[2]).ok_or(CommandError::NotFloat)?;
    let new = old.checked_add(&increment).ok_or(CommandError::NanOrInfinity)?.to_text();
    ctx.db().put(key, Type::String, new.as_bytes(), Expiry::Keep)?;
    ctx.db().tell(Class::String, "incrbyfloat", key);
    ctx.reply.bulk(new.as_bytes());
    Ok(())
}
