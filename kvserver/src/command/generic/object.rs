//! OBJECT: what the reference server would say of its own representation.
//!
//! Nothing here is kept that way; tools and test suites ask, so a value gets the answer its
//! bytes would get there had they been SET.

use super::encoding;
use crate::command::{CommandError, Outcome, introspection};
use crate::context::Context;
use crate::data::{Stored, Type};
use crate::number::parse_i64;

/// Integers from 0 up to here are shared objects.
const SHARED_INTEGER_MAX: i64 = 9_999;
/// The reference count of shared objects.
const SHARED_REFERENCES: i64 = 2_147_483_647;

/// `OBJECT HELP`
pub(super) fn help(ctx: &mut Context<'_>) -> Outcome {
    introspection::help(ctx, "object");
    Ok(())
}

/// `OBJECT ENCODING key`
pub(super) fn encoding(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let name = encoding::name_at(ctx, args[2])?;
    ctx.reply.bulk_or_null(name.map(str::as_bytes));
    Ok(())
}

/// `OBJECT REFCOUNT key`
pub(super) fn refcount(ctx: &mut Context<'_>) -> Outcome {
    match found(ctx)? {
        None => ctx.reply.null(),
        Some(stored) if stored.kind() != Type::String => ctx.reply.integer(1),
        Some(stored) => ctx.reply.integer(references(stored.payload())),
    }
    Ok(())
}

/// `OBJECT IDLETIME key`
pub(super) fn idletime(ctx: &mut Context<'_>) -> Outcome {
    match found(ctx)? {
        None => ctx.reply.null(),
        Some(_) => ctx.reply.integer(0),
    }
    Ok(())
}

/// `OBJECT FREQ key`
pub(super) fn freq(ctx: &mut Context<'_>) -> Outcome {
    if found(ctx)?.is_none() {
        ctx.reply.null();
        return Ok(());
    }
    Err(CommandError::text(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note \
         that when switching between policies at runtime LRU and LFU data will take some time to \
         adjust.",
    ))
}

fn found(ctx: &mut Context<'_>) -> Result<Option<Stored>, CommandError> {
    let args = ctx.args;
    Ok(ctx.db().get(args[2])?)
}

fn references(payload: &[u8]) -> i64 {
    match parse_i64(payload) {
        Some(0..=SHARED_INTEGER_MAX) => SHARED_REFERENCES,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_integers_are_shared() {
        assert_eq!(references(b"9999"), SHARED_REFERENCES);
        assert_eq!(references(b"10000"), 1);
        assert_eq!(references(b"-1"), 1);
        assert_eq!(references(b"text"), 1);
    }
}
