//! SLOWLOG.

use super::{Command, CommandError, Flags, Outcome};
use crate::context::Context;
use crate::number::parse_i64;

const FLAGS: Flags = Flags::ADMIN.and(Flags::LOADING).and(Flags::STALE);
/// Calls shown if no count is given.
const COUNT_DEFAULT: usize = 10;

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new("slowlog", -2, container)
    .since("2.2.12")
    .complexity("That of the subcommand.")
    .summary("Commands about calls that took long.")
    .subcommands(&[
        Command::new("get", -2, get)
            .flags(FLAGS)
            .since("2.2.12")
            .complexity("O(N), N entries shown")
            .summary("Shows the newest slow calls: 10, as many as asked for, or all for -1."),
        Command::new("help", 2, help)
            .flags(Flags::LOADING.and(Flags::STALE))
            .since("6.2.0")
            .summary("Lists the subcommands."),
        Command::new("len", 2, len)
            .flags(FLAGS)
            .since("2.2.12")
            .summary("Counts the slow calls that are kept."),
        Command::new("reset", 2, reset)
            .flags(FLAGS)
            .since("2.2.12")
            .complexity("O(N), N entries kept")
            .summary("Forgets the slow calls."),
    ])];

fn container(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::Syntax)
}

fn help(ctx: &mut Context<'_>) -> Outcome {
    super::introspection::help(ctx, "slowlog");
    Ok(())
}

fn get(ctx: &mut Context<'_>) -> Outcome {
    let count = match ctx.args.get(2) {
        None => COUNT_DEFAULT,
        Some(_) if ctx.args.len() > 3 => {
            return Err(CommandError::text(
                "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
            ));
        }
        Some(word) => match parse_i64(word) {
            Some(-1) => usize::MAX,
            count => count
                .and_then(|count| usize::try_from(count).ok())
                .ok_or(CommandError::text("ERR count should be greater than or equal to -1"))?,
        },
    };
    let calls = ctx.server.observer.slow_calls(count);
    ctx.reply.array(calls.len());
    for call in calls {
        ctx.reply.array(6);
        ctx.reply.integer(call.id);
        ctx.reply.count(call.at_s);
        ctx.reply.count(call.took_us);
        ctx.reply.array(call.args.len());
        call.args.iter().for_each(|arg| ctx.reply.bulk(arg));
        ctx.reply.bulk(call.peer.as_bytes());
        ctx.reply.bulk(&call.name);
    }
    Ok(())
}

fn len(ctx: &mut Context<'_>) -> Outcome {
    let len = ctx.server.observer.slow_calls_len();
    ctx.reply.count(u64::try_from(len).unwrap_or(u64::MAX));
    Ok(())
}

fn reset(ctx: &mut Context<'_>) -> Outcome {
    ctx.server.observer.forget_slow_calls();
    ctx.reply.ok();
    Ok(())
}
