//! SORT and SORT_RO: the elements of a list, set or sorted set by weights, which may be elsewhere.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use crate::command::acl::may_read_all;
use crate::command::arguments::integer;
use crate::command::list::End;
use crate::command::{CommandError, KeyFlags, Outcome, check_key, list, zset};
use crate::context::Context;
use crate::data::hashed::HASH_LEN;
use crate::data::{Class, Collection, Db, Direction, Expiry, Type, WHOLE};
use crate::double;

const NOT_NUMBERS: CommandError =
    CommandError::text("ERR One or more scores can't be converted into double");

const BY_DENIED: CommandError =
    CommandError::text("ERR BY option of SORT denied due to insufficient ACL permissions.");
const GET_DENIED: CommandError =
    CommandError::text("ERR GET option of SORT denied due to insufficient ACL permissions.");

/// A pattern that names a key, or a field of one, for each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// What stands before and behind the element in the key, and the field of the hash it holds.
    Key { before: &'a [u8], behind: &'a [u8], field: Option<&'a [u8]> },
    /// Without a place for the element: nothing.
    Nothing,
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Self {
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = text.iter().position(|byte| *byte == b'*') else {
            return Pattern::Nothing;
        };
        let (before, rest) = (&text[..star], &text[star + 1..]);
        let arrow = rest.windows(2).position(|pair| pair == b"->");
        match arrow.filter(|at| at + 2 < rest.len()) {
            Some(at) => Pattern::Key { before, behind: &rest[..at], field: Some(&rest[at + 2..]) },
            None => Pattern::Key { before, behind: rest, field: None },
        }
    }

    /// What it names for an element; `None` if there is no such string.
    fn look_up(self, db: &mut Db<'_>, element: &[u8]) -> Result<Option<Vec<u8>>, CommandError> {
        let (before, behind, field) = match self {
            Pattern::Element => return Ok(Some(element.to_vec())),
            Pattern::Nothing => return Ok(None),
            Pattern::Key { before, behind, field } => (before, behind, field),
        };
        let key = [before, element, behind].concat();
        let Some(field) = field else {
            let stored = db.get(&key)?.filter(|stored| stored.kind() == Type::String);
            return Ok(stored.map(|stored| stored.payload().to_vec()));
        };
        match db.collection(&key)? {
            Some((Type::Hash, Some(hash))) => {
                let sub = db.hashed(&[], field);
                Ok(db.element(hash, &sub)?.map(|value| value.to_vec()))
            }
            _ => Ok(None),
        }
    }
}

/// What is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By<'a> {
    Element,
    Pattern(Pattern<'a>),
    /// A pattern without a place for the element: the order stays.
    Nothing,
}

/// Where the result may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    /// To the client, or into a key.
    Any,
    /// To the client only.
    Reply,
}

/// Keys that the client may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// All there are, as patterns may name any.
    All,
    /// Those that its arguments name, at most.
    Own,
}

/// A request, read.
#[derive(Clone, Debug)]
struct Request<'a> {
    by: By<'a>,
    get: Vec<Pattern<'a>>,
    descends: bool,
    by_text: bool,
    offset: i64,
    /// Negative is all.
    count: i64,
    store: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    fn parse(
        words: &[&'a [u8]],
        destination: Destination,
        keys: Keys,
    ) -> Result<Self, CommandError> {
        let mut request = Request {
            by: By::Element,
            get: Vec::new(),
            descends: false,
            by_text: false,
            offset: 0,
            count: -1,
            store: None,
        };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let left = words.len();
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            let mut next = || words.next().ok_or(CommandError::Syntax);
            if is("ASC") {
                request.descends = false;
            } else if is("DESC") {
                request.descends = true;
            } else if is("ALPHA") {
                request.by_text = true;
            } else if is("LIMIT") && left >= 2 {
                request.offset = integer(next()?)?;
                request.count = integer(next()?)?;
            } else if destination == Destination::Any && is("STORE") {
                request.store = Some(next()?);
            } else if is("BY") {
                let pattern = next()?;
                request.by = match pattern.contains(&b'*') {
                    true if keys == Keys::Own => return Err(BY_DENIED),
                    true => By::Pattern(Pattern::parse(pattern)),
                    false => By::Nothing,
                };
            } else if is("GET") {
                if keys == Keys::Own {
                    return Err(GET_DENIED);
                }
                request.get.push(Pattern::parse(next()?));
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(request)
    }

    /// The part of `len` elements that is wanted.
    fn part(&self, len: usize) -> std::ops::Range<usize> {
        let start = usize::try_from(self.offset.max(0)).unwrap_or(usize::MAX).min(len);
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(len)
    }
}

/// `SORT key [BY pattern] [LIMIT offset count] [GET pattern …] [ASC | DESC] [ALPHA] [STORE key]`
pub(super) fn sort(ctx: &mut Context<'_>) -> Outcome {
    sort_with(ctx, Destination::Any)
}

/// `SORT_RO`, the same without STORE
pub(super) fn sort_ro(ctx: &mut Context<'_>) -> Outcome {
    sort_with(ctx, Destination::Reply)
}

/// The keys of SORT that its arguments name; the last STORE counts.
pub(super) fn sort_keys(args: &[&[u8]]) -> Option<Vec<(usize, KeyFlags)>> {
    let mut keys = vec![(1, KeyFlags::RO.and(KeyFlags::ACCESS))];
    let mut store = None;
    let mut at = 2;
    while let Some(word) = args.get(at) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        at += match () {
            () if is("LIMIT") => 3,
            () if is("BY") || is("GET") => 2,
            () if is("STORE") => {
                store = (at + 1 < args.len()).then_some(at + 1);
                2
            }
            () => 1,
        };
    }
    keys.extend(store.map(|at| (at, KeyFlags::OW.and(KeyFlags::UPDATE))));
    Some(keys)
}

fn sort_with(ctx: &mut Context<'_>, destination: Destination) -> Outcome {
    let args = ctx.args;
    let keys = if may_read_all(ctx) { Keys::All } else { Keys::Own };
    let mut request = Request::parse(&args[2..], destination, keys)?;
    let mut elements = elements(ctx, args[1], &mut request)?;
    let mut db = ctx.db();
    if request.by != By::Nothing {
        elements = sorted(&mut db, elements, &request)?;
    }
    let part = request.part(elements.len());
    let mut results: Vec<Option<Vec<u8>>> = Vec::new();
    for element in elements.drain(part) {
        if request.get.is_empty() {
            results.push(Some(element));
        } else {
            for pattern in &request.get {
                results.push(pattern.look_up(&mut db, &element)?);
            }
        }
    }
    match request.store {
        Some(key) => store(ctx, key, results),
        None => {
            ctx.reply.array(results.len());
            results.iter().for_each(|result| ctx.reply.bulk_or_null(result.as_deref()));
            Ok(())
        }
    }
}

/// The elements of what a key holds, in its own order, or the wanted one where that is the same.
fn elements(
    ctx: &mut Context<'_>,
    key: &[u8],
    request: &mut Request<'_>,
) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut db = ctx.db();
    let (kind, collection) = match db.collection(key)? {
        None => return Ok(Vec::new()),
        Some((kind @ (Type::List | Type::Set | Type::ZSet), Some(collection))) => {
            (kind, collection)
        }
        Some(_) => return Err(CommandError::WrongType),
    };
    if kind == Type::Set && request.by == By::Nothing && request.store.is_some() {
        // What is stored must have an order.
        (request.by, request.by_text) = (By::Element, true);
    }
    // What has an order, and is not sorted, has it the other way round.
    let is_reverse = request.by == By::Nothing && request.descends && kind != Type::Set;
    let direction = if is_reverse { Direction::Descending } else { Direction::Ascending };
    match kind {
        Type::ZSet => Ok(zset::members(&mut db, collection, direction)?),
        _ => walk(&mut db, kind, collection, direction),
    }
}

fn walk(
    db: &mut Db<'_>,
    kind: Type,
    collection: Collection<'_>,
    direction: Direction,
) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut elements = Vec::new();
    db.walk(collection, WHOLE, direction, usize::MAX, |seen| {
        elements.push(match kind {
            Type::Set => seen.sub().get(HASH_LEN..).unwrap_or_default().to_vec(),
            _ => seen.value_with(<[u8]>::to_vec)?,
        });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(elements)
}

/// What an element is compared by.
#[derive(Debug, PartialEq)]
enum Weight {
    Number(f64),
    Text(Option<Vec<u8>>),
}

fn sorted(
    db: &mut Db<'_>,
    elements: Vec<Vec<u8>>,
    request: &Request<'_>,
) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut weighed = Vec::with_capacity(elements.len());
    for element in elements {
        let text = match request.by {
            By::Pattern(pattern) => pattern.look_up(db, &element)?,
            By::Element | By::Nothing => Some(element.clone()),
        };
        let weight = match (request.by_text, text) {
            (true, text) => Weight::Text(text),
            (false, None) => Weight::Number(0.0),
            (false, Some(text)) => Weight::Number(number(&text)?),
        };
        weighed.push((weight, element));
    }
    weighed.sort_by(|a, b| {
        let order = compare(a, b);
        if request.descends { order.reverse() } else { order }
    });
    Ok(weighed.into_iter().map(|(_, element)| element).collect())
}

/// As C reads numbers: nothing is zero, and space before one does not count.
fn number(text: &[u8]) -> Result<f64, CommandError> {
    if text.is_empty() {
        return Ok(0.0);
    }
    double::parse(text.trim_ascii_start()).ok_or(NOT_NUMBERS)
}

fn compare(a: &(Weight, Vec<u8>), b: &(Weight, Vec<u8>)) -> Ordering {
    match (&a.0, &b.0) {
        // Equal numbers leave it to the elements; no weight is less than any text.
        (Weight::Number(x), Weight::Number(y)) => {
            x.partial_cmp(y).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(&b.1))
        }
        (Weight::Text(x), Weight::Text(y)) => x.cmp(y),
        _ => Ordering::Equal,
    }
}

/// Makes a list of the results in place of whatever the key holds.
fn store(ctx: &mut Context<'_>, key: &[u8], results: Vec<Option<Vec<u8>>>) -> Outcome {
    let mut db = ctx.db();
    let values: Vec<Vec<u8>> = results.into_iter().map(Option::unwrap_or_default).collect();
    if values.is_empty() {
        if db.delete(key)? {
            db.tell(Class::Generic, "del", key);
        }
    } else {
        check_key(key)?;
        let made = db.create(key, Type::List, Expiry::None)?;
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        list::push(&mut db, made, End::Right, &values)?;
        db.tell(Class::List, "sortstore", key);
    }
    ctx.reply.count(u64::try_from(values.len()).unwrap_or(u64::MAX));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Fixture;

    #[test]
    fn patterns_name_keys_and_fields() {
        let key = |before, behind, field| Pattern::Key { before, behind, field };
        assert_eq!(Pattern::parse(b"#"), Pattern::Element);
        assert_eq!(Pattern::parse(b"w_*"), key(b"w_", b"", None));
        assert_eq!(Pattern::parse(b"w_*_x->f"), key(b"w_", b"_x", Some(b"f")));
        assert_eq!(Pattern::parse(b"w_*->"), key(b"w_", b"->", None));
        assert_eq!(Pattern::parse(b"plain"), Pattern::Nothing);
    }

    #[test]
    fn elements_are_sorted_by_themselves_and_by_what_is_elsewhere() {
        let mut fixture = Fixture::new();
        fixture.check(&[
            ("RPUSH l 3 1 2 10", ":4"),
            ("SORT l", "*4 $1 1 $1 2 $1 3 $2 10"),
            ("SORT l DESC", "*4 $2 10 $1 3 $1 2 $1 1"),
            ("SORT l ALPHA", "*4 $1 1 $2 10 $1 2 $1 3"),
            ("SORT l LIMIT 1 2", "*2 $1 2 $1 3"),
            ("SORT l LIMIT 9 2", "*0"),
            ("SORT l LIMIT -1 2", "*2 $1 1 $1 2"),
            ("MSET w_1 3 w_2 2 w_3 1 w_10 0", "+OK"),
            ("SORT l BY w_*", "*4 $2 10 $1 3 $1 2 $1 1"),
            ("SORT l BY nothing", "*4 $1 3 $1 1 $1 2 $2 10"),
            ("SORT l BY nothing DESC", "*4 $2 10 $1 2 $1 1 $1 3"),
            ("SORT l BY nothing DESC LIMIT 1 2", "*2 $1 2 $1 1"),
            (
                "SORT l BY w_* GET # GET w_* GET x_*",
                "*12 $2 10 $1 0 $-1 $1 3 $1 1 $-1 $1 2 $1 2 $-1 $1 1 $1 3 $-1",
            ),
            ("HSET h_1 w 9 t a", ":2"),
            ("HSET h_2 w 8 t b", ":2"),
            ("SORT l BY h_*->w GET h_*->t LIMIT 2 2", "*2 $1 b $1 a"),
            ("SORT l STORE d", ":4"),
            ("LRANGE d 0 -1", "*4 $1 1 $1 2 $1 3 $2 10"),
            ("SORT none STORE d", ":0"),
            ("EXISTS d", ":0"),
            ("SORT_RO l LIMIT 0 1", "*1 $1 1"),
            ("SORT_RO l STORE d", "-ERR syntax error"),
            ("SORT l what", "-ERR syntax error"),
            ("SADD s c a b", ":3"),
            ("SORT s ALPHA", "*3 $1 a $1 b $1 c"),
            ("SORT s", "-ERR One or more scores can't be converted into double"),
            ("SORT s BY nothing STORE d", ":3"),
            ("LRANGE d 0 -1", "*3 $1 a $1 b $1 c"),
            ("ZADD z 1 c 2 b 3 a", ":3"),
            ("SORT z BY nothing", "*3 $1 c $1 b $1 a"),
            ("SORT z BY nothing DESC LIMIT 0 1", "*1 $1 a"),
            ("SORT z ALPHA", "*3 $1 a $1 b $1 c"),
            ("SORT w_1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("COMMAND GETKEYS SORT l BY STORE GET STORE STORE d", "*2 $1 l $1 d"),
        ]);
        assert_eq!(fixture.orphans(), 0);
    }
}
