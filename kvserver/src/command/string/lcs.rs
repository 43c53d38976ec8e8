//! LCS: options and reply. The search itself is [`crate::lcs`].

use super::Type;
use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::data::Stored;
use crate::lcs::{self, Run};
use crate::number::parse_i64;

/// What LCS answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    length: bool,
    positions: bool,
    run_lengths: bool,
    run_len_min: usize,
}

impl Options {
    fn parse(words: &[&[u8]]) -> Result<Self, CommandError> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is("IDX") {
                options.positions = true;
            } else if is("LEN") {
                options.length = true;
            } else if is("WITHMATCHLEN") {
                options.run_lengths = true;
            } else if is("MINMATCHLEN") {
                let text = words.next().ok_or(CommandError::Syntax)?;
                let min = parse_i64(text).ok_or(CommandError::NotInteger)?;
                options.run_len_min = usize::try_from(min.max(0)).unwrap_or(usize::MAX);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.length && options.positions {
            return Err(CommandError::text(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

/// `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]`
pub(super) fn lcs(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let (a, b) = (ctx.db().get(args[1])?, ctx.db().get(args[2])?);
    if a.iter().chain(&b).any(|stored| stored.kind() != Type::String) {
        return Err(CommandError::text("ERR The specified keys must contain string values"));
    }
    let options = Options::parse(&args[3..])?;
    let a = a.as_ref().map(Stored::payload).unwrap_or_default();
    let b = b.as_ref().map(Stored::payload).unwrap_or_default();
    // The reference server refuses what its table would need; the time is the same for us.
    if lcs::work_bytes(a, b) > ctx.server.string_len_max() {
        return Err(CommandError::text(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    if options.positions {
        reply_runs(ctx, &lcs::runs(a, b), options);
    } else if options.length {
        reply_len(ctx, lcs::length(a, b));
    } else {
        ctx.reply.bulk(&lcs::subsequence(a, b));
    }
    Ok(())
}

fn reply_runs(ctx: &mut Context<'_>, runs: &[Run], options: Options) {
    let shown = || runs.iter().filter(|run| run.len() >= options.run_len_min);
    ctx.reply.map(2);
    ctx.reply.bulk(b"matches");
    ctx.reply.array(shown().count());
    for run in shown() {
        ctx.reply.array(if options.run_lengths { 3 } else { 2 });
        for (start, end) in [(run.a_start, run.a_end), (run.b_start, run.b_end)] {
            ctx.reply.array(2);
            reply_len(ctx, start);
            reply_len(ctx, end);
        }
        if options.run_lengths {
            reply_len(ctx, run.len());
        }
    }
    ctx.reply.bulk(b"len");
    reply_len(ctx, runs.iter().map(Run::len).sum());
}

fn reply_len(ctx: &mut Context<'_>, len: usize) {
    ctx.reply.count(u64::try_from(len).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_any_order_and_case() {
        let words: [&[u8]; 4] = [b"idx", b"MinMatchLen", b"-3", b"WITHMATCHLEN"];
        let options = Options::parse(&words).unwrap();
        assert!(options.positions && options.run_lengths && !options.length);
        assert_eq!(options.run_len_min, 0);
    }

    #[test]
    fn length_and_positions_exclude_each_other() {
        let error = Options::parse(&[b"LEN", b"IDX"]).unwrap_err();
        assert!(error.to_string().contains("please just use IDX"));
        for words in [&[&b"MINMATCHLEN"[..]][..], &[b"what"]] {
            assert!(matches!(Options::parse(words), Err(CommandError::Syntax)), "{words:?}");
        }
    }
}
