//! Some members of a sorted set: by and by with ZSCAN, at random with ZRANDMEMBER.

use super::find;
use super::layout::{BY_NAME, NAMES, name_of, score_in};
use crate::command::arguments::{Draw, ScanOptions, Scanned, cursor, draw_count};
use crate::command::collection::{draw, drawn_len};
use crate::command::{CommandError, Outcome, limits};
use crate::context::Context;
use crate::double;
use crate::resp::Protocol;

/// `ZSCAN key cursor [MATCH pattern] [COUNT count] [NOSCORES]`
pub(super) fn zscan(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let cursor = cursor(args[2])?;
    let Some(zset) = find(ctx, args[1])? else {
        ctx.reply.array(2);
        ctx.reply.bulk(b"0");
        ctx.reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(&args[3..], Scanned::Scores)?;
    let mut found = Vec::new();
    let next = ctx.db().scan_hashed(zset, NAMES, (cursor, options.count), |seen| {
        if options.fits(name_of(seen.sub())) {
            found.push(seen.to_element()?);
        }
        Ok(())
    })?;
    ctx.reply.array(2);
    ctx.reply.bulk(next.to_string().as_bytes());
    ctx.reply.array(if options.names_only { found.len() } else { found.len() * 2 });
    for element in &found {
        ctx.reply.bulk(name_of(&element.sub));
        if !options.names_only {
            ctx.reply.bulk(double::to_text(score_in(&element.value)).as_bytes());
        }
    }
    Ok(())
}

/// `ZRANDMEMBER key [count [WITHSCORES]]`
pub(super) fn zrandmember(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let (wanted, with_scores) = match args {
        [_, _] => (None, false),
        [_, _, count] => (Some(draw_count(count, 1)?), false),
        [_, _, count, rest @ ..] => {
            draw_count(count, 1)?;
            match rest {
                [word] if word.eq_ignore_ascii_case(b"WITHSCORES") => {}
                _ => return Err(CommandError::Syntax),
            }
            (Some(draw_count(count, 2)?), true)
        }
        _ => return Err(CommandError::Syntax),
    };
    let Some(zset) = find(ctx, args[1])? else {
        match wanted {
            Some(_) => ctx.reply.array(0),
            None => ctx.reply.null(),
        }
        return Ok(());
    };
    let nested = with_scores && ctx.client.protocol == Protocol::Resp3;
    let Context { reply, data, client, rng, .. } = ctx;
    let mut db = data.db(client.db);
    if let Some(wanted) = wanted {
        let len = drawn_len(&mut db, (zset, BY_NAME), wanted)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        reply.array(if with_scores && !nested { len.saturating_mul(2) } else { len });
    }
    let start = reply.len();
    draw(&mut db, (zset, BY_NAME), wanted.unwrap_or(Draw::Distinct(1)), rng, |element| {
        limits::check_reply(reply.len() - start)?;
        if nested {
            reply.array(2);
        }
        reply.bulk(name_of(&element.sub));
        if with_scores {
            reply.double_text(&double::to_text(score_in(&element.value)));
        }
        Ok(())
    })
}
