//! Strings as arrays of bits, the most significant bit of the first byte first.

use super::{check_len, read};
use crate::command::{CommandError, Outcome, check_key};
use crate::context::Context;
use crate::data::{Class, Expiry, Stored, Type};
use crate::number::parse_i64;

const BAD_OFFSET: CommandError =
    CommandError::text("ERR bit offset is not an integer or out of range");
const BAD_BIT: CommandError = CommandError::text("ERR bit is not an integer or out of range");

/// Where a bit lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    byte: usize,
    mask: u8,
}

/// `GETBIT key offset`
pub(super) fn getbit(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let place = place(ctx, args[2])?;
    let found = read(ctx, args[1])?;
    let byte = found.as_ref().and_then(|stored| stored.payload().get(place.byte).copied());
    ctx.reply.flag(byte.is_some_and(|byte| byte & place.mask != 0));
    Ok(())
}

/// `SETBIT key offset value`
pub(super) fn setbit(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let key = args[1];
    let place = place(ctx, args[2])?;
    let on = match args[3] {
        b"0" => false,
        b"1" => true,
        _ => return Err(BAD_BIT),
    };
    check_key(key)?;
    let mut bytes = read(ctx, key)?.as_ref().map(Stored::payload).unwrap_or_default().to_vec();
    bytes.resize(bytes.len().max(place.byte + 1), 0);
    let byte = &mut bytes[place.byte];
    let old = *byte & place.mask != 0;
    *byte = if on { *byte | place.mask } else { *byte & !place.mask };
    ctx.db().put(key, Type::String, &bytes, Expiry::Keep)?;
    ctx.db().tell(Class::String, "setbit", key);
    ctx.reply.flag(old);
    Ok(())
}

/// Reads an offset; the string that would hold it must not be too long.
fn place(ctx: &Context<'_>, text: &[u8]) -> Result<Place, CommandError> {
    let offset = parse_i64(text).and_then(|n| u64::try_from(n).ok()).ok_or(BAD_OFFSET)?;
    let byte = usize::try_from(offset / 8).map_err(|_| BAD_OFFSET)?;
    check_len(ctx, byte, 1).map_err(|_| BAD_OFFSET)?;
    Ok(Place { byte, mask: 0x80 >> (offset % 8) })
}
