//! Members by name: their scores and ranks.

use super::layout::{Scored, in_order, len, put, remove, score};
use super::{find, find_or_create};
use crate::command::{CommandError, Outcome, check_name};
use crate::context::Context;
use crate::data::{Class, Collection, Db};
use crate::double;
use std::ops::Bound;

const NOT_A_NUMBER: CommandError = CommandError::text("ERR resulting score is not a number (NaN)");

/// The options of ZADD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    if_absent: bool,
    if_present: bool,
    if_greater: bool,
    if_less: bool,
    counts_changed: bool,
    increments: bool,
}

impl Options {
    /// Reads options up to the first word that is none; where that is.
    fn parse(words: &[&[u8]]) -> (Self, usize) {
        let mut options = Options::default();
        for (at, word) in words.iter().enumerate() {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is("NX") {
                options.if_absent = true;
            } else if is("XX") {
                options.if_present = true;
            } else if is("GT") {
                options.if_greater = true;
            } else if is("LT") {
                options.if_less = true;
            } else if is("CH") {
                options.counts_changed = true;
            } else if is("INCR") {
                options.increments = true;
            } else {
                return (options, at);
            }
        }
        (options, words.len())
    }

    fn check(self, pairs: usize) -> Outcome {
        if self.if_absent && self.if_present {
            return Err(CommandError::text(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        if (self.if_greater && (self.if_absent || self.if_less)) || (self.if_less && self.if_absent)
        {
            return Err(CommandError::text(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.increments && pairs > 1 {
            return Err(CommandError::text(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(())
    }

    /// The score a member shall get; `None` if it stays as it is.
    fn new_score(self, old: Option<f64>, given: f64) -> Result<Option<f64>, CommandError> {
        let Some(old) = old else { return Ok((!self.if_present).then_some(given)) };
        if self.if_absent {
            return Ok(None);
        }
        let new = if self.increments { old + given } else { given };
        if new.is_nan() {
            return Err(NOT_A_NUMBER);
        }
        let is_refused = (self.if_less && new >= old) || (self.if_greater && new <= old);
        Ok((!is_refused).then_some(new))
    }
}

/// `ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member …]`
pub(super) fn zadd(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let (options, at) = Options::parse(&args[2..]);
    let (pairs, rest) = args[2 + at..].as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err(CommandError::Syntax);
    }
    options.check(pairs.len())?;
    let mut scores = Vec::with_capacity(pairs.len());
    for [score, _] in pairs {
        scores.push(double::parse(score).ok_or(CommandError::NotFloat)?);
    }
    let members: Vec<(f64, &[u8])> =
        scores.into_iter().zip(pairs.iter().map(|[_, member]| *member)).collect();
    add_all(ctx, args[1], options, &members)
}

/// `ZINCRBY key increment member`
pub(super) fn zincrby(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let by = double::parse(args[2]).ok_or(CommandError::NotFloat)?;
    let options = Options { increments: true, ..Options::default() };
    add_all(ctx, args[1], options, &[(by, args[3])])
}

fn add_all(
    ctx: &mut Context<'_>,
    key: &[u8],
    options: Options,
    members: &[(f64, &[u8])],
) -> Outcome {
    let found = find(ctx, key)?;
    let (mut added, mut changed, mut last) = (0, 0, None);
    // With XX nothing is made.
    if found.is_some() || !options.if_present {
        let zset = match found {
            Some(zset) => zset,
            None => find_or_create(ctx, key)?,
        };
        let mut db = ctx.db();
        for (given, member) in members {
            check_name(member)?;
            let old = score(&mut db, zset, member)?;
            last = options.new_score(old, *given)?;
            let Some(new) = last else { continue };
            added += u64::from(old.is_none());
            if old != Some(new) {
                changed += u64::from(old.is_some());
                put(&mut db, zset, member, (old, new));
            }
        }
        if added + changed > 0 {
            db.tell(Class::ZSet, if options.increments { "zincr" } else { "zadd" }, key);
        }
    }
    match (options.increments, last) {
        (true, Some(score)) => ctx.reply.double_text(&double::to_text(score)),
        (true, None) => ctx.reply.null(),
        (false, _) if options.counts_changed => ctx.reply.count(added + changed),
        (false, _) => ctx.reply.count(added),
    }
    Ok(())
}

/// `ZREM key member [member …]`
pub(super) fn zrem(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let mut removed = 0;
    if let Some(zset) = find(ctx, args[1])? {
        let mut db = ctx.db();
        for member in &args[2..] {
            if let Some(score) = score(&mut db, zset, member)? {
                remove(&mut db, zset, &Scored { member: member.to_vec(), score });
                removed += 1;
            }
        }
        if removed > 0 {
            db.tell(Class::ZSet, "zrem", args[1]);
            if db.settle(zset)? {
                db.tell(Class::Generic, "del", args[1]);
            }
        }
    }
    ctx.reply.count(removed);
    Ok(())
}

/// `ZCARD key`
pub(super) fn zcard(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let len = match find(ctx, args[1])? {
        Some(zset) => len(&mut ctx.db(), zset)?,
        None => 0,
    };
    ctx.reply.count(len);
    Ok(())
}

/// `ZSCORE key member`
pub(super) fn zscore(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let zset = find(ctx, args[1])?;
    reply_score(ctx, zset, args[2])
}

/// `ZMSCORE key member [member …]`
pub(super) fn zmscore(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let zset = find(ctx, args[1])?;
    ctx.reply.array(args.len() - 2);
    args[2..].iter().try_for_each(|member| reply_score(ctx, zset, member))
}

fn reply_score(ctx: &mut Context<'_>, zset: Option<Collection<'_>>, member: &[u8]) -> Outcome {
    let found = match zset {
        Some(zset) => score(&mut ctx.db(), zset, member)?,
        None => None,
    };
    match found {
        Some(score) => ctx.reply.double_text(&double::to_text(score)),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// `ZRANK key member [WITHSCORE]`
pub(super) fn zrank(ctx: &mut Context<'_>) -> Outcome {
    reply_rank(ctx, "zrank", |db, zset, scored| {
        let key = in_order(scored.score, &scored.member);
        let before = in_order(f64::NEG_INFINITY, &[]);
        Ok(db.count(zset, (Bound::Included(&before), Bound::Excluded(&key)))?)
    })
}

/// `ZREVRANK key member [WITHSCORE]`
pub(super) fn zrevrank(ctx: &mut Context<'_>) -> Outcome {
    reply_rank(ctx, "zrevrank", |db, zset, scored| {
        let key = in_order(scored.score, &scored.member);
        Ok(db.count(zset, (Bound::Excluded(&key), Bound::Unbounded))?)
    })
}

fn reply_rank(
    ctx: &mut Context<'_>,
    command: &'static str,
    rank: impl FnOnce(&mut Db<'_>, Collection<'_>, &Scored) -> Result<u64, CommandError>,
) -> Outcome {
    let args = ctx.args;
    let with_score = match &args[3..] {
        [] => false,
        [word] if word.eq_ignore_ascii_case(b"WITHSCORE") => true,
        [_] => return Err(CommandError::Syntax),
        _ => return Err(CommandError::Arity(command.into())),
    };
    let mut found = None;
    if let Some(zset) = find(ctx, args[1])? {
        let mut db = ctx.db();
        if let Some(score) = score(&mut db, zset, args[2])? {
            let scored = Scored { member: args[2].to_vec(), score };
            found = Some((rank(&mut db, zset, &scored)?, score));
        }
    }
    match (found, with_score) {
        (Some((rank, _)), false) => ctx.reply.count(rank),
        (Some((rank, score)), true) => {
            ctx.reply.array(2);
            ctx.reply.count(rank);
            ctx.reply.double_text(&double::to_text(score));
        }
        (None, false) => ctx.reply.null(),
        (None, true) => ctx.reply.null_array(),
    }
    Ok(())
}
