//! Strings by parts: lengths, ranges and what grows them. Writers leave the expiry as it is.

use std::ops::Range;

use super::{check_len, read, read_parts};
use crate::command::{CommandError, Outcome, check_key};
use crate::context::Context;
use crate::data::{Class, Stored};
use crate::number::parse_i64;

/// `STRLEN key`
pub(super) fn strlen(ctx: &mut Context<'_>) -> Outcome {
    read_parts(ctx, ctx.args[1], |found, reply| {
        reply.count(found.map_or(0, |parts| parts.len()));
        Ok(())
    })
}

/// `APPEND key value`
pub(super) fn append(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let (key, more) = (args[1], args[2]);
    check_key(key)?;
    let found = read(ctx, key)?;
    let old = found.as_ref().map(Stored::payload).unwrap_or_default();
    if found.is_some() {
        check_len(ctx, old.len(), u64::try_from(more.len()).unwrap_or(u64::MAX))?;
    }
    let len = old.len() + more.len();
    ctx.db().edit(key, old, len, |bytes| bytes[old.len()..].copy_from_slice(more))?;
    ctx.db().tell(Class::String, "append", key);
    reply_len(ctx, len);
    Ok(())
}

/// `GETRANGE key start end`, and SUBSTR
pub(super) fn getrange(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let start = parse_i64(args[2]).ok_or(CommandError::NotInteger)?;
    let end = parse_i64(args[3]).ok_or(CommandError::NotInteger)?;
    read_parts(ctx, args[1], |found, reply| {
        let Some(mut parts) = found else {
            reply.bulk(b"");
            return Ok(());
        };
        let range = bounds(start, end, parts.len());
        reply.bulk(&parts.read(range)?);
        Ok(())
    })
}

/// The part from `start` to `end` inclusive, both counted from the end where negative.
fn bounds(start: i64, end: i64, len: u64) -> Range<u64> {
    let from_end = |index: i64| {
        let distance = index.unsigned_abs();
        if index < 0 { len.saturating_sub(distance) } else { distance }
    };
    // Two positions before the beginning are clamped to the same byte: compare them first.
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let (start, end) = (from_end(start), from_end(end).saturating_add(1).min(len));
    if start < end { start..end } else { 0..0 }
}

/// `SETRANGE key offset value`
pub(super) fn setrange(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let (key, patch) = (args[1], args[3]);
    let offset = parse_i64(args[2]).ok_or(CommandError::NotInteger)?;
    let offset =
        u64::try_from(offset).map_err(|_| CommandError::text("ERR offset is out of range"))?;
    let found = read(ctx, key)?;
    let old = found.as_ref().map(Stored::payload).unwrap_or_default();
    if patch.is_empty() {
        reply_len(ctx, old.len());
        return Ok(());
    }
    check_key(key)?;
    check_len(ctx, patch.len(), offset)?;
    let offset = usize::try_from(offset).map_err(|_| CommandError::StringTooLong)?;
    let end = offset + patch.len();
    ctx.db().edit(key, old, end, |bytes| bytes[offset..end].copy_from_slice(patch))?;
    ctx.db().tell(Class::String, "setrange", key);
    reply_len(ctx, old.len().max(end));
    Ok(())
}

fn reply_len(ctx: &mut Context<'_>, len: usize) {
    ctx.reply.count(u64::try_from(len).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_inclusive_clamped_and_count_from_either_end() {
        for (start, end, len, expected) in [
            (0, 3, 11, 0..4),
            (0, -1, 11, 0..11),
            (-4, -1, 11, 7..11),
            (5, 3, 11, 0..0),
            (5, 5_000, 11, 5..11),
            (-5_000, 10_000, 11, 0..11),
            (-1, -3, 5, 0..0),
            (7, 8, 5, 0..0),
            (-100, -99, 5, 0..1),
            (-99, -100, 5, 0..0),
            (0, 4_294_967_297, 3, 0..3),
            (i64::MIN, i64::MAX, 3, 0..3),
            (i64::MAX, i64::MIN, 3, 0..0),
            (0, -1, 0, 0..0),
        ] {
            assert_eq!(bounds(start, end, len), expected, "{start} {end} {len}");
        }
    }
}
