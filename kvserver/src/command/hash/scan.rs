//! Some fields of a hash: by and by with HSCAN, at random with HRANDFIELD.

use super::{field_of, find};
use crate::command::arguments::{Draw, ScanOptions, Scanned, cursor, draw_count};
use crate::command::collection::{draw, drawn_len};
use crate::command::{CommandError, Outcome, limits};
use crate::context::Context;
use crate::data::WHOLE;
use crate::resp::Protocol;

/// `HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]`
pub(super) fn hscan(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let cursor = cursor(args[2])?;
    let Some(hash) = find(ctx, args[1])? else {
        ctx.reply.array(2);
        ctx.reply.bulk(b"0");
        ctx.reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(&args[3..], Scanned::Fields)?;
    let mut found = Vec::new();
    let next = ctx.db().scan_hashed(hash, &[], (cursor, options.count), |seen| {
        if options.fits(field_of(seen.sub())) {
            found.push(seen.to_element()?);
        }
        Ok(())
    })?;
    ctx.reply.array(2);
    ctx.reply.bulk(next.to_string().as_bytes());
    ctx.reply.array(if options.names_only { found.len() } else { found.len() * 2 });
    for element in &found {
        ctx.reply.bulk(field_of(&element.sub));
        if !options.names_only {
            ctx.reply.bulk(&element.value);
        }
    }
    Ok(())
}

/// `HRANDFIELD key [count [WITHVALUES]]`
pub(super) fn hrandfield(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let with_values = match args {
        [_, _] => return one(ctx),
        [_, _, _] => false,
        [_, _, count, word] => {
            draw_count(count, 1)?;
            if !word.eq_ignore_ascii_case(b"WITHVALUES") {
                return Err(CommandError::Syntax);
            }
            true
        }
        [_, _, count, ..] => {
            draw_count(count, 1)?;
            return Err(CommandError::Syntax);
        }
        _ => return Err(CommandError::Syntax),
    };
    let wanted = draw_count(args[2], if with_values { 2 } else { 1 })?;
    let Some(hash) = find(ctx, args[1])? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let nested = with_values && ctx.client.protocol == Protocol::Resp3;
    let Context { reply, data, client, rng, .. } = ctx;
    let mut db = data.db(client.db);
    let len = drawn_len(&mut db, (hash, WHOLE), wanted)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    reply.array(if with_values && !nested { len.saturating_mul(2) } else { len });
    let start = reply.len();
    draw(&mut db, (hash, WHOLE), wanted, rng, |element| {
        limits::check_reply(reply.len() - start)?;
        if nested {
            reply.array(2);
        }
        reply.bulk(field_of(&element.sub));
        if with_values {
            reply.bulk(&element.value);
        }
        Ok(())
    })
}

/// Without a count: one field, or null.
fn one(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let Some(hash) = find(ctx, args[1])? else {
        ctx.reply.null();
        return Ok(());
    };
    let Context { reply, data, client, rng, .. } = ctx;
    draw(&mut data.db(client.db), (hash, WHOLE), Draw::Distinct(1), rng, |element| {
        reply.bulk(field_of(&element.sub));
        Ok(())
    })
}
