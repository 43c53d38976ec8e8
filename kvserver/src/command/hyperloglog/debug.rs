//! PFDEBUG and PFSELFTEST.

use super::{read, sparse_len_max, write};
use crate::command::{CommandError, Outcome, string};
use crate::context::Context;
use crate::hll::{Encoding, no_registers, self_test};

/// `PFDEBUG <GETREG | DECODE | ENCODING | TODENSE> key`
pub(super) fn pfdebug(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let (what, key) = (args[1], args[2]);
    let found = string::read(ctx, key)?;
    let mut sketch =
        read(found.as_ref())?.ok_or(CommandError::text("ERR The specified key does not exist"))?;
    let is = |name: &str| what.eq_ignore_ascii_case(name.as_bytes());
    if is("GETREG") {
        if sketch.make_dense()? {
            write(ctx, key, &sketch)?;
        }
        let mut registers = no_registers();
        sketch.merge_into(&mut registers)?;
        ctx.reply.array(registers.len());
        registers.iter().for_each(|count| ctx.reply.integer((*count).into()));
    } else if is("DECODE") {
        if sketch.encoding() != Encoding::Sparse {
            return Err(CommandError::text("ERR HLL encoding is not sparse"));
        }
        ctx.reply.bulk(sketch.runs()?.as_bytes());
    } else if is("ENCODING") {
        ctx.reply.simple(sketch.encoding().name());
    } else if is("TODENSE") {
        let is_new = sketch.make_dense()?;
        if is_new {
            write(ctx, key, &sketch)?;
        }
        ctx.reply.flag(is_new);
    } else {
        let what = String::from_utf8_lossy(what);
        return Err(CommandError::err(format_args!("Unknown PFDEBUG subcommand '{what}'")));
    }
    Ok(())
}

/// `PFSELFTEST`
pub(super) fn pfselftest(ctx: &mut Context<'_>) -> Outcome {
    let len_max = sparse_len_max(ctx);
    self_test(|| ctx.rng.u64(..), len_max)
        .map_err(|failure| CommandError::err(format_args!("TESTFAILED {failure}")))?;
    ctx.reply.ok();
    Ok(())
}
