//! Parts of a bitmap: BITCOUNT and BITPOS.

use std::ops::{ControlFlow, Range};

use crate::bits;
use crate::command::arguments::integer;
use crate::command::string::read_parts;
use crate::command::{CommandError, Outcome};
use crate::context::Context;

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
    /// The bits it means in a string of so many bytes, both ends pulled into it.
    fn of(self, len_bytes: u64) -> Range<u64> {
        let each = self.unit.bits();
        let len = len_bytes.saturating_mul(8) / each;
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
    // Two ends before the beginning are pulled to the same bit: they are compared first.
    let backwards = part.first < 0 && part.last.is_some_and(|last| last < 0 && part.first > last);
    read_parts(ctx, args[1], |found, reply| {
        let mut count = 0;
        if let Some(mut parts) = found.filter(|_| !backwards) {
            let range = part.of(parts.len());
            parts.each(bytes_of(&range), |at, piece| {
                count += bits::count(piece, &within(&range, at));
                ControlFlow::<()>::Continue(())
            })?;
        }
        reply.count(count);
        Ok(())
    })
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
    read_parts(ctx, args[1], |found, reply| {
        let Some(mut parts) = found else {
            reply.integer(if on { -1 } else { 0 });
            return Ok(());
        };
        let range = part.of(parts.len());
        let found = parts.each(bytes_of(&range), |at, piece| {
            match bits::first(piece, &within(&range, at), on) {
                Some(bit) => ControlFlow::Break(at * 8 + bit),
                None => ControlFlow::Continue(()),
            }
        })?;
        match found {
            Some(at) => reply.count(at),
            // Whoever gives no end looks for the first zero behind the string, too.
            None if !on && part.last.is_none() && !range.is_empty() => reply.count(range.end),
            None => reply.integer(-1),
        }
        Ok(())
    })
}

/// The bytes that a range of bits touches.
fn bytes_of(bits: &Range<u64>) -> Range<u64> {
    bits.start / 8..bits.end.div_ceil(8)
}

/// What of a range of bits is in a piece that begins with the byte at `at` and does not end before
/// the range does, or has the rest cut off.
fn within(bits: &Range<u64>, at: u64) -> Range<u64> {
    bits.start.saturating_sub(at * 8)..bits.end.saturating_sub(at * 8)
}
