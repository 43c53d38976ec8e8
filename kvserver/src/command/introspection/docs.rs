//! COMMAND DOCS: what is documented of commands, their arguments included.

use super::named;
use crate::command::keys::Span;
use crate::command::syntax::{self, Argument, Form, Kind};
use crate::command::table::{Entry, table};
use crate::command::{KeySpec, Outcome};
use crate::context::Context;
use crate::resp::Reply;

/// `COMMAND DOCS [command …]`
pub(super) fn docs(ctx: &mut Context<'_>) -> Outcome {
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
    let (command, arguments) = (entry.command, syntax::arguments(&entry.full_name));
    reply.bulk(entry.full_name.as_bytes());
    let (takes, contains) = (!arguments.is_empty(), !entry.subcommands.is_empty());
    reply.map(4 + usize::from(takes) + usize::from(contains));
    for (field, value) in [
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group.name()),
        ("complexity", command.complexity),
    ] {
        text(reply, field, value);
    }
    if takes {
        reply.bulk(b"arguments");
        reply.array(arguments.len());
        let mut keys = Keys { specs: command.keys, met: 0 };
        arguments.iter().for_each(|argument| describe(reply, argument, &mut keys));
    }
    if contains {
        reply.bulk(b"subcommands");
        reply.map(entry.subcommands.len());
        entry.subcommands.iter().for_each(|sub| document(reply, sub));
    }
}

/// Which place of keys in the table an argument is.
struct Keys {
    specs: &'static [KeySpec],
    /// Arguments before that are keys.
    met: usize,
}

impl Keys {
    /// That of the next argument that is a key; `None` if the table has none for it.
    fn next(&mut self) -> Option<usize> {
        let at = self.met;
        self.met += 1;
        let of_spec = |spec: &KeySpec| match spec.span {
            // Several arguments share it.
            Span::Range { last, step } => usize::try_from(last).unwrap_or(0) / step.max(1) + 1,
            Span::Counted => 1,
        };
        let mut before = 0;
        self.specs.iter().position(|spec| {
            before += of_spec(spec);
            at < before
        })
    }
}

fn text(reply: &mut Reply<'_>, field: &str, value: &str) {
    reply.bulk(field.as_bytes());
    reply.bulk(value.as_bytes());
}

fn describe(reply: &mut Reply<'_>, argument: &Argument, keys: &mut Keys) {
    let key = (argument.form == Form::Value(Kind::Key)).then(|| keys.next()).flatten();
    let (parts, kind) = match &argument.form {
        Form::Value(kind) => (None, kind_name(*kind)),
        Form::Token => (None, "pure-token"),
        Form::OneOf(parts) => (Some(parts), "oneof"),
        Form::Block(parts) => (Some(parts), "block"),
    };
    let flags: Vec<&str> = [
        (argument.is_optional, "optional"),
        (argument.is_multiple, "multiple"),
        (argument.repeats_token, "multiple_token"),
    ]
    .into_iter()
    .filter_map(|(is_so, name)| is_so.then_some(name))
    .collect();
    // Either parts or a text to show.
    let more = [key.is_some(), argument.token.is_some(), !flags.is_empty()];
    reply.map(3 + more.into_iter().filter(|is_there| *is_there).count());
    text(reply, "name", &argument.name);
    text(reply, "type", kind);
    if parts.is_none() {
        text(reply, "display_text", &argument.name);
    }
    if let Some(index) = key {
        reply.bulk(b"key_spec_index");
        reply.count(u64::try_from(index).unwrap_or(0));
    }
    if let Some(token) = argument.token {
        text(reply, "token", token);
    }
    if !flags.is_empty() {
        reply.bulk(b"flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    if let Some(parts) = parts {
        reply.bulk(b"arguments");
        reply.array(parts.len());
        parts.iter().for_each(|part| describe(reply, part, keys));
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "string",
        Kind::Integer => "integer",
        Kind::Double => "double",
        Kind::Key => "key",
        Kind::Pattern => "pattern",
        Kind::UnixTime => "unix-time",
    }
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Fixture;

    fn arguments(name: &[u8]) -> String {
        let mut fixture = Fixture::new();
        let reply = fixture.call(&[b"COMMAND", b"DOCS", name]);
        let reply = String::from_utf8(reply).unwrap().replace("\r\n", " ");
        reply.split_once("$9 arguments ").unwrap().1.trim_end().to_owned()
    }

    fn value(name: &str, kind: &str, more: &str) -> String {
        let shown = format!("${0} {name}", name.len());
        format!("$4 name {shown} $4 type ${0} {kind} $12 display_text {shown}{more}", kind.len())
    }

    #[test]
    fn keys_tell_their_place_in_the_table() {
        let key = |name, index| value(name, "key", &format!(" $14 key_spec_index :{index}"));
        assert_eq!(
            arguments(b"lcs").split(" *10 ").next(),
            Some(&*format!("*6 *8 {} *8 {}", key("key1", 0), key("key2", 0)))
        );
        assert!(arguments(b"rename").ends_with(&key("newkey", 1)));
        let many = format!("*10 {} $5 flags *1 +multiple", key("key", 1));
        assert!(arguments(b"zunionstore").contains(&many));
        // It is found by its option, which no place in the table says.
        assert!(arguments(b"sort").ends_with("$5 token $5 STORE $5 flags *1 +optional"));
        assert_eq!(arguments(b"sort").matches("key_spec_index").count(), 1);
    }

    #[test]
    fn groups_hold_their_parts() {
        let limit = format!(
            "*10 $4 name $5 limit $4 type $5 block $5 token $5 LIMIT $5 flags *1 +optional \
             $9 arguments *2 *6 {} *6 {}",
            value("offset", "integer", ""),
            value("count", "integer", "")
        );
        assert!(arguments(b"zrangebylex").ends_with(&limit));
        let token = |name: &str, token: &str| {
            format!(
                "*8 {}",
                value(name, "pure-token", &format!(" $5 token ${0} {token}", token.len()))
            )
        };
        let choice = format!(
            "*6 $4 name $15 before-or-after $4 type $5 oneof $9 arguments *2 {} {}",
            token("before", "BEFORE"),
            token("after", "AFTER")
        );
        assert!(arguments(b"linsert").contains(&choice));
        assert!(
            arguments(b"sort").contains("$3 GET $5 flags *3 +optional +multiple +multiple_token")
        );
    }
}
