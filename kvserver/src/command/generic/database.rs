//! Whole databases: DBSIZE, FLUSHDB, FLUSHALL and SWAPDB.

use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::data::{Expiry, Stored};
use crate::number::parse_i64;

/// Most bytes of keys and values SWAPDB moves: its batch is built in memory.
const SWAP_BYTES_MAX: usize = 1 << 30;

/// A database index as an argument.
///
/// Errors: not an integer, not an integer of 32 bits, or no such database.
pub(super) fn parse_index(ctx: &Context<'_>, text: &[u8]) -> Result<usize, CommandError> {
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
/// Moves every key in one batch, so that a crash leaves both databases as before or as after.
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
        let mut bytes_left = SWAP_BYTES_MAX;
        let of_a = contents(ctx, a, &mut bytes_left)?;
        let of_b = contents(ctx, b, &mut bytes_left)?;
        clear(ctx, a)?;
        clear(ctx, b)?;
        fill(ctx, a, &of_b)?;
        fill(ctx, b, &of_a)?;
    }
    ctx.reply.ok();
    Ok(())
}

struct Held {
    key: Vec<u8>,
    stored: Stored,
    expiry: Expiry,
}

/// Everything in a database; an error if that is more than `bytes_left`, which it lessens.
fn contents(
    ctx: &mut Context<'_>,
    index: usize,
    bytes_left: &mut usize,
) -> Result<Vec<Held>, CommandError> {
    let mut keys = Vec::new();
    ctx.db_at(index).for_each_key(|key| keys.push(key.to_vec()))?;
    let mut all = Vec::with_capacity(keys.len());
    for key in keys {
        let mut db = ctx.db_at(index);
        if let Some(stored) = db.get(&key)? {
            let at_ms = db.expires_at_ms(&key)?.flatten();
            *bytes_left = bytes_left.checked_sub(key.len() + stored.payload().len()).ok_or(
                CommandError::text("ERR the databases hold more than 1 GiB, which SWAPDB refuses"),
            )?;
            all.push(Held { key, stored, expiry: at_ms.map_or(Expiry::None, Expiry::At) });
        }
    }
    Ok(all)
}

fn fill(ctx: &mut Context<'_>, index: usize, contents: &[Held]) -> Outcome {
    for Held { key, stored, expiry } in contents {
        ctx.db_at(index).put(key, stored.kind(), stored.payload(), *expiry)?;
    }
    Ok(())
}
