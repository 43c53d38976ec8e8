//! Elements by their index, found by the order index's counts.

use std::ops::{Bound, ControlFlow, Range};

use super::find;
use crate::command::arguments::{Indexes, from_end, integer};
use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::data::{Class, Collection, Db, Direction, Element, Expiry, Type, WHOLE};

/// `LLEN key`
pub(super) fn llen(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let len = match find(ctx, args[1])? {
        Some(list) => ctx.db().count(list, WHOLE)?,
        None => 0,
    };
    ctx.reply.count(len);
    Ok(())
}

/// `LINDEX key index`
pub(super) fn lindex(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let Some(list) = find(ctx, args[1])? else {
        ctx.reply.null();
        return Ok(());
    };
    let index = integer(args[2])?;
    let found = at(&mut ctx.db(), list, index)?;
    ctx.reply.bulk_or_null(found.as_ref().map(|element| &element.value[..]));
    Ok(())
}

/// `LSET key index element`
pub(super) fn lset(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let list = find(ctx, args[1])?.ok_or(CommandError::NoSuchKey)?;
    let index = integer(args[2])?;
    let mut db = ctx.db();
    let found = at(&mut db, list, index)?;
    let found = found.ok_or(CommandError::text("ERR index out of range"))?;
    db.put_element(list, &found.sub, args[3]);
    db.tell(Class::List, "lset", args[1]);
    ctx.reply.ok();
    Ok(())
}

/// The element an index means.
fn at(db: &mut Db<'_>, list: Collection<'_>, index: i64) -> Result<Option<Element>, CommandError> {
    let len = if index < 0 { db.count(list, WHOLE)? } else { 0 };
    let Some(place) = from_end(index, len) else { return Ok(None) };
    Ok(db.nth(list, WHOLE, place)?)
}

/// `LRANGE key start stop`
pub(super) fn lrange(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let indexes = Indexes::parse(args[2], args[3])?;
    let Some(list) = find(ctx, args[1])? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let Context { reply, data, client, .. } = ctx;
    let mut db = data.db(client.db);
    let range = indexes.of(db.count(list, WHOLE)?);
    let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    reply.array(len);
    let start = match range.start {
        0 => Vec::new(),
        place => match db.nth(list, WHOLE, place)? {
            Some(element) => element.sub,
            None => return Ok(()),
        },
    };
    let span = (Bound::Included(start.as_slice()), Bound::Unbounded);
    db.walk(list, span, Direction::Ascending, len, |seen| {
        seen.value_with(|value| reply.bulk(value))?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(())
}

/// `LTRIM key start stop`
pub(super) fn ltrim(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let indexes = Indexes::parse(args[2], args[3])?;
    if let Some(list) = find(ctx, args[1])? {
        let mut db = ctx.db();
        let len = db.count(list, WHOLE)?;
        let kept = indexes.of(len);
        let kept_len = kept.end - kept.start;
        if kept_len == 0 {
            db.delete(args[1])?;
        } else if kept_len < len - kept_len {
            keep(&mut db, list, kept)?;
        } else {
            remove_outside(&mut db, list, kept, len)?;
        }
        db.tell(Class::List, "ltrim", args[1]);
        if kept_len == 0 {
            db.tell(Class::Generic, "del", args[1]);
        }
    }
    ctx.reply.ok();
    Ok(())
}

/// The elements of a range of places, in order.
fn elements(
    db: &mut Db<'_>,
    list: Collection<'_>,
    places: Range<u64>,
) -> Result<Vec<Element>, CommandError> {
    let mut found = Vec::new();
    let Some(first) = db.nth(list, WHOLE, places.start)? else { return Ok(found) };
    let span = (Bound::Included(first.sub.as_slice()), Bound::Unbounded);
    let len = usize::try_from(places.end - places.start).unwrap_or(usize::MAX);
    db.walk(list, span, Direction::Ascending, len, |seen| {
        found.push(seen.to_element()?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Makes a new list of what stays: the old one goes as a whole, whatever its length.
fn keep(db: &mut Db<'_>, list: Collection<'_>, places: Range<u64>) -> Outcome {
    let kept = elements(db, list, places)?;
    let new = db.create(list.key(), Type::List, Expiry::Keep)?;
    for element in &kept {
        db.put_element(new, &element.sub, &element.value);
    }
    Ok(())
}

fn remove_outside(db: &mut Db<'_>, list: Collection<'_>, kept: Range<u64>, len: u64) -> Outcome {
    let mut outside = Vec::new();
    for places in [0..kept.start, kept.end..len] {
        if !places.is_empty() {
            outside.extend(elements(db, list, places)?);
        }
    }
    outside.iter().for_each(|element| db.remove_element(list, &element.sub));
    Ok(())
}
