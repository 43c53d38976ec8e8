//! Keys that change their name or place: RENAME, COPY and MOVE. The expiry goes with them.

use super::database::parse_index;
use crate::command::{CommandError, Outcome, check_key};
use crate::context::Context;
use crate::data::{Expiry, Stored};

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
    let (args, db) = (ctx.args, ctx.client.db);
    let (from, to) = (args[1], args[2]);
    let found = Found::read(ctx, db, from)?.ok_or(CommandError::NoSuchKey)?;
    if from == to {
        return Ok(existing == Existing::Replaced);
    }
    if !found.write(ctx, db, to, existing)? {
        return Ok(false);
    }
    ctx.db().delete(from)?;
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
    let copied = match Found::read(ctx, from_db, from)? {
        Some(found) => found.write(ctx, to_db, to, existing)?,
        None => false,
    };
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
    let moved = match Found::read(ctx, from_db, key)? {
        Some(found) => found.write(ctx, to_db, key, Existing::Kept)?,
        None => false,
    };
    if moved {
        ctx.db().delete(key)?;
    }
    ctx.reply.flag(moved);
    Ok(())
}

/// A value on its way, with its expiry.
struct Found {
    stored: Stored,
    expiry: Expiry,
}

impl Found {
    fn read(ctx: &mut Context<'_>, db: usize, key: &[u8]) -> Result<Option<Found>, CommandError> {
        let Some(stored) = ctx.db_at(db).get(key)? else { return Ok(None) };
        let at_ms = ctx.db_at(db).expires_at_ms(key)?.flatten();
        Ok(Some(Found { stored, expiry: at_ms.map_or(Expiry::None, Expiry::At) }))
    }

    /// False if the name is taken and shall be kept.
    fn write(
        self,
        ctx: &mut Context<'_>,
        db: usize,
        key: &[u8],
        existing: Existing,
    ) -> Result<bool, CommandError> {
        check_key(key)?;
        if existing == Existing::Kept && ctx.db_at(db).contains(key)? {
            return Ok(false);
        }
        let Found { stored, expiry } = self;
        ctx.db_at(db).put(key, stored.kind(), stored.payload(), expiry)?;
        Ok(true)
    }
}
