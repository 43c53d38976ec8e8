//! Commands about the connection itself: who speaks, which database, which protocol version.

use super::acl::{auth, log_in};
use super::generic::parse_index;
use super::{Command, CommandError, Flags, Group, Outcome};
use crate::access::Login;
use crate::client::Replies;
use crate::context::Context;
use crate::number::parse_i64;
use crate::resp::Protocol;

/// What HELLO and INFO call this server; clients compare the version with Redis'.
pub(crate) const REDIS_VERSION: &str = "7.2.4";

const FAST: Flags = Flags::FAST.and(Flags::LOADING).and(Flags::STALE);
const HANDSHAKE: Flags = FAST.and(Flags::NOSCRIPT).and(Flags::NO_AUTH).and(Flags::ALLOW_BUSY);

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("auth", -2, auth)
        .flags(HANDSHAKE)
        .group(Group::Connection)
        .complexity("O(1)")
        .summary("Logs in with a password."),
    Command::new("echo", 2, echo)
        .flags(FAST)
        .group(Group::Connection)
        .summary("Answers with its argument."),
    Command::new("hello", -1, hello)
        .flags(HANDSHAKE)
        .group(Group::Connection)
        .since("6.0.0")
        .summary("Chooses the protocol, and describes the server."),
    Command::new("ping", -1, ping)
        .flags(Flags::FAST.and(Flags::WHILE_SUBSCRIBED))
        .group(Group::Connection)
        .summary("Answers PONG, or with its argument."),
    Command::new("quit", -1, quit)
        .flags(HANDSHAKE.and(Flags::NOT_QUEUED).and(Flags::WHILE_SUBSCRIBED))
        .group(Group::Connection)
        .summary("Answers OK and closes the connection."),
    Command::new("reset", 1, reset)
        .flags(HANDSHAKE.and(Flags::NOT_QUEUED).and(Flags::WHILE_SUBSCRIBED))
        .group(Group::Connection)
        .since("6.2.0")
        .summary("Makes this connection as it was when it was opened."),
    Command::new("select", 2, select)
        .flags(FAST)
        .group(Group::Connection)
        .summary("Makes another database the one that commands are about."),
];

fn ping(ctx: &mut Context<'_>) -> Outcome {
    if ctx.args.len() <= 2 && ctx.client.is_in_subscriber_mode() {
        ctx.reply.array(2);
        ctx.reply.bulk(b"pong");
        ctx.reply.bulk(ctx.args.get(1).copied().unwrap_or_default());
        return Ok(());
    }
    match ctx.args {
        [_] => ctx.reply.simple("PONG"),
        [_, text] => ctx.reply.bulk(text),
        _ => return Err(CommandError::Arity("ping".into())),
    }
    Ok(())
}

fn echo(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.bulk(ctx.args[1]);
    Ok(())
}

fn quit(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.ok();
    ctx.client.close = true;
    Ok(())
}

fn reset(ctx: &mut Context<'_>) -> Outcome {
    let client = &mut *ctx.client;
    ctx.server.watches.forget(&mut client.watched);
    ctx.server.pubsub.forget(client.seat(), &mut client.subscriptions);
    client.end_monitoring(&ctx.server.monitors);
    client.transaction = None;
    client.is_authenticated = ctx.server.access.is_open();
    client.log_in(Login::default());
    client.db = 0;
    client.protocol = Protocol::Resp2;
    // Its own reply is still one to be skipped.
    if client.replies != Replies::SkipThis {
        client.replies = Replies::On;
    }
    client.no_evict = false;
    client.no_touch = false;
    client.card.seen.lock().name.clear();
    ctx.reply.set_protocol(Protocol::Resp2);
    ctx.reply.simple("RESET");
    Ok(())
}

fn select(ctx: &mut Context<'_>) -> Outcome {
    let index = parse_index(ctx, ctx.args[1])?;
    ctx.client.db = index;
    ctx.reply.ok();
    Ok(())
}

fn hello(ctx: &mut Context<'_>) -> Outcome {
    let mut protocol = ctx.client.protocol;
    let mut name = None;
    if let [_, version, options @ ..] = ctx.args {
        protocol = match parse_i64(version) {
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return Err(CommandError::text("NOPROTO unsupported protocol version")),
            None => {
                return Err(CommandError::text(
                    "ERR Protocol version is not an integer or out of range",
                ));
            }
        };
        let (given_name, credentials) = hello_options(options)?;
        name = given_name;
        if let Some((user, password)) = credentials {
            log_in(ctx, user, password)?;
        }
    }
    if !ctx.client.is_authenticated && !ctx.server.access.is_open() {
        return Err(CommandError::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        super::client::set_name(ctx.client, name)?;
    }
    ctx.client.protocol = protocol;
    ctx.reply.set_protocol(protocol);
    let reply = &mut ctx.reply;
    reply.map(7);
    for (field, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.integer(protocol.number());
    reply.bulk(b"id");
    reply.count(ctx.client.id);
    for (field, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

/// The name, and the user with the password.
type HelloOptions<'a> = (Option<&'a [u8]>, Option<(&'a [u8], &'a [u8])>);

/// `AUTH user password` and `SETNAME name`, in any order.
fn hello_options<'a>(mut options: &[&'a [u8]]) -> Result<HelloOptions<'a>, CommandError> {
    let (mut name, mut credentials) = (None, None);
    loop {
        options = match options {
            [] => return Ok((name, credentials)),
            [word, user, password, rest @ ..] if word.eq_ignore_ascii_case(b"auth") => {
                credentials = Some((*user, *password));
                rest
            }
            [word, given, rest @ ..] if word.eq_ignore_ascii_case(b"setname") => {
                name = Some(*given);
                rest
            }
            [word, ..] => {
                return Err(CommandError::err(format_args!(
                    "Syntax error in HELLO option '{}'",
                    String::from_utf8_lossy(word)
                )));
            }
        };
    }
}
