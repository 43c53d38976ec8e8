//! DEBUG: what test suites and people who look for faults ask for. Off by default.
//!
//! `enable-debug-command` says who may. What has no meaning here (tables that are resized, packed
//! lists) is accepted without effect if suites send it on their way to something else; what would
//! only end the server is unknown.

mod digest;
mod object;
mod protocol;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::{Command, CommandError, Flags, Group, Handler, Outcome};
use crate::context::Context;
use crate::data::{Expiry, Type};
use crate::double;
use crate::number::parse_i64;
use crate::parameters::Live;

const FLAGS: Flags =
    Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE).and(Flags::REMEMBERS);

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new("debug", -2, debug)
    .flags(FLAGS)
    .group(Group::Server)
    .complexity("That of the subcommand.")
    .summary("Serves tests and the search for faults; off unless enable-debug-command allows it.")];

/// What DEBUG switches.
#[derive(Debug)]
pub(crate) struct DebugState {
    /// Keys past their time are removed in the background.
    pub(crate) expires: AtomicBool,
}

impl Default for DebugState {
    fn default() -> Self {
        DebugState { expires: AtomicBool::new(true) }
    }
}

/// Name, arguments after it (at least, at most), handler, help.
type Subcommand = (&'static str, (usize, usize), Handler, &'static str);

const SUBCOMMANDS: &[Subcommand] = &[
    ("CHANGE-REPL-ID", (0, 0), accepted, "Accepted: there are no replicas to tell."),
    ("CONFIG-REWRITE-FORCE-ALL", (0, 0), rewrite, "Refused: there is no configuration file."),
    ("DICT-RESIZING", (1, 1), accepted, "Accepted: nothing here is resized at once."),
    ("DIGEST", (0, 0), digest::all, "Answers a digest of everything in all databases."),
    ("DIGEST-VALUE", (0, usize::MAX), digest::values, "Answers digests of the values of <key>s."),
    ("ERROR", (1, 1), error, "Answers <string> as an error."),
    ("HELP", (0, 0), help, "Prints this."),
    ("LISTPACK", (1, 1), object::listpack, "Tells whether <key>'s encoding is named listpack."),
    ("LOADAOF", (0, 0), reload, "As RELOAD."),
    ("LOG", (1, 1), log, "Writes <message> to the server's log."),
    ("OBJECT", (1, 2), object::object, "Tells what is known of the value of <key>."),
    ("ORPHANS", (0, 1), orphans, "Counts elements no key holds; with REPAIR removes them."),
    ("PAUSE-CRON", (1, 1), accepted, "Accepted: work in the background has threads of its own."),
    ("POPULATE", (1, 3), populate, "Makes <count> string keys, [prefix]:0 and so on, of [size]."),
    ("PROTOCOL", (1, 1), protocol::protocol, "Answers a value of a <type> of the protocol."),
    ("QUICKLIST-PACKED-THRESHOLD", (1, 1), threshold, "Accepted: lists are not packed."),
    ("RELOAD", (0, 3), reload, "Answers when everything is durable and its references hold."),
    ("REPLYBUFFER", (2, 2), accepted, "Accepted: buffers of replies are not resized."),
    ("SET-ACTIVE-EXPIRE", (1, 1), set_active_expire, "Whether expired keys are removed unasked."),
    ("SET-DISABLE-DENY-SCRIPTS", (1, 1), accepted, "Accepted: there are no scripts."),
    ("SLEEP", (1, 1), sleep, "Stops the server for <seconds>, which may have decimals."),
    ("STRINGMATCH-LEN", (2, 2), stringmatch, "Matches a string of length <n> against <pattern>."),
];

fn debug(ctx: &mut Context<'_>) -> Outcome {
    check_allowed(ctx)?;
    let (name, count) = (ctx.args[1], ctx.args.len() - 2);
    let fits = |(called, (least, most), ..): &&Subcommand| {
        called.as_bytes().eq_ignore_ascii_case(name) && (*least..=*most).contains(&count)
    };
    let Some((.., handler, _)) = SUBCOMMANDS.iter().find(fits) else {
        return Err(CommandError::err(format_args!(
            "unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.",
            String::from_utf8_lossy(&name[..name.len().min(128)])
        )));
    };
    handler(ctx)
}

fn check_allowed(ctx: &Context<'_>) -> Outcome {
    let is_local = ctx.client.card.peer.ip().is_loopback();
    match ctx.server.parameters.number(Live::DebugCommand) {
        1 => Ok(()),
        2 if is_local => Ok(()),
        _ => Err(CommandError::text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \
             \"local\", you can run it from a local connection, otherwise you need to set this \
             option in the configuration file, and then restart the server.",
        )),
    }
}

fn accepted(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.ok();
    Ok(())
}

fn help(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.array(1 + SUBCOMMANDS.len() * 2);
    ctx.reply.simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for (name, .., text) in SUBCOMMANDS {
        ctx.reply.simple(name);
        ctx.reply.simple(&format!("    {text}"));
    }
    Ok(())
}

fn error(ctx: &mut Context<'_>) -> Outcome {
    Err(CommandError::Other(String::from_utf8_lossy(ctx.args[2]).into_owned().into()))
}

fn rewrite(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::text("ERR The server is running without a config file"))
}

fn log(ctx: &mut Context<'_>) -> Outcome {
    tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(ctx.args[2]));
    ctx.reply.ok();
    Ok(())
}

/// Nothing lies in memory that is not in the log, so there is nothing to load. What a reload shows
/// is shown otherwise: the reply waits until everything is durable, and every reference is checked.
fn reload(ctx: &mut Context<'_>) -> Outcome {
    let orphans = ctx.server.engine.orphans()?.len();
    if orphans > 0 {
        return Err(CommandError::err(format_args!("{orphans} orphans; see DEBUG ORPHANS")));
    }
    ctx.client.wait_durable = true;
    ctx.reply.ok();
    Ok(())
}

fn orphans(ctx: &mut Context<'_>) -> Outcome {
    let orphans = ctx.server.engine.orphans()?;
    let count = u64::try_from(orphans.len()).unwrap_or(u64::MAX);
    match ctx.args.get(2) {
        None => {}
        Some(word) if word.eq_ignore_ascii_case(b"repair") => {
            ctx.server.engine.remove_orphans(orphans)?;
        }
        Some(_) => return Err(CommandError::Syntax),
    }
    ctx.reply.count(count);
    Ok(())
}

fn populate(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let count = parse_i64(args[2]).and_then(|n| u64::try_from(n).ok());
    let count = count.ok_or(CommandError::text("ERR value is out of range, must be positive"))?;
    let prefix = args.get(3).copied().unwrap_or(b"key");
    let size = args.get(4).map_or(Ok(0), |size| {
        parse_i64(size).and_then(|n| usize::try_from(n).ok()).ok_or(CommandError::NotInteger)
    })?;
    for n in 0..count {
        let key = [prefix, format!(":{n}").as_bytes()].concat();
        super::limits::check_key(&key)?;
        if ctx.db().contains(&key)? {
            continue;
        }
        let mut value = format!("value:{n}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        ctx.db().put(&key, Type::String, &value, Expiry::None)?;
    }
    ctx.reply.ok();
    Ok(())
}

fn threshold(ctx: &mut Context<'_>) -> Outcome {
    let text = String::from_utf8_lossy(ctx.args[2]).to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if digits.parse::<u64>().is_err() {
        return Err(CommandError::text(
            "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
        ));
    }
    ctx.reply.ok();
    Ok(())
}

fn set_active_expire(ctx: &mut Context<'_>) -> Outcome {
    let on = parse_i64(ctx.args[2]).unwrap_or(0) != 0;
    ctx.server.debug.expires.store(on, Relaxed);
    ctx.reply.ok();
    Ok(())
}

/// Longest sleep, in seconds.
const SLEEP_MAX: f64 = 86_400.0;

#[expect(clippy::disallowed_methods, reason = "sleeping is what it is asked for")]
fn sleep(ctx: &mut Context<'_>) -> Outcome {
    let seconds = double::parse(ctx.args[2]).unwrap_or(0.0).clamp(0.0, SLEEP_MAX);
    std::thread::sleep(Duration::from_secs_f64(seconds));
    ctx.reply.ok();
    Ok(())
}

fn stringmatch(ctx: &mut Context<'_>) -> Outcome {
    let length = parse_i64(ctx.args[3]).and_then(|n| usize::try_from(n).ok());
    let length =
        length.filter(|n| u64::try_from(*n).is_ok_and(|n| n <= ctx.server.string_len_max()));
    let text = vec![b'a'; length.ok_or(CommandError::NotInteger)?];
    let matches = crate::glob::matches(ctx.args[2], &text, crate::glob::Case::Sensitive);
    ctx.reply.flag(matches);
    Ok(())
}
