//! Names as few numbers: to find them in the table, and to know the one that came last once more.
//!
//! Most requests are of the same command as the one before them, spelt in the same way.

use super::{Entry, table};
use crate::words::head_and_tail;

/// So long a name is told by the numbers alone.
const WHOLE_LEN_MAX: usize = 16;

/// A name: its length, its beginning and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spelling {
    len: usize,
    head: u64,
    tail: u64,
}

impl Spelling {
    #[inline]
    pub(super) fn of(name: &[u8]) -> Spelling {
        let (len, (head, tail)) = (name.len(), head_and_tail(name));
        Spelling { len, head, tail }
    }
    /// The same for all cases of the letters.
    #[inline]
    pub(super) fn hash(self) -> usize {
        const FOLD: u64 = 0x2020_2020_2020_2020;
        let (head, tail) = (self.head | FOLD, self.tail | FOLD);
        let mixed = (head ^ tail.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        usize::try_from(mixed >> 40).expect("24 bits fit") ^ self.len
    }
    /// No other name is spelt so.
    fn is_whole(self) -> bool {
        self.len <= WHOLE_LEN_MAX
    }
}

/// Looks names up, and remembers the last one.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    last: Option<(Spelling, &'static Entry)>,
}

impl Resolver {
    /// As [`super::Table::resolve`] of the one table.
    #[inline]
    pub(crate) fn resolve(&mut self, name: &[u8], second: Option<&[u8]>) -> Option<&'static Entry> {
        let spelling = Spelling::of(name);
        match self.last {
            Some((last, entry)) if last == spelling => Some(entry),
            _ => self.look_up(spelling, name, second),
        }
    }

    fn look_up(
        &mut self,
        spelling: Spelling,
        name: &[u8],
        second: Option<&[u8]>,
    ) -> Option<&'static Entry> {
        let entry = table().find(name)?;
        if !entry.subcommands.is_empty() {
            return entry.or_subcommand(second);
        }
        if spelling.is_whole() {
            self.last = Some((spelling, entry));
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved_as_the_table_does_whatever_came_before() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut names: Vec<Vec<u8>> =
            table().entries().iter().map(|entry| entry.command.name.into()).collect();
        names.extend(
            [&b""[..], b"g", b"ge", b"gex", b"gett", b"no such command at all"].map(Vec::from),
        );
        let mut resolver = Resolver::default();
        let mut name = Vec::new();
        for _ in 0..20_000 {
            match rng.u8(..4) {
                0 => name = rng.choice(&names).cloned().unwrap_or_default(),
                1 if !name.is_empty() => {
                    let at = rng.usize(..name.len());
                    name[at] = [name[at] ^ 0x20, rng.u8(..)][rng.usize(..2)];
                }
                _ => {}
            }
            let second = [None, Some(&b"get"[..]), Some(b"HELP"), Some(b"x")][rng.usize(..4)];
            let expected = table().resolve(&name, second).map(|entry| entry.index);
            let resolved = resolver.resolve(&name, second).map(|entry| entry.index);
            assert_eq!(resolved, expected, "{:?}", String::from_utf8_lossy(&name));
        }
    }
}
