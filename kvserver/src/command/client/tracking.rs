//! CLIENT TRACKING and its kin, as they are without client-side caching: it is always off.

use super::super::{CommandError, Outcome};
use crate::context::Context;
use crate::number::parse_i64;

/// `CLIENT TRACKING ON | OFF [REDIRECT id] [PREFIX prefix …] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]`
pub(super) fn tracking(ctx: &mut Context<'_>) -> Outcome {
    let mut options = ctx.args[3..].iter();
    while let Some(option) = options.next() {
        let is = |word: &str| option.eq_ignore_ascii_case(word.as_bytes());
        if is("redirect") {
            let id = options.next().ok_or(CommandError::Syntax)?;
            parse_i64(id).ok_or(CommandError::NotInteger)?;
        } else if is("prefix") {
            options.next().ok_or(CommandError::Syntax)?;
        } else if !["bcast", "optin", "optout", "noloop"].iter().any(|word| is(word)) {
            return Err(CommandError::Syntax);
        }
    }
    if ctx.args[2].eq_ignore_ascii_case(b"on") {
        return Err(CommandError::text(
            "ERR CLIENT TRACKING ON is not supported: this server has no client-side caching",
        ));
    }
    if !ctx.args[2].eq_ignore_ascii_case(b"off") {
        return Err(CommandError::Syntax);
    }
    ctx.reply.ok();
    Ok(())
}

pub(super) fn caching(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::text(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
         OPTOUT mode enabled",
    ))
}

pub(super) fn getredir(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.integer(-1);
    Ok(())
}

pub(super) fn trackinginfo(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.map(3);
    ctx.reply.bulk(b"flags");
    ctx.reply.set(1);
    ctx.reply.bulk(b"off");
    ctx.reply.bulk(b"redirect");
    ctx.reply.integer(-1);
    ctx.reply.bulk(b"prefixes");
    ctx.reply.array(0);
    Ok(())
}
