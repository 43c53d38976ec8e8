//! Fields by name: HSET, HGET and their kin.

use super::find;
use crate::command::arguments::pairs;
use crate::command::collection::find_or_create;
use crate::command::{CommandError, Outcome, check_name};
use crate::context::Context;
use crate::data::{Class, Collection, Type, Value};

/// `HSET key field value [field value …]`
pub(super) fn hset(ctx: &mut Context<'_>) -> Outcome {
    let new = set_pairs(ctx, "hset")?;
    ctx.reply.count(new);
    Ok(())
}

/// `HMSET key field value [field value …]`
pub(super) fn hmset(ctx: &mut Context<'_>) -> Outcome {
    set_pairs(ctx, "hmset")?;
    ctx.reply.ok();
    Ok(())
}

/// Sets the fields given; how many are new.
fn set_pairs(ctx: &mut Context<'_>, command: &'static str) -> Result<u64, CommandError> {
    let args = ctx.args;
    let pairs = pairs(&args[2..], command)?;
    let hash = find_or_create(ctx, args[1], Type::Hash)?;
    let mut new = 0;
    for [field, value] in pairs {
        new += u64::from(set(ctx, hash, field, value)?);
    }
    ctx.db().tell(Class::Hash, "hset", args[1]);
    Ok(new)
}

/// Sets a field; true if it is new.
fn set(
    ctx: &mut Context<'_>,
    hash: Collection<'_>,
    field: &[u8],
    value: &[u8],
) -> Result<bool, CommandError> {
    check_name(field)?;
    let mut db = ctx.db();
    let sub = db.hashed(&[], field);
    let is_new = !db.has_element(hash, &sub)?;
    db.put_element(hash, &sub, value);
    Ok(is_new)
}

/// `HSETNX key field value`
pub(super) fn hsetnx(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let is_there = match find(ctx, args[1])? {
        Some(hash) => has(ctx, hash, args[2])?,
        None => false,
    };
    if !is_there {
        let hash = find_or_create(ctx, args[1], Type::Hash)?;
        set(ctx, hash, args[2], args[3])?;
        ctx.db().tell(Class::Hash, "hset", args[1]);
    }
    ctx.reply.flag(!is_there);
    Ok(())
}

/// `HGET key field`
pub(super) fn hget(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let value = value(ctx, args[1], args[2])?;
    ctx.reply.bulk_or_null(value.as_deref());
    Ok(())
}

/// `HMGET key field [field …]`
pub(super) fn hmget(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let hash = find(ctx, args[1])?;
    let fields = &args[2..];
    ctx.reply.array(fields.len());
    for field in fields {
        let value = match hash {
            Some(hash) => get(ctx, hash, field)?,
            None => None,
        };
        ctx.reply.bulk_or_null(value.as_deref());
    }
    Ok(())
}

/// `HSTRLEN key field`
pub(super) fn hstrlen(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let value = value(ctx, args[1], args[2])?;
    let len = value.map_or(0, |value| u64::try_from(value.len()).unwrap_or(u64::MAX));
    ctx.reply.count(len);
    Ok(())
}

/// `HEXISTS key field`
pub(super) fn hexists(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let is_there = match find(ctx, args[1])? {
        Some(hash) => has(ctx, hash, args[2])?,
        None => false,
    };
    ctx.reply.flag(is_there);
    Ok(())
}

/// `HDEL key field [field …]`
pub(super) fn hdel(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let Some(hash) = find(ctx, args[1])? else {
        ctx.reply.count(0);
        return Ok(());
    };
    let mut removed = 0;
    let mut db = ctx.db();
    for field in &args[2..] {
        let sub = db.hashed(&[], field);
        if db.has_element(hash, &sub)? {
            db.remove_element(hash, &sub);
            removed += 1;
        }
    }
    if removed > 0 {
        db.tell(Class::Hash, "hdel", args[1]);
        if db.settle(hash)? {
            db.tell(Class::Generic, "del", args[1]);
        }
    }
    ctx.reply.count(removed);
    Ok(())
}

/// The value of a field of the hash a key holds.
fn value(ctx: &mut Context<'_>, key: &[u8], field: &[u8]) -> Result<Option<Value>, CommandError> {
    match find(ctx, key)? {
        Some(hash) => get(ctx, hash, field),
        None => Ok(None),
    }
}

/// The value of a field.
pub(super) fn get(
    ctx: &mut Context<'_>,
    hash: Collection<'_>,
    field: &[u8],
) -> Result<Option<Value>, CommandError> {
    let mut db = ctx.db();
    let sub = db.hashed(&[], field);
    Ok(db.element(hash, &sub)?)
}

fn has(ctx: &mut Context<'_>, hash: Collection<'_>, field: &[u8]) -> Result<bool, CommandError> {
    let mut db = ctx.db();
    let sub = db.hashed(&[], field);
    Ok(db.has_element(hash, &sub)?)
}
