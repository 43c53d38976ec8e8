//! Taking members from either end.

use std::ops::ControlFlow;

use super::find;
use super::layout::{
    FIRST_IN_ORDER, IN_ORDER, NAMES, Scored, member_and_score, remove, remove_at, scored,
};
use super::range::reply_scored;
use crate::command::arguments::{ManyPop, positive};
use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::data::{Class, Collection, Direction, Joined, Removed};
use crate::double;

/// One end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The lowest score.
    Min,
    /// The highest.
    Max,
}

impl End {
    /// `MIN` or `MAX`.
    pub(super) fn parse(word: &[u8]) -> Result<End, CommandError> {
        if word.eq_ignore_ascii_case(b"MIN") {
            Ok(End::Min)
        } else if word.eq_ignore_ascii_case(b"MAX") {
            Ok(End::Max)
        } else {
            Err(CommandError::Syntax)
        }
    }
    /// How a walk from this end goes.
    fn inwards(self) -> Direction {
        match self {
            End::Min => Direction::Ascending,
            End::Max => Direction::Descending,
        }
    }
    fn event(self) -> &'static str {
        match self {
            End::Min => "zpopmin",
            End::Max => "zpopmax",
        }
    }
}

/// `ZPOPMIN key [count]`
pub(super) fn zpopmin(ctx: &mut Context<'_>) -> Outcome {
    reply_popped(ctx, End::Min)
}

/// `ZPOPMAX key [count]`
pub(super) fn zpopmax(ctx: &mut Context<'_>) -> Outcome {
    reply_popped(ctx, End::Max)
}

fn reply_popped(ctx: &mut Context<'_>, end: End) -> Outcome {
    let args = ctx.args;
    let count = match args {
        [_, _] => None,
        [_, _, count] => Some(positive(count)?),
        _ => return Err(CommandError::Syntax),
    };
    let popped = match (find(ctx, args[1])?, count) {
        (Some(zset), None) => return reply_one_popped(ctx, zset, end),
        (Some(zset), Some(count)) => pop(ctx, zset, end, count)?,
        (None, _) => Vec::new(),
    };
    reply_scored(ctx, &popped, true);
    Ok(())
}

/// Takes one member, by what is known of the end: no walk. The pair stands alone in both
/// protocols.
fn reply_one_popped(ctx: &mut Context<'_>, zset: Collection<'_>, end: End) -> Outcome {
    let Context { reply, data, client, .. } = ctx;
    let mut db = data.db(client.db);
    let mut looked_up = Vec::new();
    let found = |sub: &[u8]| looked_up.push(Joined::new([member_and_score(sub).0]));
    let Some(outermost) = db.outermost(zset, FIRST_IN_ORDER, end.inwards(), found)? else {
        reply.array(0);
        return Ok(());
    };
    if looked_up.len() > 1 {
        // They are next. Their elements by name lie anywhere.
        let by_name = looked_up.iter().map(|member| db.hashed(NAMES, member));
        db.fetch_ahead(zset, by_name, Removed::Anywhere);
    }
    let (member, score) = member_and_score(&outermost.sub);
    reply.array(2);
    reply.bulk(member);
    reply.double_text(&double::to_text(score));
    db.tell(Class::ZSet, end.event(), zset.key());
    if outermost.is_more {
        remove_at(&mut db, zset, &outermost.sub);
    } else {
        db.delete(zset.key())?;
        db.tell(Class::Generic, "del", zset.key());
    }
    Ok(())
}

/// Takes up to `count` members; the key goes with the last one.
pub(super) fn pop(
    ctx: &mut Context<'_>,
    zset: Collection<'_>,
    end: End,
    count: u64,
) -> Result<Vec<Scored>, CommandError> {
    let mut db = ctx.db();
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let (mut popped, mut is_more) = (Vec::new(), false);
    db.walk(zset, IN_ORDER, end.inwards(), most.saturating_add(1), |seen| {
        if popped.len() == most {
            is_more = true;
            return Ok(ControlFlow::Break(()));
        }
        popped.push(scored(seen.sub()));
        Ok(ControlFlow::Continue(()))
    })?;
    if popped.is_empty() {
        return Ok(popped);
    }
    db.tell(Class::ZSet, end.event(), zset.key());
    if is_more {
        popped.iter().for_each(|scored| remove(&mut db, zset, scored));
    } else {
        db.delete(zset.key())?;
        db.tell(Class::Generic, "del", zset.key());
    }
    Ok(popped)
}

/// `ZMPOP numkeys key [key …] <MIN | MAX> [COUNT count]`
pub(super) fn zmpop(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let wanted = ManyPop::parse(&args[1..], End::parse)?;
    if !pop_first(ctx, &wanted)? {
        ctx.reply.null_array();
    }
    Ok(())
}

/// Pops from the first sorted set that there is, and answers its key and what was taken; false,
/// and nothing answered, if there is none.
pub(super) fn pop_first(
    ctx: &mut Context<'_>,
    wanted: &ManyPop<'_, End>,
) -> Result<bool, CommandError> {
    for key in wanted.keys {
        let Some(zset) = find(ctx, key)? else { continue };
        let popped = pop(ctx, zset, wanted.end, wanted.count)?;
        ctx.reply.array(2);
        ctx.reply.bulk(key);
        ctx.reply.array(popped.len());
        for Scored { member, score } in &popped {
            ctx.reply.array(2);
            ctx.reply.bulk(member);
            ctx.reply.double_text(&double::to_text(*score));
        }
        return Ok(true);
    }
    Ok(false)
}
