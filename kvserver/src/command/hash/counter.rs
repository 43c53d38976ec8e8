//! Fields as numbers.

use super::field::get;
use crate::command::arguments::integer;
use crate::command::collection::find_or_create;
use crate::command::{CommandError, Outcome, check_name};
use crate::context::Context;
use crate::data::{Class, Type};
use crate::long_double::LongDouble;
use crate::number::parse_i64;

const NOT_INTEGER: CommandError = CommandError::text("ERR hash value is not an integer");
const NOT_FLOAT: CommandError = CommandError::text("ERR hash value is not a float");

/// `HINCRBY key field increment`
pub(super) fn hincrby(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let increment = integer(args[3])?;
    let mut new = 0;
    change(ctx, "hincrby", |old| {
        let old = old.map_or(Ok(0), |text| parse_i64(text).ok_or(NOT_INTEGER))?;
        new = old.checked_add(increment).ok_or(CommandError::Overflow)?;
        Ok(new.to_string())
    })?;
    ctx.reply.integer(new);
    Ok(())
}

/// `HINCRBYFLOAT key field increment`
pub(super) fn hincrbyfloat(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let increment = LongDouble::parse(args[3]).ok_or(CommandError::NotFloat)?;
    if increment == LongDouble::Infinite {
        return Err(CommandError::text("ERR value is NaN or Infinity"));
    }
    let new = change(ctx, "hincrbyfloat", |old| {
        let old =
            old.map_or(Ok(LongDouble::ZERO), |text| LongDouble::parse(text).ok_or(NOT_FLOAT))?;
        let new = old.checked_add(&increment).ok_or(CommandError::NanOrInfinity)?;
        Ok(new.to_text())
    })?;
    ctx.reply.bulk(new.as_bytes());
    Ok(())
}

/// Puts what `f` makes of the field's value in its place.
fn change(
    ctx: &mut Context<'_>,
    event: &'static str,
    f: impl FnOnce(Option<&[u8]>) -> Result<String, CommandError>,
) -> Result<String, CommandError> {
    let args = ctx.args;
    let (key, field) = (args[1], args[2]);
    check_name(field)?;
    let hash = find_or_create(ctx, key, Type::Hash)?;
    let new = f(get(ctx, hash, field)?.as_deref())?;
    let mut db = ctx.db();
    let sub = db.hashed(&[], field);
    db.put_element(hash, &sub, new.as_bytes());
    db.tell(Class::Hash, event, key);
    Ok(new)
}
