//! Parts of a bitmap: BITCOUNT and BITPOS.

use std::ops::Range;

use crate::bits;
use crate::command::arguments::integer;
use crate::command::string::read;
use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::data::Stored;

/// What the ends of a part are numbers of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Unit {
    #[default]
    Byte,
    Bit,
}

impl Unit {
    fn parse(text: &[u8]) -> Result<Self, CommandError> {
        if text.eq_ignore_ascii_case(b"BIT") {
            Ok(Unit::Bit)
        } else if text.eq_ignore_ascii_case(b"BYTE") {
            Ok(Unit::Byte)
        } else {
            Err(CommandError::Syntax)
        }
    }
    fn bits(self) -> u64 {
        match self {
            Unit::Byte => 8,
            Unit::Bit => 1,
        }
    }
}

/// First and last of a part, counted from the end where negative; the last may be left out.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    first: i64,
    last: Option<i64>,
    unit: Unit,
}

impl Part {
    /// Reads `[first [last [BYTE | BIT]]]`.
    fn parse(words: &[&[u8]]) -> Result<Self, CommandError> {
        let first = words.first().map_or(Ok(0), |text| integer(text))?;
        if words.len() > 3 {
            return Err(CommandError::Syntax);
        }
        let unit = words.get(2).map_or(Ok(Unit::Byte), |text| Unit::parse(text))?;
        let last = words.get(1).map(|text| integer(text)).transpose()?;
        Ok(Part { first, last, unit })
    }
    /// The bits it means in `bytes`, both ends pulled into the string.
    fn of(self, bytes: &[u8]) -> Range<u64> {
        let each = self.unit.bits();
        let len = bits::len(bytes) / each;
        let place = |index: i64| match u64::try_from(index) {
            Ok(index) => index,
            Err(_) => len.saturating_sub(index.unsigned_abs()),
        };
        let end = self.last.map_or(len, |last| place(last).saturating_add(1).min(len));
        place(self.first).saturating_mul(each)..end * each
    }
}

/// `BITCOUNT key [start [end [BYTE | BIT]]]`
pub(super) fn bitcount(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let part = Part::parse(&args[2..])?;
    let found = read(ctx, args[1])?;
    let bytes = found.as_ref().map(Stored::payload).unwrap_or_default();
    // Two ends before the beginning are pulled to the same bit: they are compared first.
    let backwards = part.first < 0 && part.last.is_some_and(|last| last < 0 && part.first > last);
    ctx.reply.count(if backwards { 0 } else { bits::count(bytes, &part.of(bytes)) });
    Ok(())
}

/// `BITPOS key bit [start [end [BYTE | BIT]]]`
pub(super) fn bitpos(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let on = match integer(args[2])? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::text("ERR The bit argument must be 1 or 0.")),
    };
    let part = Part::parse(&args[3..])?;
    let Some(found) = read(ctx, args[1])? else {
        ctx.reply.integer(if on { -1 } else { 0 });
        return Ok(());
    };
    let bytes = found.payload();
    let range = part.of(bytes);
    match bits::first(bytes, &range, on) {
        Some(at) => ctx.reply.count(at),
        // Whoever gives no end looks for the first zero behind the string, too.
        None if !on && part.last.is_none() && !range.is_empty() => ctx.reply.count(range.end),
        None => ctx.reply.integer(-1),
    }
    Ok(())
}
