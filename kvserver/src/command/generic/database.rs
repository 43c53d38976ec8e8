//! Whole databases: DBSIZE, FLUSHDB, FLUSHALL and SWAPDB.

use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::number::parse_i64;

/// A database index as an argument.
///
/// Errors: not an integer, not an integer of 32 bits, or no such database.
pub(crate) fn parse_index(ctx: &Context<'_>, text: &[u8]) -> Result<usize, CommandError> {
    let number = parse_i64(text).ok_or(CommandError::NotInteger)?;
    let number = i32::try_from(number).map_err(|_| {
        CommandError::err(format_args!(
            "value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        ))
    })?;
    existing(ctx, number)
}

fn existing(ctx: &Context<'_>, number: i32) -> Result<usize, CommandError> {
    let index = usize::try_from(number).ok().filter(|index| *index < ctx.data.count());
    index.ok_or(CommandError::DbIndex)
}

/// `DBSIZE`; keys past their time count until they are removed.
pub(super) fn dbsize(ctx: &mut Context<'_>) -> Outcome {
    let len = ctx.db().len()?;
    ctx.reply.count(len);
    Ok(())
}

/// `FLUSHDB [ASYNC | SYNC]`; memory is always freed in the background.
pub(super) fn flushdb(ctx: &mut Context<'_>) -> Outcome {
    check_flush_option(ctx)?;
    let index = ctx.client.db;
    clear(ctx, index)?;
    ctx.reply.ok();
    Ok(())
}

/// `FLUSHALL [ASYNC | SYNC]`
pub(super) fn flushall(ctx: &mut Context<'_>) -> Outcome {
    check_flush_option(ctx)?;
    for index in 0..ctx.data.count() {
        clear(ctx, index)?;
    }
    ctx.reply.ok();
    Ok(())
}

fn check_flush_option(ctx: &Context<'_>) -> Outcome {
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    match &ctx.args[1..] {
        [] => Ok(()),
        [word] if is(word, "ASYNC") || is(word, "SYNC") => Ok(()),
        _ => Err(CommandError::Syntax),
    }
}

/// Clears a database that holds anything: for an empty one nothing is logged.
fn clear(ctx: &mut Context<'_>, index: usize) -> Outcome {
    let mut db = ctx.db_at(index);
    if db.len()? > 0 {
        db.clear();
    }
    Ok(())
}

/// `SWAPDB index1 index2`
///
/// Only the numbers of the databases are exchanged: one small record, whatever they hold.
pub(super) fn swapdb(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let number = |text: &[u8], error: &'static str| {
        let number = parse_i64(text).and_then(|number| i32::try_from(number).ok());
        number.ok_or(CommandError::text(error))
    };
    let a = number(args[1], "ERR invalid first DB index")?;
    let b = number(args[2], "ERR invalid second DB index")?;
    let (a, b) = (existing(ctx, a)?, existing(ctx, b)?);
    if a != b {
        ctx.data.swap(a, b);
    }
    ctx.reply.ok();
    Ok(())
}
