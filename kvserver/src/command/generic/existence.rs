//! Whether keys are there, of what type, and that they no longer are.

use crate::command::Outcome;
use crate::context::Context;
use crate::data::Class;

/// `DEL key [key …]`, and UNLINK: a key named twice counts once.
pub(super) fn del(ctx: &mut Context<'_>) -> Outcome {
    let mut deleted = 0;
    for key in &ctx.args[1..] {
        let mut db = ctx.db();
        if db.delete(key)? {
            db.tell(Class::Generic, "del", key);
            deleted += 1;
        }
    }
    ctx.reply.count(deleted);
    Ok(())
}

/// `TOUCH key [key …]`: a key named twice counts twice.
pub(super) fn touch(ctx: &mut Context<'_>) -> Outcome {
    let mut found = 0;
    for key in &ctx.args[1..] {
        found += u64::from(ctx.db().use_key(key)?);
    }
    ctx.reply.count(found);
    Ok(())
}

/// `EXISTS key [key …]`: a key named twice counts twice.
pub(super) fn exists(ctx: &mut Context<'_>) -> Outcome {
    let mut found = 0;
    for key in &ctx.args[1..] {
        found += u64::from(ctx.db().contains(key)?);
    }
    ctx.reply.count(found);
    Ok(())
}

/// `TYPE key`
pub(super) fn type_of(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let kind = ctx.db().kind(args[1])?;
    ctx.reply.simple(kind.map_or("none", |kind| kind.name()));
    Ok(())
}
