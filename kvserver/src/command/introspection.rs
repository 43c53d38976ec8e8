//! COMMAND and its subcommands: the table, read by clients.

use super::table::{Entry, table};
use super::{Command, CommandError, Flags, KeyFlags, KeySpec, Outcome, keys::Span};
use crate::context::Context;
use crate::glob::{self, Case};
use crate::resp::Reply;

const FLAGS: Flags = Flags::LOADING.and(Flags::STALE);
const ALL: &str = "O(N) where N is the total number of Redis commands";

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new("command", -1, info_all)
    .flags(FLAGS)
    .since("2.8.13")
    .complexity(ALL)
    .summary("Returns detailed information about all commands.")
    .subcommands(&[
        sub("count", 2, count, "2.8.13", "Returns a count of commands."),
        sub(
            "docs",
            -2,
            docs,
            "7.0.0",
            "Returns documentary information about one, multiple or all commands.",
        ),
        sub("getkeys", -3, getkeys, "2.8.13", "Extracts the key names from an arbitrary command."),
        sub(
            "getkeysandflags",
            -3,
            getkeysandflags,
            "7.0.0",
            "Extracts the key names and access flags for an arbitrary command.",
        ),
        sub("help", 2, own_help, "5.0.0", "Returns helpful text about the different subcommands."),
        sub("info", -2, info, "2.8.13", "Returns information about one, multiple or all commands."),
        sub("list", -2, list, "7.0.0", "Returns a list of command names."),
    ])];

const fn sub(
    name: &'static str,
    arity: i32,
    handler: super::Handler,
    since: &'static str,
    summary: &'static str,
) -> Command {
    Command::new(name, arity, handler).flags(FLAGS).since(since).complexity(ALL).summary(summary)
}

/// The reply of every HELP: the subcommands with their summaries.
pub(super) fn help(ctx: &mut Context<'_>, name: &str) {
    let Some(entry) = table().find(name.as_bytes()) else { return ctx.reply.array(0) };
    ctx.reply.array(1 + entry.subcommands.len() * 2);
    let upper = name.to_ascii_uppercase();
    ctx.reply.simple(&format!("{upper} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for sub in &entry.subcommands {
        ctx.reply.simple(&sub.command.name.to_ascii_uppercase());
        ctx.reply.simple(&format!("    {}", sub.command.summary));
    }
}

fn own_help(ctx: &mut Context<'_>) -> Outcome {
    help(ctx, "command");
    Ok(())
}

fn count(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.count(u64::try_from(table().entries().len()).unwrap_or(u64::MAX));
    Ok(())
}

fn info_all(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.array(table().entries().len());
    table().entries().iter().for_each(|entry| describe(&mut ctx.reply, entry));
    Ok(())
}

/// The entry called `name` or `container|name`.
fn named(name: &[u8]) -> Option<&'static Entry> {
    match name.iter().position(|byte| *byte == b'|') {
        Some(bar) => table().find(&name[..bar])?.subcommand(&name[bar + 1..]),
        None => table().find(name),
    }
}

fn info(ctx: &mut Context<'_>) -> Outcome {
    let names = &ctx.args[2..];
    if names.is_empty() {
        return info_all(ctx);
    }
    ctx.reply.array(names.len());
    for name in names {
        match named(name) {
            Some(entry) => describe(&mut ctx.reply, entry),
            None => ctx.reply.null_array(),
        }
    }
    Ok(())
}

fn describe(reply: &mut Reply<'_>, entry: &Entry) {
    let command = entry.command;
    reply.array(10);
    reply.bulk(entry.full_name.as_bytes());
    reply.integer(command.arity.into());
    strings(reply, &flag_names(command));
    let (first, last, step) = legacy_range(command.keys);
    for n in [first, last, step] {
        reply.integer(n);
    }
    strings(reply, &categories(command));
    reply.array(0);
    reply.array(command.keys.len());
    command.keys.iter().for_each(|spec| describe_keys(reply, spec));
    reply.array(entry.subcommands.len());
    entry.subcommands.iter().for_each(|sub| describe(reply, sub));
}

fn strings(reply: &mut Reply<'_>, words: &[&str]) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}

fn flag_names(command: &Command) -> Vec<&'static str> {
    let names = [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::SKIP_MONITOR, "skip_monitor"),
        (Flags::SKIP_SLOWLOG, "skip_slowlog"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_ASYNC_LOADING, "no_async_loading"),
        (Flags::NO_MULTI, "no_multi"),
        (Flags::ALLOW_BUSY, "allow_busy"),
        (Flags::MOVABLEKEYS, "movablekeys"),
        (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (Flags::ARBITRARY_KEYS, "touches_arbitrary_keys"),
    ];
    names.into_iter().filter(|(flag, _)| command.flags.has(*flag)).map(|(_, name)| name).collect()
}

/// The names of the ACL categories, in the order ACL CAT gives them.
pub(super) const CATEGORIES: [&str; 18] = [
    "@keyspace",
    "@read",
    "@write",
    "@set",
    "@sortedset",
    "@list",
    "@hash",
    "@string",
    "@bitmap",
    "@hyperloglog",
    "@pubsub",
    "@admin",
    "@fast",
    "@slow",
    "@blocking",
    "@dangerous",
    "@connection",
    "@transaction",
];

/// The ACL categories that follow from flags and group, as Redis derives them.
pub(super) fn categories(command: &Command) -> Vec<&'static str> {
    let flags = command.flags;
    let mut all = Vec::new();
    for (flag, name) in [
        (Flags::WRITE, "@write"),
        (Flags::READONLY, "@read"),
        (Flags::ADMIN, "@admin"),
        (Flags::PUBSUB, "@pubsub"),
        (Flags::BLOCKING, "@blocking"),
    ] {
        if flags.has(flag) {
            all.push(name);
        }
    }
    all.push(match command.group {
        super::Group::Bitmap => "@bitmap",
        super::Group::Connection => "@connection",
        super::Group::Generic => "@keyspace",
        super::Group::Hash => "@hash",
        super::Group::HyperLogLog => "@hyperloglog",
        super::Group::List => "@list",
        // Commands on whole databases.
        super::Group::Server if flags.has(Flags::WRITE) || flags.has(Flags::READONLY) => {
            "@keyspace"
        }
        // The flag has told already.
        super::Group::PubSub | super::Group::Server => "@server",
        super::Group::Set => "@set",
        super::Group::SortedSet => "@sortedset",
        super::Group::String => "@string",
        super::Group::Transactions => "@transaction",
    });
    all.retain(|name| *name != "@server");
    if flags.has(Flags::ADMIN) || flags.has(Flags::DANGEROUS) {
        all.push("@dangerous");
    }
    all.push(if flags.has(Flags::FAST) { "@fast" } else { "@slow" });
    all
}

/// The first key, the last and the step, for clients that know nothing else.
fn legacy_range(keys: &[KeySpec]) -> (i64, i64, i64) {
    let number = |n: usize| i64::try_from(n).unwrap_or(0);
    let mut range: Option<(i64, i64, i64)> = None;
    for spec in keys {
        let Span::Range { last, step } = spec.span else { return (0, 0, 0) };
        let first = number(spec.first);
        let last = if last < 0 { last.into() } else { first + i64::from(last) };
        range = Some(match range {
            None => (first, last, number(step)),
            Some((begin, _, step)) => (begin, last, step),
        });
    }
    range.unwrap_or_default()
}

fn describe_keys(reply: &mut Reply<'_>, spec: &KeySpec) {
    let number = |n: usize| i64::try_from(n).unwrap_or(0);
    reply.map(3);
    reply.bulk(b"flags");
    strings(reply, &spec.flags.names().collect::<Vec<_>>());
    reply.bulk(b"begin_search");
    typed(reply, "index", &[("index", number(spec.first))]);
    reply.bulk(b"find_keys");
    match spec.span {
        Span::Range { last, step } => typed(
            reply,
            "range",
            &[("lastkey", last.into()), ("keystep", number(step)), ("limit", 0)],
        ),
        Span::Counted => {
            typed(reply, "keynum", &[("keynumidx", 0), ("firstkey", 1), ("keystep", 1)]);
        }
    }
}

fn typed(reply: &mut Reply<'_>, kind: &str, spec: &[(&str, i64)]) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(spec.len());
    for (name, n) in spec {
        reply.bulk(name.as_bytes());
        reply.integer(*n);
    }
}

fn docs(ctx: &mut Context<'_>) -> Outcome {
    let names = &ctx.args[2..];
    let entries: Vec<&Entry> = if names.is_empty() {
        table().entries().iter().collect()
    } else {
        names.iter().filter_map(|name| named(name)).collect()
    };
    ctx.reply.map(entries.len());
    entries.into_iter().for_each(|entry| document(&mut ctx.reply, entry));
    Ok(())
}

fn document(reply: &mut Reply<'_>, entry: &Entry) {
    let command = entry.command;
    reply.bulk(entry.full_name.as_bytes());
    reply.map(4 + usize::from(!entry.subcommands.is_empty()));
    for (field, value) in [
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group.name()),
        ("complexity", command.complexity),
    ] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    if !entry.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(entry.subcommands.len());
        entry.subcommands.iter().for_each(|sub| document(reply, sub));
    }
}

fn list(ctx: &mut Context<'_>) -> Outcome {
    let keep: Box<dyn Fn(&Entry) -> bool> = match &ctx.args[2..] {
        [] => Box::new(|_| true),
        [by, what, value] if by.eq_ignore_ascii_case(b"filterby") => {
            let value = value.to_vec();
            if what.eq_ignore_ascii_case(b"pattern") {
                Box::new(move |e| glob::matches(&value, e.full_name.as_bytes(), Case::Ignored))
            } else if what.eq_ignore_ascii_case(b"aclcat") {
                let wanted = format!("@{}", String::from_utf8_lossy(&value).to_ascii_lowercase());
                Box::new(move |entry| categories(entry.command).contains(&wanted.as_str()))
            } else if what.eq_ignore_ascii_case(b"module") {
                Box::new(|_| false)
            } else {
                return Err(CommandError::Syntax);
            }
        }
        _ => return Err(CommandError::Syntax),
    };
    let mut found = Vec::new();
    for entry in table().entries() {
        let with_subcommands = std::iter::once(entry).chain(&entry.subcommands);
        found.extend(with_subcommands.filter(|entry| keep(entry)));
    }
    ctx.reply.array(found.len());
    found.iter().for_each(|entry| ctx.reply.bulk(entry.full_name.as_bytes()));
    Ok(())
}

/// The keys of the request that follows, with how they are used.
fn keys_of<'a>(ctx: &Context<'a>) -> Result<Vec<(&'a [u8], KeyFlags)>, CommandError> {
    let request = &ctx.args[2..];
    let entry = table()
        .resolve(request[0], request.get(1).copied())
        .ok_or(CommandError::text("ERR Invalid command specified"))?;
    let command = entry.command;
    let is_key = |spec: &KeySpec| !spec.flags.has(KeyFlags::NOT_KEY);
    if !command.keys.iter().any(is_key) && command.keys_of.is_none() {
        return Err(CommandError::text("ERR The command has no key arguments"));
    }
    if !command.accepts(request.len()) {
        return Err(CommandError::text("ERR Invalid number of arguments specified for command"));
    }
    let found = positions(command, request);
    let found = found.ok_or(CommandError::text("ERR Invalid arguments specified for command"))?;
    if found.is_empty() && !command.flags.has(Flags::NO_MANDATORY_KEYS) {
        return Err(CommandError::text("ERR The command has no key arguments"));
    }
    Ok(found.into_iter().map(|(at, flags)| (request[at], flags)).collect())
}

/// Where the keys of a request are, and how they are used.
pub(super) fn positions(command: &Command, request: &[&[u8]]) -> Option<Vec<(usize, KeyFlags)>> {
    match command.keys_of {
        Some(keys_of) => keys_of(request),
        None => from_specs(command.keys, request),
    }
}

fn from_specs(specs: &[KeySpec], request: &[&[u8]]) -> Option<Vec<(usize, KeyFlags)>> {
    let mut found = Vec::new();
    for spec in specs {
        found.extend(spec.positions(request)?.into_iter().map(|at| (at, spec.flags)));
    }
    Some(found)
}

fn getkeys(ctx: &mut Context<'_>) -> Outcome {
    let found = keys_of(ctx)?;
    ctx.reply.array(found.len());
    found.iter().for_each(|(key, _)| ctx.reply.bulk(key));
    Ok(())
}

fn getkeysandflags(ctx: &mut Context<'_>) -> Outcome {
    let found = keys_of(ctx)?;
    ctx.reply.array(found.len());
    for (key, flags) in found {
        ctx.reply.array(2);
        ctx.reply.bulk(key);
        strings(&mut ctx.reply, &flags.names().collect::<Vec<_>>());
    }
    Ok(())
}
