//! The ends of lists: pushing, popping, and moving from one list to another.

use std::ops::ControlFlow;

use super::position::{End, push};
use super::{find, find_or_create};
use crate::command::arguments::{ManyPop, positive};
use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::data::{Class, Collection, Db, Element, OuterNumber, WHOLE};

/// `LPUSH key element [element …]`
pub(super) fn lpush(ctx: &mut Context<'_>) -> Outcome {
    push_all(ctx, End::Left)
}

/// `RPUSH key element [element …]`
pub(super) fn rpush(ctx: &mut Context<'_>) -> Outcome {
    push_all(ctx, End::Right)
}

/// `LPUSHX key element [element …]`: only to a list that exists.
pub(super) fn lpushx(ctx: &mut Context<'_>) -> Outcome {
    push_if_there(ctx, End::Left)
}

/// `RPUSHX key element [element …]`
pub(super) fn rpushx(ctx: &mut Context<'_>) -> Outcome {
    push_if_there(ctx, End::Right)
}

fn push_all(ctx: &mut Context<'_>, end: End) -> Outcome {
    let args = ctx.args;
    let list = find_or_create(ctx, args[1])?;
    push_to(ctx, list, end)
}

fn push_if_there(ctx: &mut Context<'_>, end: End) -> Outcome {
    let args = ctx.args;
    match find(ctx, args[1])? {
        Some(list) => push_to(ctx, list, end),
        None => {
            ctx.reply.count(0);
            Ok(())
        }
    }
}

/// Adds the arguments after the key; answers the length.
fn push_to(ctx: &mut Context<'_>, list: Collection<'_>, end: End) -> Outcome {
    let args = ctx.args;
    let values = &args[2..];
    let mut db = ctx.db();
    // Asked before, while nothing is pending: that is cheaper.
    let len = db.count(list, WHOLE)?;
    push(&mut db, list, end, values)?;
    db.tell(Class::List, end.pushed(), args[1]);
    ctx.reply.count(len + u64::try_from(values.len()).unwrap_or(u64::MAX));
    Ok(())
}

impl End {
    /// The event of a push.
    fn pushed(self) -> &'static str {
        match self {
            End::Left => "lpush",
            End::Right => "rpush",
        }
    }
    /// The event of a pop.
    fn popped(self) -> &'static str {
        match self {
            End::Left => "lpop",
            End::Right => "rpop",
        }
    }
    /// `LEFT` or `RIGHT`.
    pub(super) fn parse(word: &[u8]) -> Result<End, CommandError> {
        if word.eq_ignore_ascii_case(b"LEFT") {
            Ok(End::Left)
        } else if word.eq_ignore_ascii_case(b"RIGHT") {
            Ok(End::Right)
        } else {
            Err(CommandError::Syntax)
        }
    }
}

/// `LPOP key [count]`
pub(super) fn lpop(ctx: &mut Context<'_>) -> Outcome {
    reply_popped(ctx, End::Left, "lpop")
}

/// `RPOP key [count]`
pub(super) fn rpop(ctx: &mut Context<'_>) -> Outcome {
    reply_popped(ctx, End::Right, "rpop")
}

fn reply_popped(ctx: &mut Context<'_>, end: End, command: &'static str) -> Outcome {
    let args = ctx.args;
    let count = match args {
        [_, _] => None,
        [_, _, count] => Some(positive(count)?),
        _ => return Err(CommandError::Arity(command.into())),
    };
    let Some(list) = find(ctx, args[1])? else {
        match count {
            Some(_) => ctx.reply.null_array(),
            None => ctx.reply.null(),
        }
        return Ok(());
    };
    match count {
        None => reply_one_popped(ctx, list, end),
        Some(count) => {
            let popped = pop(ctx, list, end, count)?;
            reply_values(ctx, &popped);
            Ok(())
        }
    }
}

/// Takes one element, by what is known of the end: no walk.
fn reply_one_popped(ctx: &mut Context<'_>, list: Collection<'_>, end: End) -> Outcome {
    let Context { reply, data, client, .. } = ctx;
    let mut db = data.db(client.db);
    let outermost = db.outer_number_to_take(list, end.inwards())?;
    let Some(OuterNumber { number, is_more }) = outermost else {
        reply.null();
        return Ok(());
    };
    let sub = number.to_be_bytes();
    if db.element_with(list, &sub, |value| reply.bulk(value))?.is_none() {
        reply.null();
        return Ok(());
    }
    db.remove_element(list, &sub);
    told_popped(&mut db, list, end, is_more);
    Ok(())
}

pub(super) fn reply_values(ctx: &mut Context<'_>, elements: &[Element]) {
    ctx.reply.array(elements.len());
    elements.iter().for_each(|element| ctx.reply.bulk(&element.value));
}

/// Takes up to `count` elements from one end; the key goes with the last one.
pub(super) fn pop(
    ctx: &mut Context<'_>,
    list: Collection<'_>,
    end: End,
    count: u64,
) -> Result<Vec<Element>, CommandError> {
    let mut db = ctx.db();
    let Taken { elements, is_more } = take(&mut db, list, end, count)?;
    if !elements.is_empty() {
        told_popped(&mut db, list, end, is_more);
    }
    Ok(elements)
}

/// What was taken from a list, and whether that leaves any.
struct Taken {
    elements: Vec<Element>,
    is_more: bool,
}

/// Removes up to `count` elements from one end and leaves the key, be it empty.
fn take(
    db: &mut Db<'_>,
    list: Collection<'_>,
    end: End,
    count: u64,
) -> Result<Taken, CommandError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let (mut popped, mut is_more) = (Vec::new(), false);
    db.walk(list, WHOLE, end.inwards(), count.saturating_add(1), |seen| {
        if popped.len() == count {
            is_more = true;
            return Ok(ControlFlow::Break(()));
        }
        popped.push(seen.to_element()?);
        Ok(ControlFlow::Continue(()))
    })?;
    for element in &popped {
        db.remove_element(list, &element.sub);
    }
    Ok(Taken { elements: popped, is_more })
}

/// Tells that elements were taken; an empty list ends.
fn told_popped(db: &mut Db<'_>, list: Collection<'_>, end: End, is_more: bool) {
    db.tell(Class::List, end.popped(), list.key());
    if !is_more {
        db.end(list);
        db.tell(Class::Generic, "del", list.key());
    }
}

/// `LMPOP numkeys key [key …] <LEFT | RIGHT> [COUNT count]`
pub(super) fn lmpop(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let wanted = ManyPop::parse(&args[1..], End::parse)?;
    if !pop_first(ctx, &wanted)? {
        ctx.reply.null_array();
    }
    Ok(())
}

/// Pops from the first list that there is, and answers its key and what was in it; false, and
/// nothing answered, if there is none.
pub(super) fn pop_first(
    ctx: &mut Context<'_>,
    wanted: &ManyPop<'_, End>,
) -> Result<bool, CommandError> {
    for key in wanted.keys {
        let Some(list) = find(ctx, key)? else { continue };
        let popped = pop(ctx, list, wanted.end, wanted.count)?;
        ctx.reply.array(2);
        ctx.reply.bulk(key);
        reply_values(ctx, &popped);
        return Ok(true);
    }
    Ok(false)
}

/// `LMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT>`
pub(super) fn lmove(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let (from, to) = (End::parse(args[3])?, End::parse(args[4])?);
    reply_moved(ctx, from, to)
}

/// `RPOPLPUSH source destination`
pub(super) fn rpoplpush(ctx: &mut Context<'_>) -> Outcome {
    reply_moved(ctx, End::Right, End::Left)
}

fn reply_moved(ctx: &mut Context<'_>, from: End, to: End) -> Outcome {
    let args = ctx.args;
    if !move_one(ctx, (args[1], from), (args[2], to))? {
        ctx.reply.null();
    }
    Ok(())
}

/// Moves the outermost element of one list to an end of another, which may be the same, and
/// answers it; false, and nothing answered, if there is none.
pub(super) fn move_one(
    ctx: &mut Context<'_>,
    (source, from): (&[u8], End),
    (destination, to): (&[u8], End),
) -> Result<bool, CommandError> {
    let Some(list) = find(ctx, source)? else { return Ok(false) };
    find(ctx, destination)?;
    let Taken { elements, is_more } = take(&mut ctx.db(), list, from, 1)?;
    let Some(element) = elements.first() else { return Ok(false) };
    // Within one list the last element only turns over.
    let is_same = source == destination;
    let into = if is_same { list } else { find_or_create(ctx, destination)? };
    let mut db = ctx.db();
    push(&mut db, into, to, &[&element.value])?;
    db.tell(Class::List, to.pushed(), destination);
    told_popped(&mut db, list, from, is_more || is_same);
    ctx.reply.bulk(&element.value);
    Ok(true)
}
