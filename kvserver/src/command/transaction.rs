//! MULTI, EXEC, DISCARD, WATCH and UNWATCH.
//!
//! Queueing is the executor's; EXEC runs what was queued as one request, so that all its changes
//! are one batch.

use super::acl::permit_queued;
use super::{Command, CommandError, Flags, Group, KeyFlags, KeySpec, Outcome};
use crate::context::Context;
use crate::executor;

const AT_ONCE: Flags = Flags::NOSCRIPT
    .and(Flags::LOADING)
    .and(Flags::STALE)
    .and(Flags::FAST)
    .and(Flags::ALLOW_BUSY)
    .and(Flags::NOT_QUEUED);

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("discard", 1, discard)
        .flags(AT_ONCE)
        .group(Group::Transactions)
        .since("2.0.0")
        .complexity("O(N), N commands queued")
        .summary("Forgets the commands queued since MULTI."),
    Command::new("exec", 1, exec)
        .flags(
            Flags::WRITE
                .and(Flags::NOSCRIPT)
                .and(Flags::LOADING)
                .and(Flags::STALE)
                .and(Flags::SKIP_SLOWLOG)
                .and(Flags::NOT_QUEUED),
        )
        .group(Group::Transactions)
        .since("1.2.0")
        .complexity("That of the commands queued")
        .summary("Runs the commands queued since MULTI as one step."),
    Command::new("multi", 1, multi)
        .flags(AT_ONCE)
        .group(Group::Transactions)
        .since("1.2.0")
        .summary("Queues the commands that follow, up to EXEC."),
    Command::new("unwatch", 1, unwatch)
        .flags(
            Flags::NOSCRIPT
                .and(Flags::LOADING)
                .and(Flags::STALE)
                .and(Flags::FAST)
                .and(Flags::ALLOW_BUSY),
        )
        .group(Group::Transactions)
        .since("2.2.0")
        .summary("Watches no key any more."),
    Command::new("watch", -2, watch)
        .flags(AT_ONCE)
        .group(Group::Transactions)
        .keys(&[KeySpec::to_end(1, 1, KeyFlags::RO)])
        .since("2.2.0")
        .complexity("O(N), N keys")
        .summary("Makes the next EXEC fail if one of these keys has changed by then."),
];

fn multi(ctx: &mut Context<'_>) -> Outcome {
    refuse_inside_multi(ctx, "ERR MULTI calls can not be nested")?;
    ctx.client.transaction = Some(Box::default());
    ctx.reply.ok();
    Ok(())
}

/// Such a mistake makes EXEC fail, as any command that is refused while queueing. Redis 7 goes on
/// with the transaction; its successors do not.
fn refuse_inside_multi(ctx: &mut Context<'_>, text: &'static str) -> Outcome {
    match &mut ctx.client.transaction {
        None => Ok(()),
        Some(transaction) => {
            transaction.refused = true;
            Err(CommandError::text(text))
        }
    }
}

fn discard(ctx: &mut Context<'_>) -> Outcome {
    if ctx.client.transaction.take().is_none() {
        return Err(CommandError::text("ERR DISCARD without MULTI"));
    }
    ctx.server.watches.forget(&mut ctx.client.watched);
    ctx.reply.ok();
    Ok(())
}

fn exec(ctx: &mut Context<'_>) -> Outcome {
    let Some(transaction) = ctx.client.transaction.take() else {
        return Err(CommandError::text("ERR EXEC without MULTI"));
    };
    let changed = ctx.client.watched.is_changed(ctx.now_ms);
    if transaction.refused || changed {
        ctx.server.watches.forget(&mut ctx.client.watched);
    }
    if transaction.refused {
        return Err(CommandError::text(
            "EXECABORT Transaction discarded because of previous errors.",
        ));
    }
    if changed {
        ctx.reply.null_array();
        return Ok(());
    }
    ctx.reply.array(transaction.requests.len());
    ctx.client.is_in_exec = true;
    for queued in &transaction.requests {
        let args: Vec<&[u8]> = queued.args.iter().map(Vec::as_slice).collect();
        let mut inner = Context {
            args: &args,
            now_ms: ctx.now_ms,
            rng: ctx.rng,
            reply: ctx.reply.reborrow(),
            client: ctx.client,
            server: ctx.server,
            data: ctx.data,
        };
        match permit_queued(queued.entry, &mut inner) {
            Err(error) => inner.reply.error(&error),
            Ok(()) => {
                executor::call(queued.entry, &mut inner);
                executor::show(queued.entry, &mut inner);
            }
        }
        ctx.data.shrink();
        // HELLO may have changed it.
        ctx.reply.set_protocol(ctx.client.protocol);
    }
    ctx.data.shrink_at_end();
    ctx.client.is_in_exec = false;
    // The rest is the executor's, once it is committed.
    ctx.client.executed = Some(transaction);
    Ok(())
}

fn watch(ctx: &mut Context<'_>) -> Outcome {
    refuse_inside_multi(ctx, "ERR WATCH inside MULTI is not allowed")?;
    let args = ctx.args;
    for key in &args[1..] {
        let expires_at_ms = ctx.db().expires_at_ms(key)?.flatten();
        let db = ctx.client.db;
        ctx.server.watches.add(&mut ctx.client.watched, db, key, expires_at_ms);
    }
    ctx.reply.ok();
    Ok(())
}

fn unwatch(ctx: &mut Context<'_>) -> Outcome {
    ctx.server.watches.forget(&mut ctx.client.watched);
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests;
