//! PFADD, PFCOUNT and PFMERGE.

use super::{read, sparse_len_max, write};
use crate::command::{Outcome, check_key, string};
use crate::context::Context;
use crate::data::Class;
use crate::hll::{Encoding, Registers, Sketch, count_registers, no_registers};

/// `PFADD key [element …]`
pub(super) fn pfadd(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let key = args[1];
    check_key(key)?;
    let found = string::read(ctx, key)?;
    let len_max = sparse_len_max(ctx);
    let mut sketch = read(found.as_ref())?.unwrap_or_else(Sketch::empty);
    let mut grown = found.is_none();
    for element in &args[2..] {
        grown |= sketch.add(element, len_max)?;
    }
    if grown {
        sketch.forget_cardinality();
        write(ctx, key, &sketch)?;
        ctx.db().tell(Class::String, "pfadd", key);
    }
    ctx.reply.flag(grown);
    Ok(())
}

/// `PFCOUNT key [key …]`; the count of a single sketch is kept in it until it changes.
pub(super) fn pfcount(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let &[_, key] = args else {
        let (registers, _) = merged(ctx, &args[1..])?;
        reply_count(ctx, count_registers(&registers));
        return Ok(());
    };
    let found = string::read(ctx, key)?;
    let count = match read(found.as_ref())? {
        None => 0,
        Some(mut sketch) => match sketch.cardinality() {
            Some(count) => count,
            None => {
                let count = sketch.count()?;
                sketch.set_cardinality(count);
                write(ctx, key, &sketch)?;
                count
            }
        },
    };
    reply_count(ctx, count);
    Ok(())
}

/// What no elements can leave is counted as an unsigned number and answered as a signed one.
fn reply_count(ctx: &mut Context<'_>, count: u64) {
    ctx.reply.integer(count.cast_signed());
}

/// `PFMERGE destkey [key …]`
pub(super) fn pfmerge(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let target = args[1];
    check_key(target)?;
    let (registers, encoding) = merged(ctx, &args[1..])?;
    // It was read with the others; from here it is written.
    ctx.data.tell_misses(false);
    let found = string::read(ctx, target)?;
    let mut sketch = read(found.as_ref())?.unwrap_or_else(Sketch::empty);
    if encoding == Encoding::Dense {
        sketch.make_dense()?;
    }
    sketch.raise_all(&registers, sparse_len_max(ctx))?;
    sketch.forget_cardinality();
    write(ctx, target, &sketch)?;
    ctx.db().tell(Class::String, "pfadd", target);
    ctx.reply.ok();
    Ok(())
}

type Merged = (Box<Registers>, Encoding);

/// The registers of several sketches together, dense if one of them is.
fn merged(ctx: &mut Context<'_>, keys: &[&[u8]]) -> Result<Merged, crate::command::CommandError> {
    let (mut registers, mut encoding) = (no_registers(), Encoding::Sparse);
    for key in keys {
        let found = string::read(ctx, key)?;
        if let Some(sketch) = read(found.as_ref())? {
            sketch.merge_into(&mut registers)?;
            if sketch.encoding() == Encoding::Dense {
                encoding = Encoding::Dense;
            }
        }
    }
    Ok((registers, encoding))
}
