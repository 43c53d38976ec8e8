//! Commands that wait: their timeouts, how a handler begins to wait, and WAIT and WAITAOF.
//!
//! The commands that wait for keys are with their families. What happens to who waits is told in
//! [`crate::blocking`].

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::arguments::{integer, integer_within, positive};
use super::{Command, CommandError, Flags, Group, Outcome};
use crate::blocking::Wait;
use crate::context::Context;
use crate::data::Type;
use crate::long_double::LongDouble;
use crate::number::parse_i64;
use crate::resp::Reply;

const NEGATIVE: CommandError = CommandError::text("ERR timeout is negative");
const OUT_OF_RANGE: CommandError = CommandError::text("ERR timeout is out of range");
const NO_FLOAT: CommandError = CommandError::text("ERR timeout is not a float or out of range");
const NO_INTEGER: CommandError =
    CommandError::text("ERR timeout is not an integer or out of range");

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("wait", 3, wait)
        .flags(Flags::NOSCRIPT)
        .group(Group::Connection)
        .since("3.0.0")
        .summary("Waits for replicas, of which there are none."),
    Command::new("waitaof", 4, waitaof)
        .flags(Flags::NOSCRIPT)
        .group(Group::Connection)
        .since("7.2.0")
        .summary("Waits until everything committed so far is durable here, and for replicas."),
];

/// How long a client waits; `None` is for ever.
pub(super) type Timeout = Option<Duration>;

/// Seconds, as a decimal or hexadecimal number. What is below a millisecond counts as one.
pub(super) fn seconds(text: &[u8], now_ms: u64) -> Result<Timeout, CommandError> {
    let is_negative = text.starts_with(b"-");
    match LongDouble::parse(text).ok_or(NO_FLOAT)? {
        LongDouble::Infinite if is_negative => Err(NEGATIVE),
        LongDouble::Infinite => Err(OUT_OF_RANGE),
        LongDouble::Finite { mantissa: 0, .. } => Ok(None),
        LongDouble::Finite { mantissa, exponent, .. } => {
            #[expect(clippy::cast_precision_loss, reason = "a clock has no better precision")]
            let seconds = mantissa as f64 * 2f64.powi(i32::try_from(exponent).unwrap_or(i32::MAX));
            match Duration::try_from_secs_f64(seconds) {
                // They round up to none.
                Ok(short) if is_negative && short < Duration::from_millis(1) => Ok(None),
                _ if is_negative => Err(NEGATIVE),
                Ok(timeout) => within_clock(timeout.max(Duration::from_millis(1)), now_ms),
                Err(_) => Err(OUT_OF_RANGE),
            }
        }
    }
}

fn milliseconds(text: &[u8], now_ms: u64) -> Result<Timeout, CommandError> {
    match u64::try_from(parse_i64(text).ok_or(NO_INTEGER)?) {
        Err(_) => Err(NEGATIVE),
        Ok(0) => Ok(None),
        Ok(millis) => within_clock(Duration::from_millis(millis), now_ms),
    }
}

/// Times end before the milliseconds since 1970 overflow.
fn within_clock(timeout: Duration, now_ms: u64) -> Result<Timeout, CommandError> {
    let end_ms = timeout.as_millis() + u128::from(now_ms);
    i64::try_from(end_ms).map(|_| Some(timeout)).map_err(|_| OUT_OF_RANGE)
}

/// The client waits until one of the keys holds such a collection; in EXEC it is told at once that
/// there is none.
pub(super) fn wait_for(ctx: &mut Context<'_>, kind: Type, keys: &[&[u8]], timeout: Timeout) {
    if ctx.client.is_in_exec {
        return ctx.reply.null_array();
    }
    let keys = keys.iter().map(|key| key.to_vec()).collect();
    let on_timeout = later(ctx, |reply| reply.null_array());
    let wait = Wait { keys, kind: Some(kind), timeout, on_timeout, wait_durable: false };
    ctx.client.wait = Some(Box::new(wait));
}

/// The bytes of a reply that is sent some time.
fn later(ctx: &Context<'_>, write: impl FnOnce(&mut Reply<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Reply::new(&mut bytes, ctx.client.protocol));
    bytes
}

/// The client waits for nothing but the end of its time.
fn wait_out(ctx: &mut Context<'_>, timeout: Timeout, on_timeout: Vec<u8>, wait_durable: bool) {
    let wait = Wait { keys: Vec::new(), kind: None, timeout, on_timeout, wait_durable };
    ctx.client.wait = Some(Box::new(wait));
}

/// `WAIT numreplicas timeout`: there are no replicas, so who wants one waits in vain.
fn wait(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let replicas = integer(args[1])?;
    let timeout = milliseconds(args[2], ctx.now_ms)?;
    if replicas <= 0 || ctx.client.is_in_exec {
        ctx.reply.integer(0);
    } else {
        let none = later(ctx, |reply| reply.integer(0));
        wait_out(ctx, timeout, none, false);
    }
    Ok(())
}

/// `WAITAOF numlocal numreplicas timeout`. What is durable here is waited for whatever the
/// timeout: that takes one sync.
fn waitaof(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let locals = integer_within(args[1], 0, 1)?;
    let replicas = positive(args[2])?;
    let timeout = milliseconds(args[3], ctx.now_ms)?;
    let is_durable = ctx.server.engine.durable() >= ctx.server.engine.tip();
    let (local, wait_durable) = (locals > 0 || is_durable, locals > 0 && !is_durable);
    let figures = move |reply: &mut Reply<'_>| {
        reply.array(2);
        reply.flag(local);
        reply.integer(0);
    };
    if ctx.client.is_in_exec {
        ctx.reply.array(2);
        ctx.reply.flag(is_durable);
        ctx.reply.integer(0);
    } else if replicas == 0 {
        ctx.client.wait_durable |= wait_durable;
        figures(&mut ctx.reply);
    } else {
        let bytes = later(ctx, figures);
        wait_out(ctx, timeout, bytes, wait_durable);
    }
    Ok(())
}
