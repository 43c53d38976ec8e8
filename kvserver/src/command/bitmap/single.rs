//! One bit: GETBIT and SETBIT.

use std::borrow::Cow;

use super::offset;
use crate::bits;
use crate::command::string::{read, read_parts};
use crate::command::{CommandError, Outcome, check_key};
use crate::context::Context;
use crate::data::{Class, Stored};

const BAD_BIT: CommandError = CommandError::text("ERR bit is not an integer or out of range");

/// `GETBIT key offset`
pub(super) fn getbit(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let at = offset(ctx, args[2])?;
    read_parts(ctx, args[1], |found, reply| {
        let byte = found.map(|mut parts| parts.read(at / 8..at / 8 + 1).map(Cow::into_owned));
        let byte = byte.transpose()?.unwrap_or_default();
        reply.flag(bits::bit(&byte, at % 8));
        Ok(())
    })
}

/// `SETBIT key offset value`; a bit that is so already is not written.
pub(super) fn setbit(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let key = args[1];
    let at = offset(ctx, args[2])?;
    let on = match args[3] {
        b"0" => false,
        b"1" => true,
        _ => return Err(BAD_BIT),
    };
    check_key(key)?;
    let found = read(ctx, key)?;
    let old = found.as_ref().map(Stored::payload).unwrap_or_default();
    let (was_on, len) = (bits::bit(old, at), bits::byte_of(at) + 1);
    if len > old.len() || was_on != on {
        let mut db = ctx.db();
        db.edit(key, old, len, |bytes| bits::set_bit(bytes, at, on))?;
        db.tell(Class::String, "setbit", key);
    }
    ctx.reply.flag(was_on);
    Ok(())
}
