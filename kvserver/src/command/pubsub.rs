//! SUBSCRIBE and its kin, PUBLISH, PUBSUB.
//!
//! Who hears what is the business of [`crate::pubsub`]. What a command publishes waits with the
//! client until the executor has committed its changes.

use super::acl::recheck;
use super::table::table;
use super::{Command, CommandError, Flags, Group, KeyFlags, KeySpec, Outcome};
use crate::context::Context;
use crate::pubsub::Kind;

const LISTEN: Flags = Flags::PUBSUB
    .and(Flags::NOSCRIPT)
    .and(Flags::LOADING)
    .and(Flags::STALE)
    .and(Flags::PUSHES)
    .and(Flags::WHILE_SUBSCRIBED);
const SPEAK: Flags =
    Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE).and(Flags::FAST).and(Flags::MAY_REPLICATE);
const LOOK: Flags = Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE);

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    listen("psubscribe", -2, |ctx| subscribe(ctx, Kind::Pattern, b"psubscribe"))
        .complexity("O(N), N patterns")
        .summary("Subscribes to all channels that fit one of the patterns."),
    Command::new("publish", 3, |ctx| publish(ctx, Kind::Channel))
        .flags(SPEAK)
        .group(Group::PubSub)
        .since("2.0.0")
        .complexity("O(N+M), N subscribers of the channel, M patterns of all clients")
        .summary("Sends a message to the subscribers of a channel."),
    PUBSUB,
    listen("punsubscribe", -1, |ctx| unsubscribe(ctx, Kind::Pattern, b"punsubscribe"))
        .complexity("O(N), N patterns")
        .summary("Stops listening to messages published to channels that match patterns."),
    Command::new("spublish", 3, |ctx| publish(ctx, Kind::Shard))
        .flags(SPEAK)
        .group(Group::PubSub)
        .keys(&[KeySpec::one(1, KeyFlags::NOT_KEY)])
        .since("7.0.0")
        .complexity("O(N) where N is the number of clients subscribed to the receiving channel.")
        .summary("Posts a message to a shard channel."),
    listen("ssubscribe", -2, |ctx| subscribe(ctx, Kind::Shard, b"ssubscribe"))
        .keys(&[KeySpec::to_end(1, 1, KeyFlags::NOT_KEY)])
        .since("7.0.0")
        .complexity("O(N), N channels")
        .summary("Subscribes to shard channels."),
    listen("subscribe", -2, |ctx| subscribe(ctx, Kind::Channel, b"subscribe"))
        .complexity("O(N), N channels")
        .summary("Subscribes to channels."),
    listen("sunsubscribe", -1, |ctx| unsubscribe(ctx, Kind::Shard, b"sunsubscribe"))
        .keys(&[KeySpec::to_end(1, 1, KeyFlags::NOT_KEY)])
        .since("7.0.0")
        .complexity("O(N), N channels")
        .summary("Ends the subscription to some or all shard channels."),
    listen("unsubscribe", -1, |ctx| unsubscribe(ctx, Kind::Channel, b"unsubscribe"))
        .complexity("O(N), N channels")
        .summary("Ends the subscription to some or all channels."),
];

const PUBSUB: Command = Command::new("pubsub", -2, container)
    .group(Group::PubSub)
    .since("2.8.0")
    .complexity("That of the subcommand")
    .summary("Commands about channels and their subscribers.")
    .subcommands(&[
        look(
            "channels",
            -2,
            |ctx| channels(ctx, Kind::Channel),
            "Lists the channels with subscribers.",
        )
        .complexity("O(N) where N is the number of active channels"),
        Command::new("help", 2, help)
            .flags(Flags::LOADING.and(Flags::STALE))
            .group(Group::PubSub)
            .since("6.2.0")
            .summary("Lists the subcommands."),
        look("numpat", 2, numpat, "Counts the patterns somebody is subscribed to."),
        look("numsub", -2, |ctx| numsub(ctx, Kind::Channel), "Counts the subscribers of channels.")
            .complexity("O(N) where N is the number of requested channels"),
        look(
            "shardchannels",
            -2,
            |ctx| channels(ctx, Kind::Shard),
            "Lists the shard channels with subscribers.",
        )
        .since("7.0.0")
        .complexity("O(N) where N is the number of active shard channels"),
        look(
            "shardnumsub",
            -2,
            |ctx| numsub(ctx, Kind::Shard),
            "Counts the subscribers of shard channels.",
        )
        .since("7.0.0")
        .complexity("O(N) where N is the number of requested shard channels"),
    ]);

const fn listen(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).flags(LISTEN).group(Group::PubSub).since("2.0.0")
}

const fn look(
    name: &'static str,
    arity: i32,
    handler: super::Handler,
    summary: &'static str,
) -> Command {
    let command = Command::new(name, arity, handler).flags(LOOK).group(Group::PubSub);
    command.since("2.8.0").summary(summary)
}

/// PUBSUB alone is refused by its arity; what it names is another command.
fn container(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::Syntax)
}

fn help(ctx: &mut Context<'_>) -> Outcome {
    super::introspection::help(ctx, "pubsub");
    Ok(())
}

fn subscribe(ctx: &mut Context<'_>, kind: Kind, word: &[u8]) -> Outcome {
    let args = ctx.args;
    // The older ones are let through, as clients rely on it.
    if kind == Kind::Shard && ctx.client.is_in_exec {
        let text = "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client";
        return Err(CommandError::text(text));
    }
    for name in &args[1..] {
        let seat = ctx.client.seat();
        ctx.server.pubsub.subscribe(seat, &mut ctx.client.subscriptions, kind, name);
        confirm(ctx, kind, word, Some(name));
    }
    if let Some(entry) = table().find(word)
        && !recheck(ctx, entry)
    {
        ctx.client.close = true;
    }
    Ok(())
}

fn unsubscribe(ctx: &mut Context<'_>, kind: Kind, word: &[u8]) -> Outcome {
    let args = ctx.args;
    let seat = ctx.client.seat();
    if args.len() > 1 {
        for name in &args[1..] {
            ctx.server.pubsub.unsubscribe(seat, &mut ctx.client.subscriptions, kind, name);
            confirm(ctx, kind, word, Some(name));
        }
        return Ok(());
    }
    let names = ctx.client.subscriptions.names(kind);
    if names.is_empty() {
        confirm(ctx, kind, word, None);
    }
    for name in names {
        ctx.server.pubsub.unsubscribe(seat, &mut ctx.client.subscriptions, kind, &name);
        confirm(ctx, kind, word, Some(&name));
    }
    Ok(())
}

/// Tells what has become of a subscription, and how many are left: channels and patterns are
/// counted together, shard channels by themselves.
fn confirm(ctx: &mut Context<'_>, kind: Kind, word: &[u8], name: Option<&[u8]>) {
    let subscriptions = &ctx.client.subscriptions;
    let left = match kind {
        Kind::Shard => subscriptions.len(Kind::Shard),
        _ => subscriptions.len(Kind::Channel) + subscriptions.len(Kind::Pattern),
    };
    ctx.reply.push(3);
    ctx.reply.bulk(word);
    ctx.reply.bulk_or_null(name);
    ctx.reply.count(u64::try_from(left).unwrap_or(u64::MAX));
}

fn publish(ctx: &mut Context<'_>, kind: Kind) -> Outcome {
    let [_, channel, payload] = ctx.args else { return Err(CommandError::Syntax) };
    let outgoing = ctx.server.pubsub.publish(kind, channel, payload);
    let receivers = outgoing.as_ref().map_or(0, crate::pubsub::Outgoing::receivers);
    let events = ctx.data.events_len();
    ctx.client.published.extend(outgoing.map(|outgoing| (events, outgoing)));
    ctx.reply.count(u64::try_from(receivers).unwrap_or(u64::MAX));
    Ok(())
}

fn channels(ctx: &mut Context<'_>, kind: Kind) -> Outcome {
    if ctx.args.len() > 3 {
        return Err(wrong_usage(ctx));
    }
    let found = ctx.server.pubsub.matching(kind, ctx.args.get(2).copied());
    ctx.reply.array(found.len());
    found.iter().for_each(|name| ctx.reply.bulk(name));
    Ok(())
}

/// What Redis says when a subcommand that exists gets too many arguments.
fn wrong_usage(ctx: &Context<'_>) -> CommandError {
    CommandError::err(format_args!(
        "unknown subcommand or wrong number of arguments for '{}'. Try PUBSUB HELP.",
        String::from_utf8_lossy(ctx.args[1])
    ))
}

fn numsub(ctx: &mut Context<'_>, kind: Kind) -> Outcome {
    let names = &ctx.args[2..];
    ctx.reply.array(names.len() * 2);
    for name in names {
        let count = ctx.server.pubsub.subscribers(kind, name);
        ctx.reply.bulk(name);
        ctx.reply.count(u64::try_from(count).unwrap_or(u64::MAX));
    }
    Ok(())
}

fn numpat(ctx: &mut Context<'_>) -> Outcome {
    let count = ctx.server.pubsub.names(Kind::Pattern);
    ctx.reply.count(u64::try_from(count).unwrap_or(u64::MAX));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Fixture;

    #[test]
    fn inside_multi_shard_channels_are_not_subscribed_to() {
        let mut fixture = Fixture::new();
        fixture.check(&[
            ("MULTI", "+OK"),
            ("SSUBSCRIBE s", "+QUEUED"),
            ("SUBSCRIBE c", "+QUEUED"),
            (
                "EXEC",
                "*2 -ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client \
                 *3 $9 subscribe $1 c :1",
            ),
        ]);
    }
}
