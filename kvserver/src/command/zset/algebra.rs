//! Several sorted sets, or sets, at once: union, intersection and difference.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::layout::{BY_NAME, Scored, len, name_of, score, score_in};
use super::range::{reply_scored, store};
use crate::command::arguments::{integer, not_negative};
use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::data::hashed::HASH_LEN;
use crate::data::{Collection, Db, Direction, Type, WHOLE};
use crate::double;

/// What is done with the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of the scores a member has in several inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(word: &[u8]) -> Result<Self, CommandError> {
        [(&b"SUM"[..], Aggregate::Sum), (b"MIN", Aggregate::Min), (b"MAX", Aggregate::Max)]
            .into_iter()
            .find_map(|(name, aggregate)| word.eq_ignore_ascii_case(name).then_some(aggregate))
            .ok_or(CommandError::Syntax)
    }
    /// What becomes of `a` with `b`; as in Redis, a `b` that is no number leaves the smaller and
    /// the larger as they are.
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Aggregate::Sum => number(a + b),
            Aggregate::Min => a.min(b),
            Aggregate::Max => a.max(b),
        }
    }
}

/// Zero in place of what is not a number: infinity times zero, or plus its negative.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What a key holds that is an input; members of sets have the score 1.
#[derive(Clone, Copy, Debug)]
enum Input<'k> {
    Missing,
    ZSet(Collection<'k>),
    Set(Collection<'k>),
}

/// An input with its weight and size.
#[derive(Clone, Copy, Debug)]
struct Weighed<'k> {
    input: Input<'k>,
    weight: f64,
    len: u64,
}

/// A request, read.
struct Request<'k> {
    inputs: Vec<Weighed<'k>>,
    aggregate: Aggregate,
    with_scores: bool,
    /// For ZINTERCARD.
    limit: usize,
}

/// Which options a command has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// `WEIGHTS`, `AGGREGATE` and `WITHSCORES`.
    Reply,
    /// The same without `WITHSCORES`.
    Store,
    /// `WITHSCORES` only.
    ReplyDifference,
    /// None.
    StoreDifference,
    /// `LIMIT` only.
    Count,
}

/// `ZUNION numkeys key [key …] [WEIGHTS …] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]`
pub(super) fn zunion(ctx: &mut Context<'_>) -> Outcome {
    reply(ctx, Operation::Union, Dialect::Reply, "zunion")
}

/// `ZINTER`, like ZUNION
pub(super) fn zinter(ctx: &mut Context<'_>) -> Outcome {
    reply(ctx, Operation::Intersection, Dialect::Reply, "zinter")
}

/// `ZDIFF numkeys key [key …] [WITHSCORES]`
pub(super) fn zdiff(ctx: &mut Context<'_>) -> Outcome {
    reply(ctx, Operation::Difference, Dialect::ReplyDifference, "zdiff")
}

fn reply(
    ctx: &mut Context<'_>,
    operation: Operation,
    dialect: Dialect,
    command: &'static str,
) -> Outcome {
    let args = ctx.args;
    let request = parse(ctx, &args[1..], dialect, command)?;
    let members = operation.run(&mut ctx.db(), &request)?;
    reply_scored(ctx, &members, request.with_scores);
    Ok(())
}

/// `ZUNIONSTORE destination numkeys key [key …] [WEIGHTS …] [AGGREGATE …]`
pub(super) fn zunionstore(ctx: &mut Context<'_>) -> Outcome {
    store_result(ctx, Operation::Union, Dialect::Store, "zunionstore")
}

/// `ZINTERSTORE`, like ZUNIONSTORE
pub(super) fn zinterstore(ctx: &mut Context<'_>) -> Outcome {
    store_result(ctx, Operation::Intersection, Dialect::Store, "zinterstore")
}

/// `ZDIFFSTORE destination numkeys key [key …]`
pub(super) fn zdiffstore(ctx: &mut Context<'_>) -> Outcome {
    store_result(ctx, Operation::Difference, Dialect::StoreDifference, "zdiffstore")
}

fn store_result(
    ctx: &mut Context<'_>,
    operation: Operation,
    dialect: Dialect,
    command: &'static str,
) -> Outcome {
    let args = ctx.args;
    let request = parse(ctx, &args[2..], dialect, command)?;
    let members = operation.run(&mut ctx.db(), &request)?;
    store(ctx, args[1], &members, command)
}

/// `ZINTERCARD numkeys key [key …] [LIMIT limit]`
pub(super) fn zintercard(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let request = parse(ctx, &args[1..], Dialect::Count, "zintercard")?;
    let members = Operation::Intersection.run(&mut ctx.db(), &request)?;
    ctx.reply.count(u64::try_from(members.len()).unwrap_or(u64::MAX));
    Ok(())
}

/// Reads the number of keys, the keys, and the options behind them.
fn parse<'k>(
    ctx: &mut Context<'_>,
    args: &[&'k [u8]],
    dialect: Dialect,
    command: &'static str,
) -> Result<Request<'k>, CommandError> {
    let count = match integer(args[0])? {
        ..1 => {
            return Err(CommandError::err(format_args!(
                "at least 1 input key is needed for '{command}' command"
            )));
        }
        count => usize::try_from(count).unwrap_or(usize::MAX),
    };
    let (keys, mut words) = args[1..].split_at_checked(count).ok_or(CommandError::Syntax)?;
    let mut request = Request {
        inputs: Vec::with_capacity(count),
        aggregate: Aggregate::Sum,
        with_scores: false,
        limit: usize::MAX,
    };
    for key in keys {
        request.inputs.push(input(ctx, key)?);
    }
    let has_weights = matches!(dialect, Dialect::Reply | Dialect::Store);
    let has_scores = matches!(dialect, Dialect::Reply | Dialect::ReplyDifference);
    while let Some((word, rest)) = words.split_first() {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        words = if has_weights && rest.len() >= count && is("WEIGHTS") {
            for (input, text) in request.inputs.iter_mut().zip(rest) {
                let mistake = CommandError::text("ERR weight value is not a float");
                input.weight = double::parse(text).ok_or(mistake)?;
            }
            &rest[count..]
        } else if has_weights && !rest.is_empty() && is("AGGREGATE") {
            request.aggregate = Aggregate::parse(rest[0])?;
            &rest[1..]
        } else if has_scores && is("WITHSCORES") {
            request.with_scores = true;
            rest
        } else if dialect == Dialect::Count && !rest.is_empty() && is("LIMIT") {
            let limit = not_negative(rest[0], "ERR LIMIT can't be negative")?;
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            request.limit = if limit == 0 { usize::MAX } else { limit };
            &rest[1..]
        } else {
            return Err(CommandError::Syntax);
        };
    }
    Ok(request)
}

fn input<'k>(ctx: &mut Context<'_>, key: &'k [u8]) -> Result<Weighed<'k>, CommandError> {
    let mut db = ctx.db();
    let (input, len) = match db.collection(key)? {
        None => (Input::Missing, 0),
        Some((Type::ZSet, Some(zset))) => (Input::ZSet(zset), len(&mut db, zset)?),
        Some((Type::Set, Some(set))) => (Input::Set(set), db.count(set, WHOLE)?),
        Some(_) => return Err(CommandError::WrongType),
    };
    Ok(Weighed { input, weight: 1.0, len })
}

impl Weighed<'_> {
    /// Its members by name, with their scores as they weigh.
    fn members(&self, db: &mut Db<'_>) -> Result<Vec<Scored>, CommandError> {
        let mut members = Vec::new();
        let weight = self.weight;
        match self.input {
            Input::Missing => {}
            Input::ZSet(zset) => {
                db.walk(zset, BY_NAME, Direction::Ascending, usize::MAX, |seen| {
                    let score = number(weight * seen.value_with(score_in)?);
                    members.push(Scored { member: name_of(seen.sub()).to_vec(), score });
                    Ok(ControlFlow::Continue(()))
                })?;
            }
            Input::Set(set) => {
                db.walk(set, WHOLE, Direction::Ascending, usize::MAX, |seen| {
                    let member = seen.sub().get(HASH_LEN..).unwrap_or_default().to_vec();
                    members.push(Scored { member, score: number(weight) });
                    Ok(ControlFlow::Continue(()))
                })?;
            }
        }
        Ok(members)
    }

    /// The score of a member as it weighs, which may be no number: see [`Aggregate::of`].
    fn score(&self, db: &mut Db<'_>, member: &[u8]) -> Result<Option<f64>, CommandError> {
        let score = match self.input {
            Input::Missing => None,
            Input::ZSet(zset) => score(db, zset, member)?,
            Input::Set(set) => {
                let sub = db.hashed(&[], member);
                db.has_element(set, &sub)?.then_some(1.0)
            }
        };
        Ok(score.map(|score| self.weight * score))
    }
}

impl Operation {
    /// The result in the order of the scores.
    fn run(self, db: &mut Db<'_>, request: &Request<'_>) -> Result<Vec<Scored>, CommandError> {
        let mut inputs = request.inputs.clone();
        if self != Operation::Difference {
            inputs.sort_by_key(|input| input.len);
        }
        let mut members = match self {
            Operation::Union => union(db, &inputs, request.aggregate)?,
            Operation::Intersection => intersection(db, &inputs, request)?,
            Operation::Difference => difference(db, &inputs)?,
        };
        // Zeros are the same, whatever their signs: the sum takes the sign away.
        let order = |scored: &Scored| scored.score + 0.0;
        members.sort_by(|a, b| order(a).total_cmp(&order(b)).then_with(|| a.member.cmp(&b.member)));
        Ok(members)
    }
}

fn union(
    db: &mut Db<'_>,
    inputs: &[Weighed<'_>],
    aggregate: Aggregate,
) -> Result<Vec<Scored>, CommandError> {
    let mut scores: HashMap<Vec<u8>, f64> = HashMap::new();
    for input in inputs {
        for Scored { member, score } in input.members(db)? {
            let together = |old: &mut f64| *old = aggregate.of(*old, score);
            scores.entry(member).and_modify(together).or_insert(score);
        }
    }
    Ok(scores.into_iter().map(|(member, score)| Scored { member, score }).collect())
}

/// Walks over the smallest input and looks its members up in the others.
fn intersection(
    db: &mut Db<'_>,
    inputs: &[Weighed<'_>],
    request: &Request<'_>,
) -> Result<Vec<Scored>, CommandError> {
    let mut shared = Vec::new();
    let Some((smallest, others)) = inputs.split_first() else { return Ok(shared) };
    'members: for Scored { member, mut score } in smallest.members(db)? {
        if shared.len() >= request.limit {
            break;
        }
        for other in others {
            match other.score(db, &member)? {
                Some(more) => score = request.aggregate.of(score, more),
                None => continue 'members,
            }
        }
        shared.push(Scored { member, score });
    }
    Ok(shared)
}

fn difference(db: &mut Db<'_>, inputs: &[Weighed<'_>]) -> Result<Vec<Scored>, CommandError> {
    let Some((first, others)) = inputs.split_first() else { return Ok(Vec::new()) };
    let mut left = Vec::new();
    'members: for scored in first.members(db)? {
        for other in others {
            if other.score(db, &scored.member)?.is_some() {
                continue 'members;
            }
        }
        left.push(scored);
    }
    Ok(left)
}
