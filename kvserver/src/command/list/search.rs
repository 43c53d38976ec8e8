//! Elements by their value: the commands that walk.

use std::ops::ControlFlow;

use super::find;
use super::position::{self, End, insert};
use crate::command::arguments::{integer, integer_within, not_negative};
use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::data::{Class, Collection, Db, WHOLE};

const RANK_ZERO: CommandError = CommandError::text(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
     negative to start from the end of the list",
);

/// `LINSERT key <BEFORE | AFTER> pivot element`
pub(super) fn linsert(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let side = if args[2].eq_ignore_ascii_case(b"BEFORE") {
        End::Left
    } else if args[2].eq_ignore_ascii_case(b"AFTER") {
        End::Right
    } else {
        return Err(CommandError::Syntax);
    };
    let Some(list) = find(ctx, args[1])? else {
        ctx.reply.integer(0);
        return Ok(());
    };
    let mut db = ctx.db();
    let search = Search { end: End::Left, skip: 0, limit: 1, walked_max: usize::MAX };
    let Some(pivot) = search.run(&mut db, list, args[3])?.pop() else {
        ctx.reply.integer(-1);
        return Ok(());
    };
    insert(&mut db, list, (position::of(&pivot.sub), side), args[4])?;
    db.tell(Class::List, "linsert", args[1]);
    let len = db.count(list, WHOLE)?;
    ctx.reply.count(len);
    Ok(())
}

/// `LREM key count element`: that many from the head, or from the tail if negative; 0 is all.
pub(super) fn lrem(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let count = integer(args[2])?;
    let Some(list) = find(ctx, args[1])? else {
        ctx.reply.count(0);
        return Ok(());
    };
    let limit = match count {
        0 => usize::MAX,
        count => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
    };
    let end = if count < 0 { End::Right } else { End::Left };
    let mut db = ctx.db();
    let search = Search { end, skip: 0, limit, walked_max: usize::MAX };
    let found = search.run(&mut db, list, args[3])?;
    for element in &found {
        db.remove_element(list, &element.sub);
    }
    if !found.is_empty() {
        db.tell(Class::List, "lrem", args[1]);
        if db.settle(list)? {
            db.tell(Class::Generic, "del", args[1]);
        }
    }
    ctx.reply.count(u64::try_from(found.len()).unwrap_or(u64::MAX));
    Ok(())
}

/// `LPOS key element [RANK rank] [COUNT matches] [MAXLEN length]`
pub(super) fn lpos(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let options = Options::parse(&args[3..])?;
    let Some(list) = find(ctx, args[1])? else {
        match options.count {
            Some(_) => ctx.reply.array(0),
            None => ctx.reply.null(),
        }
        return Ok(());
    };
    let mut db = ctx.db();
    let found = options.search().run(&mut db, list, args[2])?;
    let len = if options.rank < 0 { db.count(list, WHOLE)? } else { 0 };
    let index = |found: &Found| match options.rank {
        ..0 => len.saturating_sub(found.walked + 1),
        _ => found.walked,
    };
    match options.count {
        None => match found.first() {
            Some(found) => ctx.reply.count(index(found)),
            None => ctx.reply.null(),
        },
        Some(_) => {
            ctx.reply.array(found.len());
            found.iter().for_each(|found| ctx.reply.count(index(found)));
        }
    }
    Ok(())
}

/// The options of LPOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Options {
    /// Which match is the first to count, from the tail where negative; never 0.
    rank: i64,
    /// How many matches to answer, 0 for all; without it, one and not as an array.
    count: Option<usize>,
    /// How many elements to look at.
    walked_max: usize,
}

impl Options {
    fn parse(words: &[&[u8]]) -> Result<Self, CommandError> {
        let mut options = Options { rank: 1, count: None, walked_max: usize::MAX };
        let (pairs, rest) = words.as_chunks::<2>();
        let mut is_whole = rest.is_empty();
        for [word, value] in pairs {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is("RANK") {
                options.rank = integer_within(value, -i64::MAX, i64::MAX)?;
                if options.rank == 0 {
                    return Err(RANK_ZERO);
                }
            } else if is("COUNT") {
                options.count = Some(limit(value, "ERR COUNT can't be negative")?);
            } else if is("MAXLEN") {
                let most = limit(value, "ERR MAXLEN can't be negative")?;
                options.walked_max = if most == 0 { usize::MAX } else { most };
            } else {
                is_whole = false;
                break;
            }
        }
        if is_whole { Ok(options) } else { Err(CommandError::Syntax) }
    }

    fn search(self) -> Search {
        let skip = usize::try_from(self.rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        let limit = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(count) => count,
        };
        let end = if self.rank < 0 { End::Right } else { End::Left };
        Search { end, skip, limit, walked_max: self.walked_max }
    }
}

fn limit(text: &[u8], mistake: &'static str) -> Result<usize, CommandError> {
    Ok(usize::try_from(not_negative(text, mistake)?).unwrap_or(usize::MAX))
}

/// Which elements that equal one to find.
#[derive(Clone, Copy, Debug)]
struct Search {
    /// Where to begin.
    end: End,
    /// Matches that do not count yet.
    skip: usize,
    /// Matches wanted.
    limit: usize,
    /// Elements to look at.
    walked_max: usize,
}

/// An element that was searched.
#[derive(Debug)]
struct Found {
    sub: Vec<u8>,
    /// How many elements were walked over before it.
    walked: u64,
}

impl Search {
    fn run(
        self,
        db: &mut Db<'_>,
        list: Collection<'_>,
        wanted: &[u8],
    ) -> Result<Vec<Found>, CommandError> {
        let (mut found, mut skip, mut walked) = (Vec::new(), self.skip, 0);
        db.walk(list, WHOLE, self.end.inwards(), self.walked_max, |seen| {
            if seen.value_with(|value| value == wanted)? {
                match skip.checked_sub(1) {
                    Some(rest) => skip = rest,
                    None => found.push(Found { sub: seen.sub().to_vec(), walked }),
                }
            }
            walked += 1;
            let is_done = found.len() >= self.limit;
            Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(found)
    }
}
