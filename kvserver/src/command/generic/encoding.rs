//! OBJECT ENCODING: the name the reference server would give to how it keeps a value.
//!
//! Nothing here is kept that way; tools and test suites ask. The reference server chooses by size
//! and limits of its configuration, and so does this, except that it never remembers: a value that
//! has become small again has the small name.

use std::ops::ControlFlow;

use crate::command::{CommandError, zset};
use crate::context::Context;
use crate::data::hashed::HASH_LEN;
use crate::data::{Collection, Direction, Seen, Span, StoreError, Type, WHOLE};
use crate::number::parse_i64;

/// Longest string kept in one allocation with its header.
const EMBEDDED_LEN_MAX: usize = 44;
/// Bytes of a list kept in one piece, by `list-max-listpack-size` of −1 and below.
const LIST_BYTES_MAX: [u64; 5] = [4_096, 8_192, 16_384, 32_768, 65_536];

/// The encoding of what a key holds; `None` if there is nothing.
pub(crate) fn name_at(
    ctx: &mut Context<'_>,
    key: &[u8],
) -> Result<Option<&'static str>, CommandError> {
    match ctx.db().collection(key)? {
        None => Ok(None),
        Some((kind, Some(collection))) => of_collection(ctx, kind, collection).map(Some),
        Some((_, None)) => Ok(ctx.db().get(key)?.map(|stored| of_string(stored.payload()))),
    }
}

/// The encoding of a string with these bytes, had they been SET.
fn of_string(payload: &[u8]) -> &'static str {
    if parse_i64(payload).is_some() {
        "int"
    } else if payload.len() <= EMBEDDED_LEN_MAX {
        "embstr"
    } else {
        "raw"
    }
}

/// The encoding of a collection.
fn of_collection(
    ctx: &mut Context<'_>,
    kind: Type,
    collection: Collection<'_>,
) -> Result<&'static str, CommandError> {
    let limit = |name: &str| ctx.server.parameters.value(name).parse::<i64>().unwrap_or(0);
    let to_usize = |n: i64| usize::try_from(n).unwrap_or(0);
    let limits = |family: &str| {
        let entries = to_usize(limit(&format!("{family}-max-listpack-entries")));
        (entries, to_usize(limit(&format!("{family}-max-listpack-value"))))
    };
    let (small, large, (entries, bytes)) = match kind {
        Type::String => return Ok("raw"),
        Type::Hash => ("listpack", "hashtable", limits("hash")),
        Type::ZSet => ("listpack", "skiplist", limits("zset")),
        Type::Set => {
            let integers = to_usize(limit("set-max-intset-entries"));
            let is_integer = |seen: &Seen<'_>| Ok(parse_i64(name(seen)).is_some());
            if all(ctx, (collection, WHOLE), integers, is_integer)? {
                return Ok("intset");
            }
            ("listpack", "hashtable", limits("set"))
        }
        Type::List => return of_list(ctx, collection, limit("list-max-listpack-size")),
    };
    let is_zset = kind == Type::ZSet;
    let span = if is_zset { zset::BY_NAME } else { WHOLE };
    let is_short = |seen: &Seen<'_>| {
        let name = if is_zset { zset::name_of(seen.sub()) } else { name(seen) };
        let value_len = if kind == Type::Hash { seen.value_with(<[u8]>::len)? } else { 0 };
        Ok(name.len() <= bytes && value_len <= bytes)
    };
    Ok(if all(ctx, (collection, span), entries, is_short)? { small } else { large })
}

fn of_list(
    ctx: &mut Context<'_>,
    list: Collection<'_>,
    limit: i64,
) -> Result<&'static str, CommandError> {
    let (entries, bytes) = match usize::try_from(limit) {
        Ok(entries) => (entries, LIST_BYTES_MAX[1]),
        Err(_) => {
            let at = usize::try_from(limit.unsigned_abs() - 1).unwrap_or(0).min(4);
            (usize::MAX, LIST_BYTES_MAX[at])
        }
    };
    let mut left = bytes;
    let fits = |seen: &Seen<'_>| {
        let len = u64::try_from(seen.value_with(<[u8]>::len)?).unwrap_or(u64::MAX);
        let rest = left.checked_sub(len.saturating_add(2));
        left = rest.unwrap_or(0);
        Ok(rest.is_some())
    };
    Ok(if all(ctx, (list, WHOLE), entries, fits)? { "listpack" } else { "quicklist" })
}

/// True if there are at most so many elements and all are as `f` wants them.
fn all(
    ctx: &mut Context<'_>,
    (collection, span): (Collection<'_>, Span<'_>),
    most: usize,
    mut f: impl FnMut(&Seen<'_>) -> Result<bool, StoreError>,
) -> Result<bool, CommandError> {
    let (mut count, mut holds) = (0, true);
    ctx.db().walk(collection, span, Direction::Ascending, most.saturating_add(1), |seen| {
        count += 1;
        holds = count <= most && f(seen)?;
        Ok(if holds { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(holds)
}

/// The name of a field, or of a member of a set.
fn name<'a>(seen: &Seen<'a>) -> &'a [u8] {
    seen.sub().get(HASH_LEN..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Fixture;

    #[test]
    fn encodings_of_strings_follow_the_bytes() {
        assert_eq!(of_string(b"-12"), "int");
        assert_eq!(of_string(b"012"), "embstr");
        assert_eq!(of_string(&[b'x'; 44]), "embstr");
        assert_eq!(of_string(&[b'x'; 45]), "raw");
    }

    #[test]
    fn encodings_of_other_collections_follow_their_members() {
        let mut fixture = Fixture::new();
        let (just, long) = ("x".repeat(64), "x".repeat(65));
        for (add, remove, small, large) in [
            ("SADD c", "SREM c", "$8 listpack", "$9 hashtable"),
            ("ZADD c 1", "ZREM c", "$8 listpack", "$8 skiplist"),
        ] {
            fixture.run(&format!("{add} {just}"));
            fixture.check(&[("OBJECT ENCODING c", small)]);
            fixture.run(&format!("{add} {long}"));
            fixture.check(&[("OBJECT ENCODING c", large)]);
            fixture.run(&format!("{remove} {just} {long}"));
        }
        fixture.check(&[("RPUSH c a", ":1"), ("OBJECT ENCODING c", "$8 listpack")]);
        fixture.run(&format!("RPUSH c {}", "x".repeat(9_000)));
        fixture.check(&[("OBJECT ENCODING c", "$9 quicklist")]);
    }

    #[test]
    fn encodings_of_hashes_follow_their_size() {
        let mut fixture = Fixture::new();
        let long = "x".repeat(65);
        fixture.check(&[("HSET h a 1", ":1"), ("OBJECT ENCODING h", "$8 listpack")]);
        fixture.run(&format!("HSET h b {long}"));
        fixture.check(&[("OBJECT ENCODING h", "$9 hashtable"), ("HDEL h b", ":1")]);
        for n in 0..128 {
            fixture.check(&[("OBJECT ENCODING h", "$8 listpack")]);
            fixture.run(&format!("HSET h f{n} x"));
        }
        fixture.check(&[("OBJECT ENCODING h", "$9 hashtable")]);
    }
}
