//! Commands about the server: what it knows of itself, how it saves, how it ends.

mod info;

use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use super::{Command, CommandError, Flags, Group, Outcome};
use crate::background::{Job, note_saved};
use crate::context::Context;

const QUIET: Flags = Flags::LOADING.and(Flags::STALE);
const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING);
const ENDS: Flags = Flags::NO_MULTI.and(Flags::ALLOW_BUSY);

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("bgrewriteaof", 1, bgrewriteaof)
        .flags(ADMIN)
        .summary("Rewrites the log without what is dead, in the background."),
    Command::new("bgsave", -1, bgsave)
        .flags(ADMIN)
        .summary("Makes everything committed so far durable, in the background."),
    Command::new("info", -1, info::info)
        .flags(QUIET.and(Flags::DANGEROUS))
        .summary("Shows the state of the server and what it has counted."),
    Command::new("lastsave", 1, lastsave)
        .flags(QUIET.and(Flags::FAST).and(Flags::DANGEROUS))
        .summary("Returns the Unix timestamp of the last successful save."),
    Command::new("lolwut", -1, lolwut)
        .flags(Flags::READONLY.and(Flags::FAST))
        .since("5.0.0")
        .summary("Displays computer art and the version."),
    Command::new("monitor", 1, monitor)
        .flags(Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE))
        .summary("Shows every request the server executes, as it does."),
    Command::new("save", 1, save)
        .flags(ADMIN.and(Flags::NO_MULTI))
        .summary("Returns when everything committed so far is durable."),
    Command::new("shutdown", -1, shutdown)
        .flags(Flags::ADMIN.and(Flags::NOSCRIPT).and(QUIET).and(ENDS))
        .summary("Makes everything durable and ends the server."),
    Command::new("time", 1, time)
        .flags(QUIET.and(Flags::FAST))
        .since("2.6.0")
        .group(Group::Server)
        .summary("Says the time: seconds since 1970, and microseconds."),
];

fn bgrewriteaof(ctx: &mut Context<'_>) -> Outcome {
    if ctx.server.background.merging.swap(true, AcqRel) {
        return Err(CommandError::text(
            "ERR Background append only file rewriting already in progress",
        ));
    }
    ctx.server.ask_background(Job::Merge);
    ctx.reply.simple("Background append only file rewriting started");
    Ok(())
}

fn bgsave(ctx: &mut Context<'_>) -> Outcome {
    match ctx.args {
        [_] => {}
        [_, word] if word.eq_ignore_ascii_case(b"schedule") => {}
        _ => return Err(CommandError::Syntax),
    }
    if ctx.server.background.saving.swap(true, AcqRel) {
        return Err(CommandError::text("ERR Background save already in progress"));
    }
    ctx.server.ask_background(Job::Save);
    ctx.reply.simple("Background saving started");
    Ok(())
}

fn monitor(ctx: &mut Context<'_>) -> Outcome {
    if ctx.client.is_in_exec {
        return Err(CommandError::text("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    // Who looks already is not answered, as in Redis.
    if !ctx.client.is_monitor {
        ctx.client.is_monitor = true;
        ctx.server.monitors.add(ctx.client.seat());
        ctx.reply.ok();
    }
    Ok(())
}

/// The reply is kept back until what it tells is true.
fn save(ctx: &mut Context<'_>) -> Outcome {
    ctx.client.wait_durable = true;
    note_saved(ctx.server, ctx.server.stats.changes.load(Relaxed));
    ctx.reply.ok();
    Ok(())
}

fn lastsave(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.count(ctx.server.background.last_save_s.load(Relaxed));
    Ok(())
}

fn lolwut(ctx: &mut Context<'_>) -> Outcome {
    let art = [
        "      _____________________",
        "     /  key --> value      \\",
        "    /_____________________  \\",
        "    |  log  |  log  | log |__|",
        "    |_______|_______|_____|",
    ];
    let version = super::connection::REDIS_VERSION;
    ctx.reply.verbatim(&format!("{}\n\nRedis ver. {version}\n", art.join("\n")));
    Ok(())
}

fn shutdown(ctx: &mut Context<'_>) -> Outcome {
    let known = ["nosave", "save", "now", "force"];
    let is_known = |arg: &&[u8]| known.iter().any(|w| arg.eq_ignore_ascii_case(w.as_bytes()));
    let [_, options @ ..] = ctx.args else { return Err(CommandError::Syntax) };
    if !options.is_empty() && options.iter().all(|arg| arg.eq_ignore_ascii_case(b"abort")) {
        return Err(CommandError::text("ERR No shutdown in progress."));
    }
    let has = |word: &[u8]| options.iter().any(|arg| arg.eq_ignore_ascii_case(word));
    if !options.iter().all(is_known) || (has(b"save") && has(b"nosave")) {
        return Err(CommandError::Syntax);
    }
    // No reply: that the connection ends is the answer.
    ctx.client.close = true;
    ctx.server.stop.ask();
    Ok(())
}

fn time(ctx: &mut Context<'_>) -> Outcome {
    let (seconds, micros) = (ctx.now_ms / 1000, ctx.now_ms % 1000 * 1000);
    ctx.reply.array(2);
    ctx.reply.bulk(seconds.to_string().as_bytes());
    ctx.reply.bulk(micros.to_string().as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Fixture;

    #[test]
    fn what_contradicts_itself_ends_no_server() {
        let mut fixture = Fixture::new();
        fixture.check(&[
            ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error"),
            ("SHUTDOWN NOW ABORT", "-ERR syntax error"),
            ("SHUTDOWN abort ABORT", "-ERR No shutdown in progress."),
            ("SHUTDOWN NOSAVE WHAT", "-ERR syntax error"),
        ]);
        assert!(!fixture.client.close);
    }
}
