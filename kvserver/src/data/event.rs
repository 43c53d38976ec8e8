//! What happens to keys, for whoever listens: keyspace notifications, blocked clients, indexes.
//!
//! Pure: names and classes as Redis has them.

/// The class of an event, as `notify-keyspace-events` selects them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// `g`: commands for keys of any type.
    Generic,
    /// `$`
    String,
    /// `l`
    List,
    /// `s`
    Set,
    /// `h`
    Hash,
    /// `z`
    ZSet,
    /// `x`: the time of a key has come and it was removed.
    Expired,
    /// `e`: a key was removed to make room.
    Evicted,
    /// `n`: a key that was not there before is written.
    New,
    /// `m`: a key that is not there was looked up.
    KeyMiss,
}

impl Class {
    const fn bit(self) -> u16 {
        match self {
            Class::Generic => Classes::bit_of('g'),
            Class::String => Classes::bit_of('$'),
            Class::List => Classes::bit_of('l'),
            Class::Set => Classes::bit_of('s'),
            Class::Hash => Classes::bit_of('h'),
            Class::ZSet => Classes::bit_of('z'),
            Class::Expired => Classes::bit_of('x'),
            Class::Evicted => Classes::bit_of('e'),
            Class::New => Classes::bit_of('n'),
            Class::KeyMiss => Classes::bit_of('m'),
        }
    }
}

/// A set of classes, and by which channels their events are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(u16);

impl Classes {
    /// Letters in the order Redis writes them, and their bits. `t` and `d` are streams and
    /// modules.
    const LETTERS: [char; 14] =
        ['g', '$', 'l', 's', 'h', 'z', 'x', 'e', 't', 'd', 'n', 'K', 'E', 'm'];
    /// `A`: all but those after `d`.
    const ALL: u16 = (1 << 10) - 1;

    pub(crate) const NONE: Classes = Classes(0);

    const fn bit_of(letter: char) -> u16 {
        let mut at = 0;
        while Self::LETTERS[at] != letter {
            at += 1;
        }
        1 << at
    }
    /// Those that letters stand for; `None` if one stands for nothing.
    pub(crate) fn parse(letters: &str) -> Option<Self> {
        let mut bits = 0;
        for letter in letters.chars() {
            bits |= match letter {
                'A' => Self::ALL,
                _ if Self::LETTERS.contains(&letter) => Self::bit_of(letter),
                _ => return None,
            };
        }
        Some(Classes(bits))
    }
    /// As letters, shortened as Redis does. (Which leaves out `n` beside `A`; but here what is
    /// written is what is remembered.)
    pub(crate) fn letters(self) -> String {
        let is_all = self.0 & Self::ALL == Self::ALL;
        let mut letters = String::from(if is_all { "A" } else { "" });
        let rest = if is_all { 10 } else { 0 };
        letters.extend(Self::LETTERS[rest..].iter().filter(|letter| self.has_letter(**letter)));
        letters
    }
    pub(crate) const fn from_bits(bits: u16) -> Self {
        Classes(bits)
    }
    pub(crate) const fn bits(self) -> u16 {
        self.0
    }
    fn has_letter(self, letter: char) -> bool {
        self.0 & Self::bit_of(letter) != 0
    }
    pub(crate) const fn has(self, class: Class) -> bool {
        self.0 & class.bit() != 0
    }
    /// True if events are told by the channels of their keys.
    pub(crate) const fn by_key(self) -> bool {
        self.0 & Self::bit_of('K') != 0
    }
    /// True if events are told by channels of their own.
    pub(crate) const fn by_event(self) -> bool {
        self.0 & Self::bit_of('E') != 0
    }
    /// True if no event is told.
    pub(crate) const fn is_none(self) -> bool {
        !self.by_key() && !self.by_event()
    }
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    pub(crate) class: Class,
    /// `set`, `hdel`, `rename_from` …
    pub(crate) name: &'static str,
    /// The index of the database.
    pub(crate) db: usize,
    pub(crate) key: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_written_back_as_redis_does() {
        for (given, written) in [
            ("", ""),
            ("gKE", "gKE"),
            ("$lshzxeKE", "$lshzxeKE"),
            ("EA", "AE"),
            ("KAKE", "AKE"),
            ("AKEn", "AnKE"),
            ("mnKEglszh", "glshznKEm"),
            ("dtmg$lshzxeKE", "AKEm"),
        ] {
            let letters = Classes::parse(given).map(Classes::letters);
            assert_eq!(letters.as_deref(), Some(written), "{given}");
        }
        assert_eq!(Classes::parse("KQ"), None);
        assert!(Classes::parse("A").is_some_and(Classes::is_none));
    }
}
