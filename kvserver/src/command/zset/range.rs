//! Members in a range: ZRANGE and its many older forms, ZRANGESTORE and the counts.

use super::find;
use super::layout::{Scored, put};
use super::span::{Limit, Members};
use crate::command::arguments::{Indexes, integer};
use crate::command::{CommandError, Outcome, check_key};
use crate::context::Context;
use crate::data::{Class, Direction, Expiry, Type};
use crate::double;
use crate::resp::Protocol;

/// What the bounds of a range mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Name,
}

/// A request for a range, read but for its bounds.
#[derive(Clone, Copy, Debug)]
struct Request {
    by: Option<By>,
    direction: Option<Direction>,
    with_scores: bool,
    /// Offset and count; a negative count is all.
    limit: Option<(i64, i64)>,
}

impl Request {
    /// ZRANGE and ZRANGESTORE: words say what is meant.
    const ANY: Request = Request { by: None, direction: None, with_scores: false, limit: None };

    const fn of(by: By, direction: Direction) -> Request {
        Request { by: Some(by), direction: Some(direction), with_scores: false, limit: None }
    }

    /// Reads the words after the bounds. What the command's name says is not said again.
    fn parse(mut self, words: &[&[u8]], may_have_scores: bool) -> Result<Self, CommandError> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if may_have_scores && is("WITHSCORES") {
                self.with_scores = true;
            } else if is("LIMIT") && words.len() >= 2 {
                let mut number = || integer(words.next().copied().unwrap_or_default());
                self.limit = Some((number()?, number()?));
            } else if self.direction.is_none() && is("REV") {
                self.direction = Some(Direction::Descending);
            } else if self.by.is_none() && is("BYSCORE") {
                self.by = Some(By::Score);
            } else if self.by.is_none() && is("BYLEX") {
                self.by = Some(By::Name);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let by = self.by.unwrap_or(By::Rank);
        if by == By::Rank && self.limit.is_some_and(|(_, count)| count != -1) {
            return Err(CommandError::text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or \
                 BYLEX",
            ));
        }
        if by == By::Name && self.with_scores {
            return Err(CommandError::text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        Ok(self)
    }

    fn direction(&self) -> Direction {
        self.direction.unwrap_or(Direction::Ascending)
    }

    /// The range between two arguments: the greater one comes first where the walk descends.
    fn members(&self, first: &[u8], last: &[u8]) -> Result<Members, CommandError> {
        let by = self.by.unwrap_or(By::Rank);
        let (min, max) = match self.direction() {
            Direction::Descending if by != By::Rank => (last, first),
            _ => (first, last),
        };
        match by {
            By::Rank => Ok(Members::Ranks(Indexes::parse(first, last)?)),
            By::Score => Members::scores(min, max),
            By::Name => Members::names(min, max),
        }
    }

    fn limit(&self) -> Limit {
        match self.limit {
            None => Limit::NONE,
            Some((offset, count)) => match u64::try_from(offset) {
                Ok(skip) => Limit { skip, most: usize::try_from(count).unwrap_or(usize::MAX) },
                // Behind the end.
                Err(_) => Limit { skip: 0, most: 0 },
            },
        }
    }
}

/// `ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]`
pub(super) fn zrange(ctx: &mut Context<'_>) -> Outcome {
    reply_range(ctx, Request::ANY)
}

/// `ZREVRANGE key start stop [WITHSCORES]`
pub(super) fn zrevrange(ctx: &mut Context<'_>) -> Outcome {
    reply_range(ctx, Request::of(By::Rank, Direction::Descending))
}

/// `ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]`
pub(super) fn zrangebyscore(ctx: &mut Context<'_>) -> Outcome {
    reply_range(ctx, Request::of(By::Score, Direction::Ascending))
}

/// `ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]`
pub(super) fn zrevrangebyscore(ctx: &mut Context<'_>) -> Outcome {
    reply_range(ctx, Request::of(By::Score, Direction::Descending))
}

/// `ZRANGEBYLEX key min max [LIMIT offset count]`
pub(super) fn zrangebylex(ctx: &mut Context<'_>) -> Outcome {
    reply_range(ctx, Request::of(By::Name, Direction::Ascending))
}

/// `ZREVRANGEBYLEX key max min [LIMIT offset count]`
pub(super) fn zrevrangebylex(ctx: &mut Context<'_>) -> Outcome {
    reply_range(ctx, Request::of(By::Name, Direction::Descending))
}

fn reply_range(ctx: &mut Context<'_>, request: Request) -> Outcome {
    let args = ctx.args;
    let request = request.parse(&args[4..], true)?;
    let found = collect(ctx, request, [args[1], args[2], args[3]])?;
    reply_scored(ctx, &found, request.with_scores);
    Ok(())
}

fn collect(
    ctx: &mut Context<'_>,
    request: Request,
    [key, first, last]: [&[u8]; 3],
) -> Result<Vec<Scored>, CommandError> {
    let members = request.members(first, last)?;
    let Some(zset) = find(ctx, key)? else { return Ok(Vec::new()) };
    members.collect(&mut ctx.db(), zset, request.direction(), request.limit())
}

/// Members, with their scores in pairs or one after the other as the protocol has it.
pub(super) fn reply_scored(ctx: &mut Context<'_>, all: &[Scored], with_scores: bool) {
    let nested = with_scores && ctx.client.protocol == Protocol::Resp3;
    ctx.reply.array(if with_scores && !nested { all.len() * 2 } else { all.len() });
    for Scored { member, score } in all {
        if nested {
            ctx.reply.array(2);
        }
        ctx.reply.bulk(member);
        if with_scores {
            ctx.reply.double_text(&double::to_text(*score));
        }
    }
}

/// `ZRANGESTORE destination source start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count]`
pub(super) fn zrangestore(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let request = Request::ANY.parse(&args[5..], false)?;
    let found = collect(ctx, request, [args[2], args[3], args[4]])?;
    store(ctx, args[1], &found, "zrangestore")
}

/// Puts members in place of whatever a key holds; answers how many.
pub(super) fn store(
    ctx: &mut Context<'_>,
    key: &[u8],
    members: &[Scored],
    event: &'static str,
) -> Outcome {
    let mut db = ctx.db();
    if members.is_empty() {
        if db.delete(key)? {
            db.tell(Class::Generic, "del", key);
        }
    } else {
        check_key(key)?;
        let zset = db.create(key, Type::ZSet, Expiry::None)?;
        for Scored { member, score } in members {
            put(&mut db, zset, member, (None, *score));
        }
        db.tell(Class::ZSet, event, key);
    }
    ctx.reply.count(u64::try_from(members.len()).unwrap_or(u64::MAX));
    Ok(())
}

/// `ZCOUNT key min max`
pub(super) fn zcount(ctx: &mut Context<'_>) -> Outcome {
    let members = Members::scores(ctx.args[2], ctx.args[3])?;
    reply_count(ctx, &members)
}

/// `ZLEXCOUNT key min max`
pub(super) fn zlexcount(ctx: &mut Context<'_>) -> Outcome {
    let members = Members::names(ctx.args[2], ctx.args[3])?;
    reply_count(ctx, &members)
}

fn reply_count(ctx: &mut Context<'_>, members: &Members) -> Outcome {
    let args = ctx.args;
    let count = match find(ctx, args[1])? {
        Some(zset) => members.count(&mut ctx.db(), zset)?,
        None => 0,
    };
    ctx.reply.count(count);
    Ok(())
}
