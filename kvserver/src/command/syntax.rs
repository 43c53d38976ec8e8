//! What follows the name of a command: written as people write it, parsed for clients that complete
//! and check what is typed (`COMMAND DOCS`).
//!
//! `WORD` stands for itself, `word` for a value whose type follows from its name or is written
//! behind it (`word:double`). `[…]` may be left out, `<a | b>` is a choice, and `…` repeats: in
//! `key [key ...]` what stands before the bracket, in `[key ...]` all in the bracket, elsewhere
//! what stands before it. A word that begins a group with values is their token.
//!
//! Knows texts. Does not know what commands do with their arguments.

mod rows;

use std::iter::Peekable;
use std::vec::IntoIter;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
}

/// What an argument is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Value(Kind),
    /// Its token, and nothing more.
    Token,
    OneOf(Vec<Argument>),
    /// All of these.
    Block(Vec<Argument>),
}

/// An argument, or several that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) form: Form,
    /// The word before it.
    pub(crate) token: Option<&'static str>,
    pub(crate) is_optional: bool,
    pub(crate) is_multiple: bool,
    /// The token comes again each time.
    pub(crate) repeats_token: bool,
}

/// The syntax of a command by its full name, without the name; empty if nothing follows it.
pub(crate) fn text(full_name: &str) -> &'static str {
    let found = rows::ROWS.binary_search_by_key(&full_name, |(name, _)| name);
    found.map_or("", |at| rows::ROWS[at].1)
}

/// The same for people, without types.
#[cfg(test)]
pub(crate) fn shown(full_name: &str) -> String {
    let words = text(full_name).split(' ').map(|word| word.split(':').next().unwrap_or(word));
    words.collect::<Vec<_>>().join(" ")
}

/// The arguments of a command by its full name.
pub(crate) fn arguments(full_name: &str) -> Vec<Argument> {
    parse(text(full_name))
}

fn parse(text: &'static str) -> Vec<Argument> {
    Parser { marks: marks(text).into_iter().peekable() }.sequence().0
}

/// Words, brackets, bars and dots.
fn marks(text: &'static str) -> Vec<&'static str> {
    let mut marks = Vec::new();
    for mut word in text.split_ascii_whitespace() {
        while let Some(rest) = word.strip_prefix(['[', '<']) {
            marks.push(&word[..1]);
            word = rest;
        }
        let end = word.find([']', '>']).unwrap_or(word.len());
        if end > 0 {
            marks.push(&word[..end]);
        }
        marks.extend((end..word.len()).map(|at| &word[at..=at]));
    }
    marks
}

struct Parser {
    marks: Peekable<IntoIter<&'static str>>,
}

impl Parser {
    /// What comes up to the end of a group or of an alternative; and whether it ends with dots, in
    /// a bracket all of it is repeated then.
    fn sequence(&mut self) -> (Vec<Argument>, bool) {
        let mut found = Vec::new();
        while let Some(mark) = self.marks.next_if(|mark| !matches!(*mark, "]" | ">" | "|")) {
            match mark {
                "[" => self.bracket(&mut found),
                "<" => found.push(one_of(self.alternatives().0)),
                "..." if self.marks.peek() == Some(&"]") => return (found, true),
                "..." => found.iter_mut().next_back().into_iter().for_each(repeat),
                word => found.push(Argument::word(word)),
            }
        }
        (found, false)
    }

    /// The alternatives of a group, the end of which is passed over.
    fn alternatives(&mut self) -> (Vec<Vec<Argument>>, bool) {
        let mut found = Vec::new();
        loop {
            let (sequence, repeats) = self.sequence();
            found.push(sequence);
            if self.marks.next() != Some("|") {
                return (found, repeats);
            }
        }
    }

    /// What may be left out; or what was there already, once more.
    fn bracket(&mut self, before: &mut Vec<Argument>) {
        let (mut alternatives, repeats) = self.alternatives();
        if repeats && alternatives.len() == 1 && before.ends_with(&alternatives[0]) {
            let again = alternatives.swap_remove(0);
            before.truncate(before.len() - again.len());
            before.push(repeated(again));
            return;
        }
        let all =
            |sequence: Vec<Argument>| if repeats { repeated(sequence) } else { group(sequence) };
        let mut argument = if alternatives.len() == 1 {
            all(alternatives.swap_remove(0))
        } else {
            one_of(alternatives)
        };
        argument.is_optional = true;
        before.push(argument);
    }
}

fn repeat(argument: &mut Argument) {
    argument.is_multiple = true;
}

fn repeated(sequence: Vec<Argument>) -> Argument {
    let mut all = group(sequence);
    repeat(&mut all);
    all.repeats_token = all.token.is_some() && all.form != Form::Token;
    all
}

fn one_of(alternatives: Vec<Vec<Argument>>) -> Argument {
    let all: Vec<Argument> = alternatives.into_iter().map(group).collect();
    let names: Vec<&str> = all.iter().map(|argument| argument.name.as_str()).collect();
    Argument::new(names.join("-or-"), Form::OneOf(all))
}

/// Makes one argument of what belongs together.
fn group(mut sequence: Vec<Argument>) -> Argument {
    let begins_with_token = sequence.first().is_some_and(Argument::is_bare_token);
    if sequence.len() == 1 {
        return sequence.remove(0);
    }
    let token = if begins_with_token { sequence.remove(0).token } else { None };
    let is_simple = |argument: &Argument| argument.token.is_none() && !argument.is_optional;
    let mut all = if sequence.len() == 1 && token.is_some() && is_simple(&sequence[0]) {
        sequence.remove(0)
    } else {
        let needed = sequence.iter().filter(|argument| !argument.is_optional);
        let names: Vec<&str> = needed.map(|argument| argument.name.as_str()).collect();
        let name = token.map_or_else(|| names.join("-"), str::to_ascii_lowercase);
        Argument::new(name, Form::Block(sequence))
    };
    all.token = token;
    all
}

impl Argument {
    fn new(name: String, form: Form) -> Self {
        Argument {
            name,
            form,
            token: None,
            is_optional: false,
            is_multiple: false,
            repeats_token: false,
        }
    }
    fn word(word: &'static str) -> Self {
        let (name, kind) = word.split_once(':').unwrap_or((word, ""));
        if name.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Argument::new(name.to_owned(), Form::Value(kind_of(name, kind)));
        }
        let token = Argument::new(name.to_ascii_lowercase(), Form::Token);
        Argument { token: Some(name), ..token }
    }
    fn is_bare_token(&self) -> bool {
        self.form == Form::Token && !self.is_optional && !self.is_multiple
    }
}

/// The type that is written behind a name, or that the name means.
fn kind_of(name: &str, written: &str) -> Kind {
    match (written, name) {
        ("double", _) => Kind::Double,
        ("string", _) => Kind::Text,
        ("", "pattern") => Kind::Pattern,
        ("", "unix-time-seconds" | "unix-time-milliseconds") => Kind::UnixTime,
        ("", "score" | "timeout" | "weight") => Kind::Double,
        ("", "key" | "key1" | "key2" | "newkey" | "source" | "destination" | "destkey") => {
            Kind::Key
        }
        ("", "sourcekey") => Kind::Key,
        ("integer", _) => Kind::Integer,
        ("", name) if INTEGERS.contains(&name) => Kind::Integer,
        _ => Kind::Text,
    }
}

/// Values that are whole numbers.
const INTEGERS: [&str; 32] = [
    "bit",
    "client-id",
    "count",
    "cursor",
    "db",
    "decrement",
    "end",
    "increment",
    "index",
    "index1",
    "index2",
    "len",
    "limit",
    "max-age",
    "max-len",
    "milliseconds",
    "numkeys",
    "numlocal",
    "numreplicas",
    "offset",
    "port",
    "protover",
    "rank",
    "seconds",
    "slot",
    "start",
    "stop",
    "timeout-milliseconds",
    "num-matches",
    "bits",
    "version",
    "number",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::keys::Span;
    use crate::command::table::{Entry, table};

    fn entries() -> impl Iterator<Item = &'static Entry> {
        table().entries().iter().flat_map(Entry::with_subcommands)
    }

    /// The least number of words, and whether there are never more.
    fn words(argument: &Argument) -> (usize, bool) {
        let token = usize::from(argument.token.is_some());
        let (least, is_exact) = match &argument.form {
            Form::Value(_) => (1 + token, true),
            Form::Token => (1, true),
            Form::Block(all) => sum(all, token),
            Form::OneOf(all) => {
                let counts: Vec<_> = all.iter().map(words).collect();
                let least = counts.iter().map(|(least, _)| *least).min().unwrap_or(0);
                (least + token, counts.iter().all(|count| *count == (least, true)))
            }
        };
        let varies = argument.is_optional || argument.is_multiple;
        (if argument.is_optional { 0 } else { least }, is_exact && !varies)
    }
    fn sum(all: &[Argument], begin: usize) -> (usize, bool) {
        all.iter().map(words).fold((begin, true), |sum, one| (sum.0 + one.0, sum.1 && one.1))
    }

    #[test]
    fn every_syntax_is_of_a_command_and_in_order() {
        assert!(rows::ROWS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let names: Vec<&str> = entries().map(|entry| entry.full_name.as_str()).collect();
        let unknown = rows::ROWS.iter().find(|(name, _)| !names.contains(name));
        assert_eq!(unknown, None);
    }

    #[test]
    fn every_syntax_has_as_many_words_as_its_command_takes() {
        let mut wrong = Vec::new();
        // QUIT passes by whatever follows it.
        let takes_some = |entry: &&Entry| entry.subcommands.is_empty() && entry.full_name != "quit";
        for entry in entries().filter(takes_some) {
            let name = &entry.full_name;
            let (least, is_exact) = sum(&arguments(name), name.split('|').count());
            let arity = i64::try_from(least).unwrap() * if is_exact { 1 } else { -1 };
            if arity != i64::from(entry.command.arity) {
                wrong.push((name, text(name), entry.command.arity));
            }
        }
        assert_eq!(wrong, []);
    }

    #[test]
    fn keys_are_where_the_table_has_them() {
        for entry in entries().filter(|entry| !entry.command.keys.is_empty()) {
            let (name, first) = (&entry.full_name, entry.command.keys[0]);
            let mut at = name.split('|').count();
            let mut found = None;
            for argument in arguments(name) {
                if has_key(&argument) {
                    found = Some(at);
                    break;
                }
                at += words(&argument).0;
            }
            if first.flags.has(crate::command::KeyFlags::NOT_KEY) {
                continue;
            }
            let expected = first.first + usize::from(matches!(first.span, Span::Counted));
            assert_eq!(found, Some(expected), "{name} {}", text(name));
        }
    }
    fn has_key(argument: &Argument) -> bool {
        match &argument.form {
            Form::Value(kind) => *kind == Kind::Key,
            Form::Token => false,
            Form::OneOf(all) | Form::Block(all) => all.iter().any(has_key),
        }
    }

    fn value(name: &str, kind: Kind) -> Argument {
        Argument::new(name.to_owned(), Form::Value(kind))
    }

    #[test]
    fn what_stands_before_a_bracket_is_repeated_by_it() {
        let keys = Argument { is_multiple: true, ..value("key", Kind::Key) };
        assert_eq!(parse("key [key ...]"), std::slice::from_ref(&keys));
        assert_eq!(parse("[key ...]"), [Argument { is_optional: true, ..keys }]);
        let pair = vec![value("score", Kind::Double), value("member", Kind::Text)];
        let pairs = Argument::new("score-member".to_owned(), Form::Block(pair));
        let pairs = Argument { is_multiple: true, ..pairs };
        assert_eq!(parse("score member [score member ...]"), [pairs]);
    }

    #[test]
    fn a_word_that_begins_a_group_is_its_token() {
        let get = Argument {
            token: Some("GET"),
            is_optional: true,
            is_multiple: true,
            repeats_token: true,
            ..value("pattern", Kind::Pattern)
        };
        assert_eq!(parse("[GET pattern [GET pattern ...]]"), [get]);
        let weights = Argument {
            token: Some("WEIGHTS"),
            is_optional: true,
            is_multiple: true,
            ..value("weight", Kind::Double)
        };
        assert_eq!(parse("[WEIGHTS weight [weight ...]]"), [weights]);
        let both = vec![value("offset", Kind::Integer), value("count", Kind::Integer)];
        let limit = Argument::new("limit".to_owned(), Form::Block(both));
        let limit = Argument { token: Some("LIMIT"), is_optional: true, ..limit };
        assert_eq!(parse("[LIMIT offset count]"), [limit]);
    }

    #[test]
    fn choices_are_named_by_what_there_is_to_choose() {
        let [choice] = &parse("<BEFORE | AFTER number:string>")[..] else { panic!("one") };
        assert_eq!((choice.name.as_str(), choice.is_optional), ("before-or-number", false));
        let Form::OneOf(all) = &choice.form else { panic!("a choice") };
        assert_eq!((&all[0].form, all[1].token), (&Form::Token, Some("AFTER")));
        assert_eq!(all[1].form, Form::Value(Kind::Text));
    }
}
