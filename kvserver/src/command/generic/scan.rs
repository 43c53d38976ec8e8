//! Finding keys: SCAN, KEYS and RANDOMKEY.

use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::glob::{self, Case};
use crate::number::{parse_i64, parse_u64};

/// Keys a step of SCAN looks at unless told otherwise.
const COUNT_DEFAULT: usize = 10;

/// The options of SCAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Options<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(words: &[&'a [u8]]) -> Result<Self, CommandError> {
        let mut options = Options { count: COUNT_DEFAULT, pattern: None, kind: None };
        let (pairs, rest) = words.as_chunks::<2>();
        for [word, value] in pairs {
            if word.eq_ignore_ascii_case(b"COUNT") {
                let count = parse_i64(value).ok_or(CommandError::NotInteger)?;
                let count = usize::try_from(count).ok().filter(|count| *count > 0);
                options.count = count.ok_or(CommandError::Syntax)?;
            } else if word.eq_ignore_ascii_case(b"MATCH") {
                options.pattern = pattern(value);
            } else if word.eq_ignore_ascii_case(b"TYPE") {
                options.kind = Some(value);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if rest.is_empty() { Ok(options) } else { Err(CommandError::Syntax) }
    }
}

/// `None` where everything matches.
fn pattern(text: &[u8]) -> Option<&[u8]> {
    (text != b"*").then_some(text)
}

fn fits(pattern: Option<&[u8]>, key: &[u8]) -> bool {
    pattern.is_none_or(|pattern| glob::matches(pattern, key, Case::Sensitive))
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`
///
/// The cursor is digits only: the reference server also takes a sign or nothing at all.
/// COUNT bounds the keys looked at; the filters come after it, so a step may answer none.
pub(super) fn scan(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let cursor = parse_u64(args[1]).ok_or(CommandError::InvalidCursor)?;
    let options = Options::parse(&args[2..])?;
    let (mut keys, next) = ctx.db().scan(cursor, options.count)?;
    keys.retain(|key| fits(options.pattern, key));
    if let Some(kind) = options.kind {
        keys = of_kind(ctx, keys, kind)?;
    }
    ctx.reply.array(2);
    ctx.reply.bulk(next.to_string().as_bytes());
    reply_keys(ctx, &keys);
    Ok(())
}

fn of_kind(
    ctx: &mut Context<'_>,
    keys: Vec<Vec<u8>>,
    name: &[u8],
) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut kept = Vec::with_capacity(keys.len());
    for key in keys {
        let kind = ctx.db().kind(&key)?;
        if kind.is_some_and(|kind| kind.name().as_bytes().eq_ignore_ascii_case(name)) {
            kept.push(key);
        }
    }
    Ok(kept)
}

/// `KEYS pattern`
pub(super) fn keys(ctx: &mut Context<'_>) -> Outcome {
    let pattern = pattern(ctx.args[1]);
    let mut found = Vec::new();
    ctx.db().for_each_key(|key| {
        if fits(pattern, key) {
            found.push(key.to_vec());
        }
    })?;
    reply_keys(ctx, &found);
    Ok(())
}

/// `RANDOMKEY`
pub(super) fn randomkey(ctx: &mut Context<'_>) -> Outcome {
    let seed = ctx.rng.u64(..);
    let key = ctx.db().random(seed)?;
    ctx.reply.bulk_or_null(key.as_deref());
    Ok(())
}

fn reply_keys(ctx: &mut Context<'_>, keys: &[Vec<u8>]) {
    ctx.reply.array(keys.len());
    keys.iter().for_each(|key| ctx.reply.bulk(key));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'a>(words: &[&'a str]) -> Result<Options<'a>, String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        Options::parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn scan_options_come_in_any_order_and_the_last_counts() {
        let options =
            parse(&["type", "string", "COUNT", "5", "match", "a*", "count", "7"]).unwrap();
        assert_eq!(options.count, 7);
        assert_eq!(options.pattern, Some(&b"a*"[..]));
        assert_eq!(options.kind, Some(&b"string"[..]));
        assert_eq!(parse(&["MATCH", "*"]).unwrap().pattern, None);
    }

    #[test]
    fn bad_scan_options_are_refused() {
        let syntax = Err("ERR syntax error".to_owned());
        for words in [&["COUNT", "0"][..], &["COUNT", "-1"], &["COUNT"], &["what", "1"]] {
            assert_eq!(parse(words), syntax, "{words:?}");
        }
        let integer = Err("ERR value is not an integer or out of range".to_owned());
        assert_eq!(parse(&["COUNT", "x"]), integer);
    }
}
