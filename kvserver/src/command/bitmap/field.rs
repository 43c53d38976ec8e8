//! Integers of any width at any bit: BITFIELD and BITFIELD_RO.
//!
//! # Laws
//!
//! F1. All operations are read before the first one is carried out.

use super::{CHANGE_KEY, READ_KEY, addressable, offset};
use crate::bits;
use crate::command::arguments::integer;
use crate::command::string::{read, read_parts};
use crate::command::{CommandError, KeyFlags, Outcome, check_key};
use crate::context::Context;
use crate::data::{Class, Parts, Stored};
use crate::number::parse_i64;
use crate::resp::Reply;

const BAD_FORM: CommandError = CommandError::text(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 \
     is.",
);

/// How wide an integer is, and whether it has a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    signed: bool,
    width: u32,
}

/// What becomes of a number that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

/// What an operation has done to the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ran {
    /// Nothing: it only reads, or its number did not fit.
    Without,
    /// Written what was there.
    Same,
    Changed,
}

/// One operation on one integer.
#[derive(Clone, Copy, Debug)]
struct Step {
    form: Form,
    at: u64,
    action: Action,
    overflow: Overflow,
}

/// `BITFIELD key [GET form offset | [OVERFLOW how] <SET | INCRBY> form offset number …]`
pub(super) fn bitfield(ctx: &mut Context<'_>) -> Outcome {
    let steps = parse(ctx)?;
    let ends = steps.iter().filter(|step| step.action != Action::Get).map(Step::end);
    let Some(end) = ends.max() else {
        ctx.data.tell_misses(true);
        return read_only(ctx, &steps);
    };
    let key = ctx.args[1];
    check_key(key)?;
    let found = read(ctx, key)?;
    let old = found.as_ref().map(Stored::payload).unwrap_or_default();
    let len = bits::byte_of(end - 1) + 1;
    let Context { reply, data, client, .. } = ctx;
    let (mark, grows) = (data.mark(), len > old.len());
    let mut is_new = false;
    data.db(client.db).edit(key, old, len, |bytes| {
        reply.array(steps.len());
        for step in &steps {
            let ran = step.run(bytes, reply);
            is_new |= ran == Ran::Changed || (grows && ran == Ran::Same);
        }
    })?;
    if is_new {
        data.db(client.db).tell(Class::String, "setbit", key);
    } else if !grows {
        data.roll_back(mark);
    }
    Ok(())
}

/// `BITFIELD_RO key [GET form offset …]`
pub(super) fn bitfield_ro(ctx: &mut Context<'_>) -> Outcome {
    let steps = parse(ctx)?;
    if steps.iter().any(|step| step.action != Action::Get) {
        return Err(CommandError::text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read_only(ctx, &steps)
}

fn read_only(ctx: &mut Context<'_>, steps: &[Step]) -> Outcome {
    read_parts(ctx, ctx.args[1], |found, reply| {
        let mut parts = found.unwrap_or(Parts::Whole(&[]));
        reply.array(steps.len());
        for step in steps {
            let bytes = parts.read(step.at / 8..step.end().div_ceil(8))?;
            let raw = bits::field(&bytes, step.at % 8, step.form.width);
            reply.integer(step.form.meaning(raw));
        }
        Ok(())
    })
}

/// BITFIELD only reads its key if it only gets.
pub(super) fn bitfield_keys(args: &[&[u8]]) -> Option<Vec<(usize, KeyFlags)>> {
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let mut words = args.get(2..)?;
    let mut flags = READ_KEY;
    while let [word, rest @ ..] = words {
        let len = if is(word, "GET") {
            2
        } else if is(word, "OVERFLOW") {
            1
        } else {
            flags = CHANGE_KEY;
            3
        };
        words = rest.get(len..).unwrap_or_default();
    }
    Some(vec![(1, flags)])
}

fn parse(ctx: &Context<'_>) -> Result<Vec<Step>, CommandError> {
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let mut words = &ctx.args[2..];
    let (mut steps, mut overflow) = (Vec::new(), Overflow::Wrap);
    loop {
        let (action, form, at, rest) = match words {
            [] => return Ok(steps),
            [word, how, rest @ ..] if is(word, "OVERFLOW") => {
                overflow = Overflow::parse(how)?;
                words = rest;
                continue;
            }
            [word, form, at, rest @ ..] if is(word, "GET") => (None, form, at, rest),
            [word, form, at, number, rest @ ..] if is(word, "SET") => {
                (Some((Action::Set as fn(i64) -> Action, number)), form, at, rest)
            }
            [word, form, at, number, rest @ ..] if is(word, "INCRBY") => {
                (Some((Action::Add as fn(i64) -> Action, number)), form, at, rest)
            }
            _ => return Err(CommandError::Syntax),
        };
        let form = Form::parse(form)?;
        let at = form.place(ctx, at)?;
        let action = match action {
            None => Action::Get,
            Some((action, number)) => action(integer(number)?),
        };
        steps.push(Step { form, at, action, overflow });
        words = rest;
    }
}

impl Overflow {
    fn parse(text: &[u8]) -> Result<Self, CommandError> {
        let names =
            [("WRAP", Overflow::Wrap), ("SAT", Overflow::Saturate), ("FAIL", Overflow::Fail)];
        let found = names.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name.as_bytes()));
        found
            .map(|(_, overflow)| overflow)
            .ok_or(CommandError::text("ERR Invalid OVERFLOW type specified"))
    }
}

impl Form {
    fn parse(text: &[u8]) -> Result<Self, CommandError> {
        let (signed, most, digits) = match text {
            [b'i', digits @ ..] => (true, 64, digits),
            [b'u', digits @ ..] => (false, 63, digits),
            _ => return Err(BAD_FORM),
        };
        let width = parse_i64(digits).filter(|width| (1..=most).contains(width)).ok_or(BAD_FORM)?;
        Ok(Form { signed, width: u32::try_from(width).map_err(|_| BAD_FORM)? })
    }
    /// Reads where such an integer begins: a bit, or with `#` before it, a number of integers.
    fn place(self, ctx: &Context<'_>, text: &[u8]) -> Result<u64, CommandError> {
        let Some(text) = text.strip_prefix(b"#") else { return offset(ctx, text) };
        let at = parse_i64(text).and_then(|number| number.checked_mul(self.width.into()));
        at.and_then(|at| addressable(ctx, at)).ok_or(super::BAD_OFFSET)
    }
    /// The number that these bits are.
    fn meaning(self, raw: u64) -> i64 {
        let number = raw.cast_signed();
        if self.signed { number << (64 - self.width) >> (64 - self.width) } else { number }
    }
    /// The bits of a number, made to fit; `None` if that is not wanted.
    fn fit(self, number: i128, overflow: Overflow) -> Option<u64> {
        let (min, max) = match (self.signed, 1i128 << (self.width - u32::from(self.signed))) {
            (true, bound) => (-bound, bound - 1),
            (false, bound) => (0, bound - 1),
        };
        let number = match overflow {
            _ if (min..=max).contains(&number) => number,
            Overflow::Wrap => number,
            Overflow::Saturate => number.clamp(min, max),
            Overflow::Fail => return None,
        };
        let mask = i128::from(u64::MAX >> (64 - self.width));
        Some(u64::try_from(number & mask).expect("at most 64 bits are left"))
    }
}

impl Step {
    /// The bit behind the integer.
    fn end(&self) -> u64 {
        self.at + u64::from(self.form.width)
    }
    fn raw(&self, bytes: &[u8]) -> u64 {
        bits::field(bytes, self.at, self.form.width)
    }
    /// Carries it out and answers.
    fn run(&self, bytes: &mut [u8], reply: &mut Reply<'_>) -> Ran {
        let old = self.raw(bytes);
        let number = match self.action {
            Action::Get => {
                reply.integer(self.form.meaning(old));
                return Ran::Without;
            }
            // To an integer without a sign a negative one is a very large one.
            Action::Set(number) if !self.form.signed => i128::from(number.cast_unsigned()),
            Action::Set(number) => i128::from(number),
            Action::Add(number) => i128::from(self.form.meaning(old)) + i128::from(number),
        };
        let Some(new) = self.form.fit(number, self.overflow) else {
            reply.null();
            return Ran::Without;
        };
        let answer = if matches!(self.action, Action::Set(_)) { old } else { new };
        reply.integer(self.form.meaning(answer));
        bits::set_field(bytes, self.at, self.form.width, new);
        if new == old { Ran::Same } else { Ran::Changed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_do_not_fit_wrap_saturate_or_fail() {
        let (u8, i8) = (Form { signed: false, width: 8 }, Form { signed: true, width: 8 });
        let i64 = Form { signed: true, width: 64 };
        for (form, number, wrapped, saturated) in [
            (u8, 256, 0, 255),
            (u8, -1, 255, 0),
            (i8, 128, -128, 127),
            (i8, -129, 127, -128),
            (i64, i128::from(i64::MAX) + 1, i64::MIN, i64::MAX),
            (i64, i128::from(i64::MIN) * 2, 0, i64::MIN),
        ] {
            let fit = |overflow| form.fit(number, overflow).map(|raw| form.meaning(raw));
            assert_eq!(fit(Overflow::Wrap), Some(wrapped), "{form:?} {number}");
            assert_eq!(fit(Overflow::Saturate), Some(saturated), "{form:?} {number}");
            assert_eq!(fit(Overflow::Fail), None, "{form:?} {number}");
        }
        assert_eq!(i8.fit(-128, Overflow::Fail).map(|raw| i8.meaning(raw)), Some(-128));
        let wide = Form { signed: false, width: 63 };
        assert_eq!(wide.fit(i128::from(u64::MAX), Overflow::Saturate), Some(u64::MAX >> 1));
    }
}
