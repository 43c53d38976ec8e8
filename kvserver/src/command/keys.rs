//! Where the keys of a command are: Redis' key specifications, as far as these commands need them.
//!
//! Pure: arguments in, positions out.

use std::ops::BitOr;

/// How a command uses a key, for `COMMAND GETKEYSANDFLAGS` and `COMMAND INFO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyFlags(u16);

impl KeyFlags {
    pub(crate) const RO: KeyFlags = KeyFlags(1);
    pub(crate) const RW: KeyFlags = KeyFlags(1 << 1);
    pub(crate) const OW: KeyFlags = KeyFlags(1 << 2);
    pub(crate) const RM: KeyFlags = KeyFlags(1 << 3);
    pub(crate) const ACCESS: KeyFlags = KeyFlags(1 << 4);
    pub(crate) const UPDATE: KeyFlags = KeyFlags(1 << 5);
    pub(crate) const INSERT: KeyFlags = KeyFlags(1 << 6);
    pub(crate) const DELETE: KeyFlags = KeyFlags(1 << 7);
    pub(crate) const NOT_KEY: KeyFlags = KeyFlags(1 << 8);
    pub(crate) const VARIABLE: KeyFlags = KeyFlags(1 << 9);

    const NAMES: [(KeyFlags, &'static str); 10] = [
        (KeyFlags::RO, "RO"),
        (KeyFlags::RW, "RW"),
        (KeyFlags::OW, "OW"),
        (KeyFlags::RM, "RM"),
        (KeyFlags::ACCESS, "access"),
        (KeyFlags::UPDATE, "update"),
        (KeyFlags::INSERT, "insert"),
        (KeyFlags::DELETE, "delete"),
        (KeyFlags::NOT_KEY, "not_key"),
        (KeyFlags::VARIABLE, "variable_flags"),
    ];

    /// Union, usable in constants.
    pub(crate) const fn and(self, other: KeyFlags) -> KeyFlags {
        KeyFlags(self.0 | other.0)
    }
    pub(crate) const fn has(self, other: KeyFlags) -> bool {
        self.0 & other.0 == other.0
    }
    /// The names Redis answers, in its order.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, name)| name)
    }
}

impl BitOr for KeyFlags {
    type Output = KeyFlags;
    fn bitor(self, other: KeyFlags) -> KeyFlags {
        self.and(other)
    }
}

/// How many keys follow the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// From the first to `last` (relative to the first; −1 is the last argument, −2 the one before
    /// it), every `step`-th.
    Range { last: i32, step: usize },
    /// `args[first]` holds the number of keys, which follow it directly.
    Counted,
}

/// One run of keys. `first` is an index into the arguments, name included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeySpec {
    pub(crate) first: usize,
    pub(crate) span: Span,
    pub(crate) flags: KeyFlags,
}

impl KeySpec {
    /// The one key at `first`.
    pub(crate) const fn one(first: usize, flags: KeyFlags) -> Self {
        KeySpec { first, span: Span::Range { last: 0, step: 1 }, flags }
    }
    /// Every `step`-th argument from `first` to the end.
    pub(crate) const fn to_end(first: usize, step: usize, flags: KeyFlags) -> Self {
        KeySpec { first, span: Span::Range { last: -1, step }, flags }
    }

    /// Every argument from `first` on but the last.
    pub(crate) const fn to_last_but_one(first: usize, flags: KeyFlags) -> Self {
        KeySpec { first, span: Span::Range { last: -2, step: 1 }, flags }
    }

    /// The positions in `args`, or `None` if they do not fit.
    pub(crate) fn positions(&self, args: &[&[u8]]) -> Option<Vec<usize>> {
        let (first, end, step) = match self.span {
            Span::Range { last, step } => {
                let end = match usize::try_from(last) {
                    Ok(last) => self.first + last + 1,
                    // −1 is the last argument.
                    Err(_) => args.len().checked_sub(usize::try_from(-1 - last).ok()?)?,
                };
                (self.first, end, step)
            }
            Span::Counted => {
                let text = std::str::from_utf8(args.get(self.first)?).ok()?;
                let count: usize = text.parse().ok().filter(|count| *count > 0)?;
                (self.first + 1, self.first.checked_add(count)?.checked_add(1)?, 1)
            }
        };
        (end <= args.len() && first < end).then(|| (first..end).step_by(step).collect())
    }
}
