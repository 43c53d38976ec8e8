//! Finding keys: SCAN, KEYS and RANDOMKEY.

use crate::command::arguments::{Pattern, ScanOptions, Scanned, cursor};
use crate::command::{CommandError, Outcome};
use crate::context::Context;

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`
///
/// The cursor is digits only: the reference server also takes a sign or nothing at all.
/// COUNT bounds the keys looked at; the filters come after it, so a step may answer none.
pub(super) fn scan(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let cursor = cursor(args[1])?;
    let options = ScanOptions::parse(&args[2..], Scanned::Keys)?;
    let (mut keys, next) = ctx.db().scan(cursor, options.count)?;
    keys.retain(|key| options.fits(key));
    if let Some(kind) = options.kind {
        keys = of_kind(ctx, keys, kind)?;
    }
    ctx.reply.array(2);
    ctx.reply.bulk(next.to_string().as_bytes());
    reply_keys(ctx, &keys);
    Ok(())
}

fn of_kind(
    ctx: &mut Context<'_>,
    keys: Vec<Vec<u8>>,
    name: &[u8],
) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut kept = Vec::with_capacity(keys.len());
    for key in keys {
        let kind = ctx.db().kind(&key)?;
        if kind.is_some_and(|kind| kind.name().as_bytes().eq_ignore_ascii_case(name)) {
            kept.push(key);
        }
    }
    Ok(kept)
}

/// `KEYS pattern`
pub(super) fn keys(ctx: &mut Context<'_>) -> Outcome {
    let pattern = Pattern::of(ctx.args[1]);
    let mut found = Vec::new();
    ctx.db().for_each_key(|key| {
        if pattern.fits(key) {
            found.push(key.to_vec());
        }
    })?;
    reply_keys(ctx, &found);
    Ok(())
}

/// `RANDOMKEY`
pub(super) fn randomkey(ctx: &mut Context<'_>) -> Outcome {
    let seed = ctx.rng.u64(..);
    let key = ctx.db().random(seed)?;
    ctx.reply.bulk_or_null(key.as_deref());
    Ok(())
}

fn reply_keys(ctx: &mut Context<'_>, keys: &[Vec<u8>]) {
    ctx.reply.array(keys.len());
    keys.iter().for_each(|key| ctx.reply.bulk(key));
}
