//! CONFIG and its subcommands; the parameters themselves are in `parameters`.

use super::{Command, CommandError, Flags, Group, Outcome};
use crate::context::Context;

const FLAGS: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new("config", -2, container)
    .since("2.0.0")
    .complexity("That of the subcommand")
    .summary("Commands about parameters and statistics.")
    .subcommands(&[
        Command::new("get", -3, get)
            .flags(FLAGS)
            .group(Group::Server)
            .since("2.0.0")
            .complexity("O(N), N parameters")
            .summary("Shows the values of the parameters that fit one of the patterns."),
        Command::new("help", 2, help)
            .flags(Flags::LOADING.and(Flags::STALE))
            .since("5.0.0")
            .summary("Lists the subcommands."),
        Command::new("resetstat", 2, resetstat)
            .flags(FLAGS)
            .since("2.0.0")
            .summary("Makes the counters of INFO begin at zero."),
        Command::new("rewrite", 2, rewrite)
            .flags(FLAGS)
            .since("2.8.0")
            .summary("Refused: there is no configuration file."),
        Command::new("set", -4, set)
            .flags(FLAGS)
            .since("2.0.0")
            .complexity("O(N), N parameters")
            .summary("Changes parameters, all that are given or none."),
    ])];

/// CONFIG alone is refused by its arity; what it names is another command.
fn container(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::Syntax)
}

fn help(ctx: &mut Context<'_>) -> Outcome {
    super::introspection::help(ctx, "config");
    Ok(())
}

fn get(ctx: &mut Context<'_>) -> Outcome {
    let found = ctx.server.parameters.matching(&ctx.args[2..]);
    ctx.reply.map(found.len());
    for (name, value) in found {
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.bulk(value.as_bytes());
    }
    Ok(())
}

fn set(ctx: &mut Context<'_>) -> Outcome {
    let args = &ctx.args[2..];
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Arity("config|set".into()));
    }
    let pairs: Vec<(&[u8], &[u8])> = args.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    ctx.server.parameters.set(&pairs).map_err(CommandError::err)?.apply(ctx.server);
    ctx.reply.ok();
    Ok(())
}

fn resetstat(ctx: &mut Context<'_>) -> Outcome {
    ctx.server.stats.reset();
    ctx.server.observer.reset_histograms();
    ctx.reply.ok();
    Ok(())
}

fn rewrite(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::text("ERR The server is running without a config file"))
}
