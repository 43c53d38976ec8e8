//! CLIENT and its subcommands.

mod kill;
mod list;
mod pause;
mod tracking;

use super::{Command, CommandError, Flags, Group, Outcome};
use crate::blocking::Unblock;
use crate::client::{ClientState, Replies};
use crate::context::Context;
use crate::number::parse_i64;

const QUIET: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const ADMIN: Flags = QUIET.and(Flags::ADMIN);

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new("client", -2, container)
    .group(Group::Connection)
    .since("2.4.0")
    .complexity("That of the subcommand")
    .summary("Commands about connections.")
    .subcommands(&[
        sub(
            "caching",
            3,
            tracking::caching,
            QUIET,
            "6.0.0",
            "Refused: nothing tells clients what to forget yet.",
        ),
        sub("getname", 2, getname, QUIET, "2.6.9", "Says what this connection was called."),
        sub(
            "getredir",
            2,
            tracking::getredir,
            QUIET,
            "6.0.0",
            "Returns the client ID that the connection's tracking notifications go to.",
        ),
        sub("help", 2, help, Flags::LOADING.and(Flags::STALE), "5.0.0", "Lists the subcommands."),
        sub(
            "id",
            2,
            id,
            QUIET,
            "5.0.0",
            "Says the number of this connection, which no other one ever has.",
        ),
        sub(
            "info",
            2,
            list::info,
            QUIET,
            "6.2.0",
            "Describes this connection as CLIENT LIST does.",
        ),
        sub(
            "kill",
            -3,
            kill::kill,
            ADMIN,
            "2.4.0",
            "Closes one connection, or all that fit the filters.",
        )
        .complexity("O(N), N connections"),
        sub("list", -2, list::list, ADMIN, "2.4.0", "Describes the connections, a line each.")
            .complexity("O(N), N connections"),
        sub(
            "no-evict",
            3,
            no_evict,
            ADMIN,
            "7.0.0",
            "Says whether this connection may be closed to save memory.",
        ),
        sub(
            "no-touch",
            3,
            no_touch,
            QUIET,
            "7.2.0",
            "Says whether what this connection reads counts as used.",
        ),
        sub("pause", -3, pause::pause, ADMIN, "3.0.0", "Makes requests wait for a time."),
        sub(
            "reply",
            3,
            reply,
            QUIET,
            "3.2.0",
            "Turns replies to this connection on or off, or skips the next.",
        ),
        sub(
            "setinfo",
            4,
            setinfo,
            QUIET,
            "7.2.0",
            "Notes the name or version of the client's library.",
        ),
        sub("setname", 3, setname, QUIET, "2.6.9", "Gives this connection a name."),
        sub(
            "tracking",
            -3,
            tracking::tracking,
            QUIET,
            "6.0.0",
            "Refused when switched on: nothing tells clients what to forget yet.",
        ),
        sub(
            "trackinginfo",
            2,
            tracking::trackinginfo,
            QUIET,
            "6.2.0",
            "Says that nothing is tracked for this connection.",
        ),
        sub(
            "unblock",
            -3,
            unblock,
            ADMIN,
            "5.0.0",
            "Ends the wait of another connection, as if its time were over or with an error.",
        ),
        sub(
            "unpause",
            2,
            pause::unpause,
            ADMIN.and(Flags::REMEMBERS),
            "6.2.0",
            "Ends CLIENT PAUSE: what waits goes on.",
        ),
    ])];

const fn sub(
    name: &'static str,
    arity: i32,
    handler: super::Handler,
    flags: Flags,
    since: &'static str,
    summary: &'static str,
) -> Command {
    Command::new(name, arity, handler)
        .flags(flags)
        .group(Group::Connection)
        .since(since)
        .summary(summary)
}

/// CLIENT alone is refused by its arity; what it names is another command.
fn container(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::Syntax)
}

fn help(ctx: &mut Context<'_>) -> Outcome {
    super::introspection::help(ctx, "client");
    Ok(())
}

fn id(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.count(ctx.client.id);
    Ok(())
}

fn getname(ctx: &mut Context<'_>) -> Outcome {
    let seen = ctx.client.card.seen.lock();
    ctx.reply.bulk_or_null((!seen.name.is_empty()).then_some(&seen.name[..]));
    Ok(())
}

fn setname(ctx: &mut Context<'_>) -> Outcome {
    set_name(ctx.client, ctx.args[2])?;
    ctx.reply.ok();
    Ok(())
}

/// Names a connection, for CLIENT SETNAME and HELLO.
pub(super) fn set_name(client: &ClientState, name: &[u8]) -> Outcome {
    if !is_plain(name) {
        return Err(CommandError::text(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ));
    }
    client.card.seen.lock().name = name.to_vec();
    Ok(())
}

/// Printable, without spaces: such text cannot break the lines of CLIENT LIST.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

fn setinfo(ctx: &mut Context<'_>) -> Outcome {
    let [_, _, attribute, value] = ctx.args else { return Err(CommandError::Syntax) };
    let mut seen = ctx.client.card.seen.lock();
    let seen = &mut *seen;
    let (field, shown) = if attribute.eq_ignore_ascii_case(b"lib-name") {
        (&mut seen.lib_name, "lib-name")
    } else if attribute.eq_ignore_ascii_case(b"lib-ver") {
        (&mut seen.lib_ver, "lib-ver")
    } else {
        return Err(CommandError::err(format_args!(
            "Unrecognized option '{}'",
            String::from_utf8_lossy(attribute)
        )));
    };
    if !is_plain(value) {
        return Err(CommandError::err(format_args!(
            "{shown} cannot contain spaces, newlines or special characters."
        )));
    }
    *field = value.to_vec();
    ctx.reply.ok();
    Ok(())
}

fn yes_or_no(ctx: &Context<'_>) -> Result<bool, CommandError> {
    match ctx.args[2] {
        word if word.eq_ignore_ascii_case(b"on") => Ok(true),
        word if word.eq_ignore_ascii_case(b"off") => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

fn no_evict(ctx: &mut Context<'_>) -> Outcome {
    ctx.client.no_evict = yes_or_no(ctx)?;
    ctx.reply.ok();
    Ok(())
}

fn no_touch(ctx: &mut Context<'_>) -> Outcome {
    ctx.client.no_touch = yes_or_no(ctx)?;
    ctx.reply.ok();
    Ok(())
}

fn reply(ctx: &mut Context<'_>) -> Outcome {
    let mode = ctx.args[2];
    if mode.eq_ignore_ascii_case(b"on") {
        ctx.client.replies = Replies::On;
        ctx.reply.ok();
    } else if mode.eq_ignore_ascii_case(b"off") {
        ctx.client.replies = Replies::Off;
    } else if mode.eq_ignore_ascii_case(b"skip") {
        if ctx.client.replies != Replies::Off {
            ctx.client.replies = Replies::SkipNext;
        }
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(())
}

/// `CLIENT UNBLOCK id [TIMEOUT | ERROR]`
fn unblock(ctx: &mut Context<'_>) -> Outcome {
    let how = match &ctx.args[3..] {
        [] => Unblock::Timeout,
        [word] if word.eq_ignore_ascii_case(b"timeout") => Unblock::Timeout,
        [word] if word.eq_ignore_ascii_case(b"error") => Unblock::Error,
        [_] => {
            return Err(CommandError::text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
        }
        _ => {
            return Err(CommandError::text(
                "ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT \
                 HELP.",
            ));
        }
    };
    let id = parse_i64(ctx.args[2]).ok_or(CommandError::NotInteger)?;
    let was_blocked = u64::try_from(id).is_ok_and(|id| ctx.server.unblock(id, how));
    ctx.reply.flag(was_blocked);
    Ok(())
}
