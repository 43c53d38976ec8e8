//! Keys that change their name or place: RENAME, COPY and MOVE. The expiry goes with them.

use super::database::parse_index;
use crate::command::{CommandError, Outcome, check_key};
use crate::context::Context;
use crate::data::Class;

const SAME_OBJECT: CommandError =
    CommandError::text("ERR source and destination objects are the same");

/// `RENAME key newkey`
pub(super) fn rename(ctx: &mut Context<'_>) -> Outcome {
    rename_to(ctx, Existing::Replaced)?;
    ctx.reply.ok();
    Ok(())
}

/// `RENAMENX key newkey`
pub(super) fn renamenx(ctx: &mut Context<'_>) -> Outcome {
    let renamed = rename_to(ctx, Existing::Kept)?;
    ctx.reply.flag(renamed);
    Ok(())
}

/// What becomes of a key that has the new name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    Replaced,
    Kept,
}

fn rename_to(ctx: &mut Context<'_>, existing: Existing) -> Result<bool, CommandError> {
    let args = ctx.args;
    let (from, to) = (args[1], args[2]);
    let mut db = ctx.db();
    if !db.contains(from)? {
        return Err(CommandError::NoSuchKey);
    }
    if from == to {
        return Ok(existing == Existing::Replaced);
    }
    check_key(to)?;
    if existing == Existing::Kept && db.contains(to)? {
        return Ok(false);
    }
    db.rename(from, to)?;
    db.tell(Class::Generic, "rename_from", from);
    db.tell(Class::Generic, "rename_to", to);
    Ok(true)
}

/// `COPY source destination [DB index] [REPLACE]`
pub(super) fn copy(ctx: &mut Context<'_>) -> Outcome {
    let (args, from_db) = (ctx.args, ctx.client.db);
    let (from, to) = (args[1], args[2]);
    let (mut to_db, mut existing) = (from_db, Existing::Kept);
    let mut words = args[3..].iter();
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"REPLACE") {
            existing = Existing::Replaced;
        } else if word.eq_ignore_ascii_case(b"DB") {
            let index = words.next().ok_or(CommandError::Syntax)?;
            to_db = parse_index(ctx, index)?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if from_db == to_db && from == to {
        return Err(SAME_OBJECT);
    }
    let copied = copy_to(ctx, (from_db, from), (to_db, to), existing)?;
    if copied {
        ctx.db_at(to_db).tell(Class::Generic, "copy_to", to);
    }
    ctx.reply.flag(copied);
    Ok(())
}

/// `MOVE key db`
pub(super) fn move_key(ctx: &mut Context<'_>) -> Outcome {
    let (args, from_db) = (ctx.args, ctx.client.db);
    let key = args[1];
    let to_db = parse_index(ctx, args[2])?;
    if from_db == to_db {
        return Err(SAME_OBJECT);
    }
    let moved = copy_to(ctx, (from_db, key), (to_db, key), Existing::Kept)?;
    if moved {
        ctx.db().delete(key)?;
        ctx.db().tell(Class::Generic, "move_from", key);
        ctx.db_at(to_db).tell(Class::Generic, "move_to", key);
    }
    ctx.reply.flag(moved);
    Ok(())
}

/// False if there is no such key, or the name is taken and shall be kept.
fn copy_to(
    ctx: &mut Context<'_>,
    (from_db, from): (usize, &[u8]),
    (to_db, to): (usize, &[u8]),
    existing: Existing,
) -> Result<bool, CommandError> {
    check_key(to)?;
    if !ctx.db_at(from_db).contains(from)? {
        return Ok(false);
    }
    if existing == Existing::Kept && ctx.db_at(to_db).holds(to)? {
        return Ok(false);
    }
    Ok(ctx.data.copy((from_db, from), (to_db, to))?)
}
