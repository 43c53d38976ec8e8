//! The options of SET and GETEX, in any order and case.
//!
//! Pure. Numbers are kept as text: SET reads them before it looks at the key, GETEX after.

use crate::command::CommandError;
use crate::command::expiry::TimeForm;

/// Which command's options are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `NX XX GET KEEPTTL` and times.
    Set,
    /// `PERSIST` and times.
    Getex,
}

/// Whether the key must exist, or must not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Condition {
    /// Either way.
    #[default]
    Always,
    /// `NX`.
    IfAbsent,
    /// `XX`.
    IfPresent,
}

impl Condition {
    /// Whether it holds for a key that exists or not.
    pub(super) fn holds(self, exists: bool) -> bool {
        match self {
            Condition::Always => true,
            Condition::IfAbsent => !exists,
            Condition::IfPresent => exists,
        }
    }
}

/// What is asked of the expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lifetime<'a> {
    /// Nothing: SET removes it, GETEX leaves it.
    #[default]
    Unsaid,
    /// `KEEPTTL`.
    Keep,
    /// `PERSIST`.
    Persist,
    /// A time as it was written.
    Given(TimeForm, &'a [u8]),
}

/// The options of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options<'a> {
    /// `NX` or `XX`.
    pub(super) condition: Condition,
    /// `GET`: answer the old value.
    pub(super) returns_old: bool,
    /// Everything about the expiry.
    pub(super) lifetime: Lifetime<'a>,
}

impl<'a> Options<'a> {
    /// Reads what follows the key (and the value). An option may be repeated; of two times in the
    /// same form the last counts, as with the reference server.
    pub(super) fn parse(words: &[&'a [u8]], dialect: Dialect) -> Result<Self, CommandError> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            if let Some(form) = TimeForm::of_option(word) {
                let &text = words.next().ok_or(CommandError::Syntax)?;
                options.lifetime = options.lifetime.join(Lifetime::Given(form, text))?;
                continue;
            }
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            match dialect {
                Dialect::Set if is("NX") => options.require(Condition::IfAbsent)?,
                Dialect::Set if is("XX") => options.require(Condition::IfPresent)?,
                Dialect::Set if is("GET") => options.returns_old = true,
                Dialect::Set if is("KEEPTTL") => {
                    options.lifetime = options.lifetime.join(Lifetime::Keep)?;
                }
                Dialect::Getex if is("PERSIST") => {
                    options.lifetime = options.lifetime.join(Lifetime::Persist)?;
                }
                _ => return Err(CommandError::Syntax),
            }
        }
        Ok(options)
    }

    fn require(&mut self, condition: Condition) -> Result<(), CommandError> {
        if self.condition != Condition::Always && self.condition != condition {
            return Err(CommandError::Syntax);
        }
        self.condition = condition;
        Ok(())
    }
}

impl<'a> Lifetime<'a> {
    fn join(self, other: Lifetime<'a>) -> Result<Lifetime<'a>, CommandError> {
        match (self, other) {
            (Lifetime::Unsaid, _) => Ok(other),
            (Lifetime::Given(a, _), Lifetime::Given(b, _)) if a == b => Ok(other),
            _ if self == other => Ok(other),
            _ => Err(CommandError::Syntax),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'a>(words: &[&'a str], dialect: Dialect) -> Option<Options<'a>> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        Options::parse(&words, dialect).ok()
    }

    #[test]
    fn options_come_in_any_order_and_case() {
        let options = parse(&["xx", "Px", "100", "get"], Dialect::Set).unwrap();
        assert_eq!(options.condition, Condition::IfPresent);
        assert!(options.returns_old);
        assert_eq!(options.lifetime, Lifetime::Given(TimeForm::PX, b"100"));
        assert_eq!(parse(&[], Dialect::Getex), Some(Options::default()));
        assert!(parse(&["persist"], Dialect::Getex).is_some());
        assert!(parse(&["nx", "nx", "keepttl", "KEEPTTL"], Dialect::Set).is_some());
    }

    #[test]
    fn last_time_of_the_same_form_counts() {
        let options = parse(&["EX", "1", "EX", "2"], Dialect::Set).unwrap();
        assert_eq!(options.lifetime, Lifetime::Given(TimeForm::EX, b"2"));
    }

    #[test]
    fn contradictions_and_foreign_words_are_syntax_errors() {
        for words in [
            &["nx", "xx"][..],
            &["ex", "1", "px", "1"],
            &["ex", "1", "keepttl"],
            &["keepttl", "exat", "1"],
            &["ex"],
            &["persist"],
            &["nonsense"],
            &[""],
        ] {
            assert_eq!(parse(words, Dialect::Set), None, "{words:?}");
        }
        for words in
            [&["nx"][..], &["get"], &["keepttl"], &["persist", "ex", "1"], &["ex", "1", "persist"]]
        {
            assert_eq!(parse(words, Dialect::Getex), None, "{words:?}");
        }
    }
}
