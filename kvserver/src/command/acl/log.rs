//! ACL LOG: who failed to authenticate, or was refused something.

use super::super::Outcome;
use super::super::arguments::integer;
use super::unknown_form;
use crate::access::Failure;
use crate::context::Context;
use crate::parameters::Parameters;

/// Failures shown if no count is given.
const FAILURES_DEFAULT: i64 = 10;

pub(super) fn failures_max(parameters: &Parameters) -> usize {
    parameters.value("acllog-max-len").parse().unwrap_or(usize::MAX)
}

pub(super) fn log(ctx: &mut Context<'_>) -> Outcome {
    let count = match ctx.args {
        [_, _] => FAILURES_DEFAULT,
        [_, _, word] if word.eq_ignore_ascii_case(b"reset") => {
            ctx.server.access.failures.clear();
            ctx.reply.ok();
            return Ok(());
        }
        [_, _, count] => integer(count)?,
        _ => return Err(unknown_form("LOG")),
    };
    let failures = ctx.server.access.failures.newest(usize::try_from(count).unwrap_or(0));
    ctx.reply.array(failures.len());
    failures.iter().for_each(|failure| show_failure(ctx, failure));
    Ok(())
}

fn show_failure(ctx: &mut Context<'_>, failure: &Failure) {
    let (now_ms, reply) = (ctx.now_ms, &mut ctx.reply);
    let timestamp = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    reply.map(10);
    reply.bulk(b"count");
    reply.count(failure.count);
    let context = if failure.is_in_multi { &b"multi"[..] } else { b"toplevel" };
    for (field, value) in [
        ("reason", failure.reason.name().as_bytes()),
        ("context", context),
        ("object", &failure.object),
        ("username", &failure.user),
    ] {
        reply.bulk(field.as_bytes());
        reply.bulk(value);
    }
    let age_ms = now_ms.saturating_sub(failure.last_ms);
    reply.bulk(b"age-seconds");
    reply.double_text(&format!("{}.{:03}", age_ms / 1000, age_ms % 1000));
    reply.bulk(b"client-info");
    reply.bulk(failure.client.as_bytes());
    for (field, n) in [
        ("entry-id", timestamp(failure.id)),
        ("timestamp-created", timestamp(failure.first_ms)),
        ("timestamp-last-updated", timestamp(failure.last_ms)),
    ] {
        reply.bulk(field.as_bytes());
        reply.integer(n);
    }
}
