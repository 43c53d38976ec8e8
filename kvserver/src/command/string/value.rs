//! Strings as a whole: GET, SET and their many variants.

use super::options::{Condition, Dialect, Lifetime, Options};
use super::{CHANGE_KEY, SET_KEY, read};
use crate::command::arguments::pairs;
use crate::command::expiry::{After, TimeForm, ahead};
use crate::command::{CommandError, KeyFlags, Outcome, check_key};
use crate::context::Context;
use crate::data::{Class, Expiry, Stored, Type};

/// `GET key`
pub(super) fn get(ctx: &mut Context<'_>) -> Outcome {
    let Context { args, reply, data, client, .. } = ctx;
    let found = data.db(client.db).read_with(args[1], |kind, payload| {
        if kind == Type::String {
            reply.bulk(payload);
        }
        kind
    })?;
    match found {
        Some(Type::String) => Ok(()),
        Some(_) => Err(CommandError::WrongType),
        None => {
            reply.null();
            Ok(())
        }
    }
}

/// `MGET key [key …]`; a key of another type counts as missing.
pub(super) fn mget(ctx: &mut Context<'_>) -> Outcome {
    let keys = &ctx.args[1..];
    ctx.reply.array(keys.len());
    for key in keys {
        let found = ctx.db().get(key)?.filter(|stored| stored.kind() == Type::String);
        ctx.reply.bulk_or_null(found.as_ref().map(Stored::payload));
    }
    Ok(())
}

/// `SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]`
pub(super) fn set(ctx: &mut Context<'_>) -> Outcome {
    let (args, now_ms) = (ctx.args, ctx.now_ms);
    let (key, value) = (args[1], args[2]);
    let options = Options::parse(&args[3..], Dialect::Set)?;
    let after = match options.lifetime {
        Lifetime::Unsaid | Lifetime::Persist => After::Lives(Expiry::None),
        Lifetime::Keep => After::Lives(Expiry::Keep),
        Lifetime::Given(form, text) => {
            After::at(form.positive_time_ms(text, now_ms, "set")?, now_ms)
        }
    };
    if options.returns_old {
        ctx.data.tell_misses(true);
        let old = read(ctx, key)?;
        ctx.data.tell_misses(false);
        if options.condition.holds(old.is_some()) {
            write(ctx, key, value, after)?;
        }
        ctx.reply.bulk_or_null(old.as_ref().map(Stored::payload));
        return Ok(());
    }
    // Without a condition nothing is looked up.
    if options.condition != Condition::Always && !options.condition.holds(ctx.db().contains(key)?) {
        ctx.reply.null();
        return Ok(());
    }
    write(ctx, key, value, after)?;
    ctx.reply.ok();
    Ok(())
}

/// The key of SET is read only if the old value is asked for.
pub(super) fn set_keys(args: &[&[u8]]) -> Option<Vec<(usize, KeyFlags)>> {
    let returns_old = args.get(3..)?.iter().any(|word| word.eq_ignore_ascii_case(b"GET"));
    Some(vec![(1, if returns_old { CHANGE_KEY } else { SET_KEY })])
}

/// `SETEX key seconds value`
pub(super) fn setex(ctx: &mut Context<'_>) -> Outcome {
    set_for(ctx, TimeForm::EX, "setex")
}

/// `PSETEX key milliseconds value`
pub(super) fn psetex(ctx: &mut Context<'_>) -> Outcome {
    set_for(ctx, TimeForm::PX, "psetex")
}

fn set_for(ctx: &mut Context<'_>, form: TimeForm, command: &'static str) -> Outcome {
    let (args, now_ms) = (ctx.args, ctx.now_ms);
    let time_ms = form.positive_time_ms(args[2], now_ms, command)?;
    write(ctx, args[1], args[3], After::at(time_ms, now_ms))?;
    ctx.reply.ok();
    Ok(())
}

/// `SETNX key value`
pub(super) fn setnx(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let absent = !ctx.db().contains(args[1])?;
    if absent {
        write(ctx, args[1], args[2], After::Lives(Expiry::None))?;
    }
    ctx.reply.flag(absent);
    Ok(())
}

/// `GETSET key value`
pub(super) fn getset(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let old = read(ctx, args[1])?;
    write(ctx, args[1], args[2], After::Lives(Expiry::None))?;
    ctx.reply.bulk_or_null(old.as_ref().map(Stored::payload));
    Ok(())
}

/// `GETDEL key`
pub(super) fn getdel(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let old = read(ctx, args[1])?;
    if old.is_some() {
        remove(ctx, args[1])?;
    }
    ctx.reply.bulk_or_null(old.as_ref().map(Stored::payload));
    Ok(())
}

/// `GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]`
pub(super) fn getex(ctx: &mut Context<'_>) -> Outcome {
    let (args, now_ms) = (ctx.args, ctx.now_ms);
    let key = args[1];
    let options = Options::parse(&args[2..], Dialect::Getex)?;
    let Some(found) = read(ctx, key)? else {
        ctx.reply.null();
        return Ok(());
    };
    match options.lifetime {
        Lifetime::Unsaid | Lifetime::Keep => {}
        Lifetime::Persist => {
            if ctx.db().persist(key)? {
                ctx.db().tell(Class::Generic, "persist", key);
            }
        }
        Lifetime::Given(form, text) => {
            let time_ms = form.positive_time_ms(text, now_ms, "getex")?;
            match ahead(time_ms, now_ms) {
                Some(at_ms) => {
                    ctx.db().set_expires_at_ms(key, at_ms)?;
                    ctx.db().tell(Class::Generic, "expire", key);
                }
                None => remove(ctx, key)?,
            }
        }
    }
    ctx.reply.bulk(found.payload());
    Ok(())
}

/// `MSET key value [key value …]`
pub(super) fn mset(ctx: &mut Context<'_>) -> Outcome {
    for [key, value] in pairs(&ctx.args[1..], "mset")? {
        write(ctx, key, value, After::Lives(Expiry::None))?;
    }
    ctx.reply.ok();
    Ok(())
}

/// `MSETNX key value [key value …]`
pub(super) fn msetnx(ctx: &mut Context<'_>) -> Outcome {
    let pairs = pairs(&ctx.args[1..], "msetnx")?;
    for [key, _] in pairs {
        if ctx.db().contains(key)? {
            ctx.reply.flag(false);
            return Ok(());
        }
    }
    for [key, value] in pairs {
        write(ctx, key, value, After::Lives(Expiry::None))?;
    }
    ctx.reply.flag(true);
    Ok(())
}

fn write(ctx: &mut Context<'_>, key: &[u8], value: &[u8], after: After) -> Outcome {
    check_key(key)?;
    match after {
        After::Lives(expiry) => {
            let mut db = ctx.db();
            db.put(key, Type::String, value, expiry)?;
            db.tell(Class::String, "set", key);
            if let Expiry::At(_) = expiry {
                db.tell(Class::Generic, "expire", key);
            }
            Ok(())
        }
        After::Gone => {
            // It was there for no time at all.
            let mut db = ctx.db();
            if !db.delete(key)? {
                db.tell(Class::New, "new", key);
            }
            db.tell(Class::String, "set", key);
            db.tell(Class::Generic, "expire", key);
            db.tell(Class::Expired, "expired", key);
            Ok(())
        }
    }
}

fn remove(ctx: &mut Context<'_>, key: &[u8]) -> Outcome {
    let mut db = ctx.db();
    if db.delete(key)? {
        db.tell(Class::Generic, "del", key);
    }
    Ok(())
}
