//! CLIENT and its subcommands.

use std::sync::Arc;

use super::{Command, CommandError, Flags, Group, Outcome};
use crate::blocking::Unblock;
use crate::client::{Buffers, Card, ClientState, Replies};
use crate::context::Context;
use crate::number::parse_i64;

const QUIET: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const ADMIN: Flags = QUIET.and(Flags::ADMIN);

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new("client", -2, container)
    .group(Group::Connection)
    .since("2.4.0")
    .complexity("Depends on subcommand.")
    .summary("A container for client connection commands.")
    .subcommands(&[
        sub("getname", 2, getname, QUIET, "2.6.9", "Returns the name of the connection."),
        sub(
            "help",
            2,
            help,
            QUIET,
            "5.0.0",
            "Returns helpful text about the different subcommands.",
        ),
        sub("id", 2, id, QUIET, "5.0.0", "Returns the unique client ID of the connection."),
        sub("info", 2, info, QUIET, "6.2.0", "Returns information about the connection."),
        sub("kill", -3, kill, ADMIN, "2.4.0", "Terminates open connections."),
        sub("list", -2, list, ADMIN, "2.4.0", "Lists open connections."),
        sub(
            "no-evict",
            3,
            no_evict,
            ADMIN,
            "7.0.0",
            "Sets the client eviction mode of the connection.",
        ),
        sub(
            "no-touch",
            3,
            no_touch,
            QUIET,
            "7.2.0",
            "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
        ),
        sub(
            "reply",
            3,
            reply,
            QUIET,
            "3.2.0",
            "Instructs the server whether to reply to commands.",
        ),
        sub(
            "setinfo",
            4,
            setinfo,
            QUIET,
            "7.2.0",
            "Sets information specific to the client or connection.",
        ),
        sub("setname", 3, setname, QUIET, "2.6.9", "Sets the connection name."),
        sub(
            "unblock",
            -3,
            unblock,
            ADMIN,
            "5.0.0",
            "Unblocks a client blocked by a blocking command from a different connection.",
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

/// Brings the asking client's own card up to date: others' are, since their last round.
fn publish_own(ctx: &Context<'_>) {
    let entry = super::table::table().resolve(ctx.args[0], ctx.args.get(1).copied());
    ctx.client.publish(entry, ctx.now_ms, Buffers::default());
}

fn info(ctx: &mut Context<'_>) -> Outcome {
    publish_own(ctx);
    let line = ctx.client.card.line(ctx.now_ms);
    ctx.reply.verbatim(&format!("{line}\n"));
    Ok(())
}

fn list(ctx: &mut Context<'_>) -> Outcome {
    publish_own(ctx);
    let mut cards = ctx.server.clients.cards();
    match &ctx.args[2..] {
        [] => {}
        [word, kind] if word.eq_ignore_ascii_case(b"type") => {
            if !is_normal(kind)? {
                cards.clear();
            }
        }
        [word, ids @ ..] if word.eq_ignore_ascii_case(b"id") && !ids.is_empty() => {
            let mut wanted = Vec::new();
            for id in ids {
                wanted.push(client_id(id)?);
            }
            cards.retain(|card| wanted.contains(&card.id));
        }
        _ => return Err(CommandError::Syntax),
    }
    let mut text = String::new();
    for card in cards {
        text.push_str(&card.line(ctx.now_ms));
        text.push('\n');
    }
    ctx.reply.verbatim(&text);
    Ok(())
}

/// True for the only kind of client there is; false for the other kinds Redis knows.
fn is_normal(kind: &[u8]) -> Result<bool, CommandError> {
    let kind = String::from_utf8_lossy(kind);
    match kind.to_ascii_lowercase().as_str() {
        "normal" => Ok(true),
        "master" | "slave" | "replica" | "pubsub" => Ok(false),
        _ => Err(CommandError::err(format_args!("Unknown client type '{kind}'"))),
    }
}

fn client_id(text: &[u8]) -> Result<u64, CommandError> {
    let id = parse_i64(text).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
    id.ok_or(CommandError::text("ERR Invalid client ID"))
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
        _ => return Err(CommandError::Syntax),
    };
    let id = parse_i64(ctx.args[2]).ok_or(CommandError::NotInteger)?;
    let was_blocked = u64::try_from(id).is_ok_and(|id| ctx.server.unblock(id, how));
    ctx.reply.flag(was_blocked);
    Ok(())
}

/// Which clients to kill.
struct Filter<'a> {
    id: Option<u64>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    normal: bool,
    older_than_ms: Option<u64>,
    skip_me: bool,
}

fn kill(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    if let [_, _, addr] = args {
        let found = ctx.server.clients.cards();
        let card = found.iter().find(|card| card.peer.to_string().as_bytes() == *addr);
        let card = card.ok_or(CommandError::text("ERR No such client"))?;
        kill_one(ctx, card);
        ctx.reply.ok();
        return Ok(());
    }
    let filter = kill_filter(&args[2..])?;
    let mut killed = 0;
    for card in ctx.server.clients.cards() {
        if filter.matches(&card, ctx.client.id, ctx.now_ms) {
            kill_one(ctx, &card);
            killed += 1;
        }
    }
    ctx.reply.count(killed);
    Ok(())
}

fn kill_one(ctx: &mut Context<'_>, card: &Arc<Card>) {
    if card.id == ctx.client.id {
        ctx.client.close = true;
    } else {
        ctx.server.kill(card);
    }
}

fn kill_filter<'a>(options: &[&'a [u8]]) -> Result<Filter<'a>, CommandError> {
    let mut filter = Filter {
        id: None,
        addr: None,
        laddr: None,
        normal: true,
        older_than_ms: None,
        skip_me: true,
    };
    for pair in options.chunks(2) {
        let [option, value] = pair else { return Err(CommandError::Syntax) };
        let is = |word: &str| option.eq_ignore_ascii_case(word.as_bytes());
        if is("id") {
            let id = client_id(value)
                .map_err(|_| CommandError::text("ERR client-id should be greater than 0"))?;
            filter.id = Some(id);
        } else if is("type") {
            filter.normal = is_normal(value)?;
        } else if is("addr") {
            filter.addr = Some(value);
        } else if is("laddr") {
            filter.laddr = Some(value);
        } else if is("user") {
            if *value != b"default" {
                let user = String::from_utf8_lossy(value);
                return Err(CommandError::err(format_args!("No such user '{user}'")));
            }
        } else if is("maxage") {
            let age = parse_i64(value).ok_or(CommandError::NotInteger)?;
            let age = u64::try_from(age)
                .map_err(|_| CommandError::text("ERR maxage should be greater than 0"))?;
            filter.older_than_ms = Some(age.saturating_mul(1000));
        } else if is("skipme") {
            filter.skip_me = if value.eq_ignore_ascii_case(b"yes") {
                true
            } else if value.eq_ignore_ascii_case(b"no") {
                false
            } else {
                return Err(CommandError::Syntax);
            };
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(filter)
}

impl Filter<'_> {
    fn matches(&self, card: &Card, me: u64, now_ms: u64) -> bool {
        let is = |addr: std::net::SocketAddr, wanted: Option<&[u8]>| {
            wanted.is_none_or(|wanted| addr.to_string().as_bytes() == wanted)
        };
        let age_ms = now_ms.saturating_sub(card.connected_ms);
        self.normal
            && self.id.is_none_or(|id| id == card.id)
            && is(card.peer, self.addr)
            && is(card.local, self.laddr)
            && self.older_than_ms.is_none_or(|limit| age_ms >= limit)
            && !(self.skip_me && card.id == me)
    }
}
