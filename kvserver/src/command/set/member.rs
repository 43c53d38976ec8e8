//! Members by name.

use super::{find, find_or_create};
use crate::command::{CommandError, Outcome, check_name};
use crate::context::Context;
use crate::data::{Class, Collection, Db, StoreError, WHOLE};

/// `SADD key member [member …]`
pub(super) fn sadd(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let set = find_or_create(ctx, args[1])?;
    let mut db = ctx.db();
    let mut added = 0;
    for member in &args[2..] {
        check_name(member)?;
        added += u64::from(add(&mut db, set, member)?);
    }
    if added > 0 {
        db.tell(Class::Set, "sadd", args[1]);
    }
    ctx.reply.count(added);
    Ok(())
}

/// Adds a member; false if the set has it.
fn add(db: &mut Db<'_>, set: Collection<'_>, member: &[u8]) -> Result<bool, StoreError> {
    let sub = db.hashed(&[], member);
    let is_new = !db.has_element(set, &sub)?;
    if is_new {
        db.put_element(set, &sub, &[]);
    }
    Ok(is_new)
}

/// Removes a member; false if the set does not have it.
fn remove(db: &mut Db<'_>, set: Collection<'_>, member: &[u8]) -> Result<bool, StoreError> {
    let sub = db.hashed(&[], member);
    let is_there = db.has_element(set, &sub)?;
    if is_there {
        db.remove_element(set, &sub);
    }
    Ok(is_there)
}

/// `SREM key member [member …]`
pub(super) fn srem(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let mut removed = 0;
    if let Some(set) = find(ctx, args[1])? {
        let mut db = ctx.db();
        for member in &args[2..] {
            removed += u64::from(remove(&mut db, set, member)?);
        }
        if removed > 0 {
            told_removed(&mut db, set)?;
        }
    }
    ctx.reply.count(removed);
    Ok(())
}

/// Tells that members were removed; an empty set ends.
fn told_removed(db: &mut Db<'_>, set: Collection<'_>) -> Result<(), StoreError> {
    db.tell(Class::Set, "srem", set.key());
    if db.settle(set)? {
        db.tell(Class::Generic, "del", set.key());
    }
    Ok(())
}

/// `SCARD key`
pub(super) fn scard(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let len = match find(ctx, args[1])? {
        Some(set) => ctx.db().count(set, WHOLE)?,
        None => 0,
    };
    ctx.reply.count(len);
    Ok(())
}

/// `SISMEMBER key member`
pub(super) fn sismember(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let set = find(ctx, args[1])?;
    let is_member = has(ctx, set, args[2])?;
    ctx.reply.flag(is_member);
    Ok(())
}

/// `SMISMEMBER key member [member …]`
pub(super) fn smismember(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let set = find(ctx, args[1])?;
    let members = &args[2..];
    ctx.reply.array(members.len());
    for member in members {
        let is_member = has(ctx, set, member)?;
        ctx.reply.flag(is_member);
    }
    Ok(())
}

fn has(
    ctx: &mut Context<'_>,
    set: Option<Collection<'_>>,
    member: &[u8],
) -> Result<bool, CommandError> {
    let Some(set) = set else { return Ok(false) };
    let mut db = ctx.db();
    let sub = db.hashed(&[], member);
    Ok(db.has_element(set, &sub)?)
}

/// `SMOVE source destination member`
pub(super) fn smove(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let (source, destination, member) = (args[1], args[2], args[3]);
    let from = find(ctx, source)?;
    let Some(from) = from else {
        ctx.reply.flag(false);
        return Ok(());
    };
    find(ctx, destination)?;
    if source == destination {
        let is_member = has(ctx, Some(from), member)?;
        ctx.reply.flag(is_member);
        return Ok(());
    }
    let is_moved = remove(&mut ctx.db(), from, member)?;
    if is_moved {
        told_removed(&mut ctx.db(), from)?;
        let to = find_or_create(ctx, destination)?;
        let mut db = ctx.db();
        if add(&mut db, to, member)? {
            db.tell(Class::Set, "sadd", destination);
        }
    }
    ctx.reply.flag(is_moved);
    Ok(())
}
