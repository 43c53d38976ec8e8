//! A hash as a whole: its length, and all there is in it, in the order of the fields' hashes.

use std::ops::ControlFlow;

use super::{field_of, find};
use crate::command::Outcome;
use crate::context::Context;
use crate::data::{Direction, WHOLE};

/// `HLEN key`
pub(super) fn hlen(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let len = match find(ctx, args[1])? {
        Some(hash) => ctx.db().count(hash, WHOLE)?,
        None => 0,
    };
    ctx.reply.count(len);
    Ok(())
}

/// `HGETALL key`
pub(super) fn hgetall(ctx: &mut Context<'_>) -> Outcome {
    reply_all(ctx, Parts::Both)
}

/// `HKEYS key`
pub(super) fn hkeys(ctx: &mut Context<'_>) -> Outcome {
    reply_all(ctx, Parts::Fields)
}

/// `HVALS key`
pub(super) fn hvals(ctx: &mut Context<'_>) -> Outcome {
    reply_all(ctx, Parts::Values)
}

/// What of each field is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parts {
    Fields,
    Values,
    Both,
}

fn reply_all(ctx: &mut Context<'_>, parts: Parts) -> Outcome {
    let args = ctx.args;
    let hash = find(ctx, args[1])?;
    let len = match hash {
        Some(hash) => usize::try_from(ctx.db().count(hash, WHOLE)?).unwrap_or(usize::MAX),
        None => 0,
    };
    let Context { reply, data, client, .. } = ctx;
    match parts {
        Parts::Both => reply.map(len),
        Parts::Fields | Parts::Values => reply.array(len),
    }
    let Some(hash) = hash else { return Ok(()) };
    data.db(client.db).walk(hash, WHOLE, Direction::Ascending, len, |seen| {
        if parts != Parts::Values {
            reply.bulk(field_of(seen.sub()));
        }
        if parts != Parts::Fields {
            seen.value_with(|value| reply.bulk(value))?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(())
}
