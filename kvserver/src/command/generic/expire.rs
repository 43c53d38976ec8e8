//! Expiry: EXPIRE and TTL in their four forms each, and PERSIST.

use crate::command::expiry::{TimeForm, ahead};
use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::data::Class;

/// The conditions of EXPIRE; those that are set must all hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Conditions {
    if_none: bool,
    if_any: bool,
    if_later: bool,
    if_sooner: bool,
}

impl Conditions {
    fn parse(words: &[&[u8]]) -> Result<Self, CommandError> {
        let mut conditions = Conditions::default();
        for word in words {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is("NX") {
                conditions.if_none = true;
            } else if is("XX") {
                conditions.if_any = true;
            } else if is("GT") {
                conditions.if_later = true;
            } else if is("LT") {
                conditions.if_sooner = true;
            } else {
                let word = String::from_utf8_lossy(word);
                return Err(CommandError::err(format_args!("Unsupported option {word}")));
            }
        }
        let Conditions { if_none, if_any, if_later, if_sooner } = conditions;
        if if_none && (if_any || if_later || if_sooner) {
            return Err(CommandError::text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if if_later && if_sooner {
            return Err(CommandError::text(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(conditions)
    }

    /// Whether a key that expires at `old_ms` may get `new_ms`. No expiry is later than any.
    fn hold(self, old_ms: Option<u64>, new_ms: i64) -> bool {
        let old_ms = old_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
        (!self.if_none || old_ms.is_none())
            && (!self.if_any || old_ms.is_some())
            && (!self.if_later || old_ms.is_some_and(|old| new_ms > old))
            && (!self.if_sooner || old_ms.is_none_or(|old| new_ms < old))
    }
}

/// `EXPIRE key seconds [NX | XX | GT | LT]`
pub(super) fn expire(ctx: &mut Context<'_>) -> Outcome {
    set_expiry(ctx, TimeForm::EX, "expire")
}

/// `PEXPIRE key milliseconds [NX | XX | GT | LT]`
pub(super) fn pexpire(ctx: &mut Context<'_>) -> Outcome {
    set_expiry(ctx, TimeForm::PX, "pexpire")
}

/// `EXPIREAT key unix-time-seconds [NX | XX | GT | LT]`
pub(super) fn expireat(ctx: &mut Context<'_>) -> Outcome {
    set_expiry(ctx, TimeForm::EXAT, "expireat")
}

/// `PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]`
pub(super) fn pexpireat(ctx: &mut Context<'_>) -> Outcome {
    set_expiry(ctx, TimeForm::PXAT, "pexpireat")
}

fn set_expiry(ctx: &mut Context<'_>, form: TimeForm, command: &'static str) -> Outcome {
    let (args, now_ms) = (ctx.args, ctx.now_ms);
    let key = args[1];
    let conditions = Conditions::parse(&args[3..])?;
    let time_ms = form.time_ms(args[2], now_ms, command)?;
    let allowed =
        ctx.db().expires_at_ms(key)?.is_some_and(|old_ms| conditions.hold(old_ms, time_ms));
    if allowed {
        let mut db = ctx.db();
        let event = match ahead(time_ms, now_ms) {
            Some(at_ms) => {
                db.set_expires_at_ms(key, at_ms)?;
                "expire"
            }
            None => {
                db.delete(key)?;
                "del"
            }
        };
        db.tell(Class::Generic, event, key);
    }
    ctx.reply.flag(allowed);
    Ok(())
}

/// `PERSIST key`
pub(super) fn persist(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let had_one = ctx.db().persist(args[1])?;
    if had_one {
        ctx.db().tell(Class::Generic, "persist", args[1]);
    }
    ctx.reply.flag(had_one);
    Ok(())
}

/// `TTL key`: −2 for no key, −1 for no expiry, and so for the three below.
pub(super) fn ttl(ctx: &mut Context<'_>) -> Outcome {
    let now_ms = ctx.now_ms;
    reply_expiry(ctx, |at_ms| to_seconds(at_ms.saturating_sub(now_ms)))
}

/// `PTTL key`
pub(super) fn pttl(ctx: &mut Context<'_>) -> Outcome {
    let now_ms = ctx.now_ms;
    reply_expiry(ctx, |at_ms| at_ms.saturating_sub(now_ms))
}

/// `EXPIRETIME key`
pub(super) fn expiretime(ctx: &mut Context<'_>) -> Outcome {
    reply_expiry(ctx, to_seconds)
}

/// `PEXPIRETIME key`
pub(super) fn pexpiretime(ctx: &mut Context<'_>) -> Outcome {
    reply_expiry(ctx, |at_ms| at_ms)
}

fn reply_expiry(ctx: &mut Context<'_>, show: impl FnOnce(u64) -> u64) -> Outcome {
    let args = ctx.args;
    match ctx.db().expires_at_ms(args[1])? {
        None => ctx.reply.integer(-2),
        Some(None) => ctx.reply.integer(-1),
        Some(Some(at_ms)) => ctx.reply.count(show(at_ms)),
    }
    Ok(())
}

/// Rounded to the nearest second.
fn to_seconds(ms: u64) -> u64 {
    ms.saturating_add(500) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(words: &[&str]) -> Result<Conditions, String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        Conditions::parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn each_condition_compares_with_the_expiry_before() {
        for (words, old_ms, new_ms, expected) in [
            (&["NX"][..], None, 5, true),
            (&["nx"], Some(9), 5, false),
            (&["XX"], Some(9), 5, true),
            (&["XX"], None, 5, false),
            (&["GT"], Some(4), 5, true),
            (&["GT"], Some(5), 5, false),
            (&["GT"], None, 5, false),
            (&["LT"], Some(6), 5, true),
            (&["LT"], Some(5), 5, false),
            (&["LT"], None, 5, true),
            (&["LT", "XX"], None, 5, false),
            (&[], None, -5, true),
        ] {
            let conditions = conditions(words).unwrap();
            assert_eq!(conditions.hold(old_ms, new_ms), expected, "{words:?} {old_ms:?}");
        }
    }

    #[test]
    fn conditions_that_exclude_each_other_are_named() {
        let nx = Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
        for words in [&["NX", "XX"], &["NX", "GT"], &["LT", "NX"]] {
            assert_eq!(conditions(words), nx, "{words:?}");
        }
        let both = "ERR GT and LT options at the same time are not compatible";
        assert_eq!(conditions(&["GT", "LT"]), Err(both.into()));
        assert_eq!(conditions(&["XX", "AB"]), Err("ERR Unsupported option AB".into()));
    }
}
