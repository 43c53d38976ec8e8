//! COMMAND and its subcommands: the table, read by clients.

mod docs;

use super::table::{Entry, table};
use super::{Command, CommandError, Flags, Group, KeyFlags, KeySpec, Outcome, keys::Span};
use crate::context::Context;
use crate::glob::{self, Case};
use crate::resp::Reply;

const FLAGS: Flags = Flags::LOADING.and(Flags::STALE);
const ALL: &str = "O(N), N commands";

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new("command", -1, info_all)
    .flags(FLAGS)
    .since("2.8.13")
    .complexity(ALL)
    .summary("Describes every command as clients need it: arity, flags, keys.")
    .subcommands(&[
        sub("count", 2, count, "2.8.13", "Counts the commands."),
        sub("docs", -2, docs::docs, "7.0.0", "Shows what is documented of some or all commands."),
        sub("getkeys", -3, getkeys, "2.8.13", "Says which arguments of a request are keys."),
        sub(
            "getkeysandflags",
            -3,
            getkeysandflags,
            "7.0.0",
            "Says which arguments of a request are keys, and what is done with each.",
        ),
        sub("help", 2, own_help, "5.0.0", "Lists the subcommands."),
        sub("info", -2, info, "2.8.13", "Describes some or all commands: arity, flags, keys."),
        sub("list", -2, list, "7.0.0", "Lists the names of commands."),
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
pub(super) fn named(name: &[u8]) -> Option<&'static Entry> {
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
            None => ctx.reply.null(),
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
    strings(reply, &categories(entry));
    // Hints for proxies of clusters: none.
    reply.set(0);
    reply.set(command.keys.len());
    command.keys.iter().for_each(|spec| describe_keys(reply, spec));
    match entry.subcommands.len() {
        0 => reply.set(0),
        count => reply.array(count),
    }
    entry.subcommands.iter().for_each(|sub| describe(reply, sub));
}

fn strings(reply: &mut Reply<'_>, words: &[&str]) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}

/// True for what writes itself. EXEC does not: the commands it runs do.
fn writes(command: &Command) -> bool {
    command.flags.has(Flags::WRITE) && command.group != Group::Transactions
}

/// The flags by the names COMMAND INFO gives them.
pub(super) fn flag_names(command: &Command) -> Vec<&'static str> {
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
    let is_told = |flag| command.flags.has(flag) && (flag != Flags::WRITE || writes(command));
    names.into_iter().filter(|(flag, _)| is_told(*flag)).map(|(_, name)| name).collect()
}

/// The names of the ACL categories, in the order ACL CAT gives them.
pub(crate) const CATEGORIES: [&str; 19] = [
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
    "@scripting",
];

/// Categories of commands that are not here: rules may name them, as they come from elsewhere.
pub(crate) const ABSENT_CATEGORIES: [&str; 2] = ["@geo", "@stream"];

/// The ACL categories that follow from flags and group, as Redis derives them.
pub(crate) fn categories(entry: &Entry) -> Vec<&'static str> {
    let (command, flags) = (entry.command, entry.command.flags);
    let is_admin = flags.has(Flags::ADMIN) || ["lastsave", "role"].contains(&command.name);
    let mut all = subjects(entry);
    for (is_in, name) in [
        (writes(command), "@write"),
        (flags.has(Flags::READONLY), "@read"),
        (is_admin, "@admin"),
        (flags.has(Flags::PUBSUB), "@pubsub"),
        (flags.has(Flags::BLOCKING), "@blocking"),
        (is_admin || flags.has(Flags::DANGEROUS), "@dangerous"),
    ] {
        if is_in {
            all.push(name);
        }
    }
    all.push(if flags.has(Flags::FAST) { "@fast" } else { "@slow" });
    all
}

/// The categories that say what a command is about.
fn subjects(entry: &Entry) -> Vec<&'static str> {
    let (command, name) = (entry.command, entry.full_name.as_str());
    let container = name.split('|').next().unwrap_or_default();
    match (container, command.group) {
        ("asking" | "command", _) => vec!["@connection"],
        ("function" | "script", _) if name != container => vec!["@scripting"],
        ("sort" | "sort_ro", _) => vec!["@set", "@sortedset", "@list"],
        ("lolwut" | "memory", _) => vec![],
        // What the others hold together tells more.
        _ if !entry.subcommands.is_empty() => vec![],
        (_, Group::Bitmap) => vec!["@bitmap"],
        (_, Group::Connection) => vec!["@connection"],
        (_, Group::Generic) => vec!["@keyspace"],
        (_, Group::Hash) => vec!["@hash"],
        (_, Group::HyperLogLog) => vec!["@hyperloglog"],
        (_, Group::List) => vec!["@list"],
        // Commands on whole databases.
        (_, Group::Server) if writes(command) || command.flags.has(Flags::READONLY) => {
            vec!["@keyspace"]
        }
        // The flags tell.
        (_, Group::PubSub | Group::Server) => vec![],
        (_, Group::Set) => vec!["@set"],
        (_, Group::SortedSet) => vec!["@sortedset"],
        (_, Group::String) => vec!["@string"],
        (_, Group::Transactions) => vec!["@transaction"],
    }
}

/// The first key, the last and the step, for clients that know nothing else.
fn legacy_range(keys: &[KeySpec]) -> (i64, i64, i64) {
    let number = |n: usize| i64::try_from(n).unwrap_or(0);
    let mut range: Option<(i64, i64, i64)> = None;
    for spec in keys {
        let Span::Range { last, step } = spec.span else { continue };
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

fn list(ctx: &mut Context<'_>) -> Outcome {
    let keep: Box<dyn Fn(&Entry) -> bool> = match &ctx.args[2..] {
        [] => Box::new(|_| true),
        [by, what, value] if by.eq_ignore_ascii_case(b"filterby") => {
            let value = value.to_vec();
            if what.eq_ignore_ascii_case(b"pattern") {
                Box::new(move |e| glob::matches(&value, e.full_name.as_bytes(), Case::Ignored))
            } else if what.eq_ignore_ascii_case(b"aclcat") {
                let wanted = format!("@{}", String::from_utf8_lossy(&value).to_ascii_lowercase());
                Box::new(move |entry| categories(entry).contains(&wanted.as_str()))
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
        found.extend(entry.with_subcommands().filter(|entry| keep(entry)));
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

#[cfg(test)]
mod tests {
    use crate::command::testing::Fixture;
    use crate::resp::Protocol;

    fn ask(protocol: Protocol, words: &[&[u8]]) -> String {
        let mut fixture = Fixture::new();
        fixture.client.protocol = protocol;
        String::from_utf8(fixture.call(words)).unwrap().replace("\r\n", " ")
    }

    #[test]
    fn descriptions_have_the_shapes_clients_read() {
        let info: &[&[u8]] = &[b"command", b"info", b"strlen", b"nosuch"];
        assert_eq!(
            ask(Protocol::Resp3, info),
            "*2 *10 $6 strlen :2 ~2 +readonly +fast :1 :1 :1 ~3 +@string +@read +@fast ~0 \
             ~1 %3 $5 flags ~1 +RO $12 begin_search %2 $4 type $5 index $4 spec %1 $5 index :1 \
             $9 find_keys %2 $4 type $5 range $4 spec %3 $7 lastkey :0 $7 keystep :1 $5 limit :0 \
             ~0 _ "
        );
        assert!(ask(Protocol::Resp2, info).ends_with(" *0 $-1 "));
        let docs: &[&[u8]] = &[b"command", b"docs", b"echo", b"nosuch"];
        let fields = "$7 summary $26 Answers with its argument. $5 since $5 1.0.0 \
                      $5 group $10 connection $10 complexity $4 O(1) $9 arguments *1 ";
        let argument = "$4 name $7 message $4 type $6 string $12 display_text $7 message ";
        assert_eq!(ask(Protocol::Resp2, docs), format!("*2 $4 echo *10 {fields}*6 {argument}"));
        assert_eq!(ask(Protocol::Resp3, docs), format!("%1 $4 echo %5 {fields}%3 {argument}"));
    }

    #[test]
    fn categories_are_those_rules_are_written_for() {
        for (category, inside, outside) in [
            ("write", "function|flush", "exec"),
            ("connection", "command|docs", "client"),
            ("dangerous", "info", "time"),
            ("admin", "lastsave", "info"),
            ("keyspace", "flushall", "lolwut"),
            ("sortedset", "sort", "sadd"),
            ("scripting", "function|list", "function"),
        ] {
            let by = [b"command", &b"list"[..], b"filterby", b"aclcat", category.as_bytes()];
            let list = ask(Protocol::Resp2, &by);
            let has = |name: &str| list.contains(&format!(" {name} "));
            assert!(has(inside) && !has(outside), "{category}: {list}");
        }
    }
}
