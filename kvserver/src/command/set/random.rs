//! Some members of a set: at random with SPOP and SRANDMEMBER, by and by with SSCAN.

use super::{find, member_of};
use crate::command::arguments::{Draw, ScanOptions, Scanned, cursor, draw_count, positive};
use crate::command::collection::{draw, drawn_len};
use crate::command::{CommandError, Outcome, limits};
use crate::context::Context;
use crate::data::{Class, Collection, Db, WHOLE};

/// `SPOP key [count]`
pub(super) fn spop(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let count = match args {
        [_, _] => None,
        [_, _, count] => Some(positive(count)?),
        _ => return Err(CommandError::Syntax),
    };
    let subs = match (find(ctx, args[1])?, count) {
        (Some(set), None) => return reply_one_popped(ctx, set),
        (Some(set), Some(count)) => pop(ctx, set, count)?,
        (None, Some(_)) => Vec::new(),
        (None, None) => {
            ctx.reply.null();
            return Ok(());
        }
    };
    ctx.reply.set(subs.len());
    subs.iter().for_each(|sub| ctx.reply.bulk(member_of(sub)));
    Ok(())
}

/// Takes one member.
fn reply_one_popped(ctx: &mut Context<'_>, set: Collection<'_>) -> Outcome {
    let Context { reply, data, client, rng, .. } = ctx;
    let mut db = data.db(client.db);
    let len = db.count(set, WHOLE)?;
    let Some(sub) = db.draw_to_take(set, len, rng)? else {
        reply.null();
        return Ok(());
    };
    reply.bulk(member_of(&sub));
    db.tell(Class::Set, "spop", set.key());
    if len > 1 {
        db.remove_element(set, &sub);
        return Ok(());
    }
    db.delete(set.key())?;
    db.tell(Class::Generic, "del", set.key());
    Ok(())
}

/// Takes up to `count` members, whose keys are returned; the key goes with the last one.
fn pop(
    ctx: &mut Context<'_>,
    set: Collection<'_>,
    count: u64,
) -> Result<Vec<Vec<u8>>, CommandError> {
    let Context { data, client, rng, .. } = ctx;
    let mut db = data.db(client.db);
    let len = db.count(set, WHOLE)?;
    let mut subs = Vec::new();
    draw_into(&mut db, set, count, rng, &mut subs)?;
    if subs.is_empty() {
        return Ok(subs);
    }
    let is_all = len == u64::try_from(subs.len()).unwrap_or(u64::MAX);
    db.tell(Class::Set, "spop", set.key());
    if is_all {
        // All at once: two small records, whatever the number.
        db.delete(set.key())?;
        db.tell(Class::Generic, "del", set.key());
    } else {
        subs.iter().for_each(|sub| db.remove_element(set, sub));
    }
    Ok(subs)
}

fn draw_into(
    db: &mut Db<'_>,
    set: Collection<'_>,
    count: u64,
    rng: &mut fastrand::Rng,
    subs: &mut Vec<Vec<u8>>,
) -> Outcome {
    draw(db, (set, WHOLE), Draw::Distinct(count), rng, |element| {
        subs.push(element.sub.clone());
        Ok(())
    })
}

/// `SRANDMEMBER key [count]`
pub(super) fn srandmember(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let wanted = match args {
        [_, _] => None,
        [_, _, count] => Some(draw_count(count, 1)?),
        _ => return Err(CommandError::Syntax),
    };
    let Some(set) = find(ctx, args[1])? else {
        match wanted {
            Some(_) => ctx.reply.array(0),
            None => ctx.reply.null(),
        }
        return Ok(());
    };
    let Context { reply, data, client, rng, .. } = ctx;
    let mut db = data.db(client.db);
    if let Some(wanted) = wanted {
        let len = drawn_len(&mut db, (set, WHOLE), wanted)?;
        reply.array(usize::try_from(len).unwrap_or(usize::MAX));
    }
    let start = reply.len();
    draw(&mut db, (set, WHOLE), wanted.unwrap_or(Draw::Distinct(1)), rng, |element| {
        limits::check_reply(reply.len() - start)?;
        reply.bulk(member_of(&element.sub));
        Ok(())
    })
}

/// `SSCAN key cursor [MATCH pattern] [COUNT count]`
pub(super) fn sscan(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let cursor = cursor(args[2])?;
    let Some(set) = find(ctx, args[1])? else {
        ctx.reply.array(2);
        ctx.reply.bulk(b"0");
        ctx.reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(&args[3..], Scanned::Members)?;
    let mut found = Vec::new();
    let next = ctx.db().scan_hashed(set, &[], (cursor, options.count), |seen| {
        let member = member_of(seen.sub());
        if options.fits(member) {
            found.push(member.to_vec());
        }
        Ok(())
    })?;
    ctx.reply.array(2);
    ctx.reply.bulk(next.to_string().as_bytes());
    ctx.reply.array(found.len());
    found.iter().for_each(|member| ctx.reply.bulk(member));
    Ok(())
}
