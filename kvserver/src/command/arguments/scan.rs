//! Cursor and options of SCAN, HSCAN, SSCAN and ZSCAN.

use super::{CommandError, integer};
use crate::glob::{self, Case};
use crate::number::parse_u64;

/// Elements a step looks at unless told otherwise.
const COUNT_DEFAULT: usize = 10;

/// What is walked over: each has options of its own beside COUNT and MATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// `TYPE type`
    Keys,
    /// `NOVALUES`
    Fields,
    /// None.
    Members,
    /// `NOSCORES`
    Scores,
}

impl Scanned {
    /// The option that leaves out what names have with them.
    fn names_only(self) -> Option<&'static str> {
        match self {
            Scanned::Keys | Scanned::Members => None,
            Scanned::Fields => Some("NOVALUES"),
            Scanned::Scores => Some("NOSCORES"),
        }
    }
}

/// Digits only: the reference server also takes a sign or nothing at all.
pub(crate) fn cursor(text: &[u8]) -> Result<u64, CommandError> {
    parse_u64(text).ok_or(CommandError::InvalidCursor)
}

/// What names must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern<'a>(Option<&'a [u8]>);

impl<'a> Pattern<'a> {
    pub(crate) fn of(text: &'a [u8]) -> Self {
        Pattern((text != b"*").then_some(text))
    }
    pub(crate) fn fits(self, name: &[u8]) -> bool {
        self.0.is_none_or(|pattern| glob::matches(pattern, name, Case::Sensitive))
    }
}

/// The options, in any order; of repeated ones the last counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScanOptions<'a> {
    pub(crate) count: usize,
    pattern: Pattern<'a>,
    pub(crate) kind: Option<&'a [u8]>,
    pub(crate) names_only: bool,
}

impl<'a> ScanOptions<'a> {
    pub(crate) fn parse(words: &[&'a [u8]], scanned: Scanned) -> Result<Self, CommandError> {
        let mut options = ScanOptions {
            count: COUNT_DEFAULT,
            pattern: Pattern(None),
            kind: None,
            names_only: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if scanned.names_only().is_some_and(is) {
                options.names_only = true;
                continue;
            }
            let value = words.next().ok_or(CommandError::Syntax)?;
            if is("COUNT") {
                let count = usize::try_from(integer(value)?).ok().filter(|count| *count > 0);
                options.count = count.ok_or(CommandError::Syntax)?;
            } else if is("MATCH") {
                options.pattern = Pattern::of(value);
            } else if scanned == Scanned::Keys && is("TYPE") {
                options.kind = Some(value);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
    pub(crate) fn fits(&self, name: &[u8]) -> bool {
        self.pattern.fits(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'a>(words: &[&'a str], scanned: Scanned) -> Result<ScanOptions<'a>, String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        ScanOptions::parse(&words, scanned).map_err(|error| error.to_string())
    }

    #[test]
    fn scan_options_come_in_any_order_and_the_last_counts() {
        let words = ["type", "string", "COUNT", "5", "match", "a*", "count", "7"];
        let options = parse(&words, Scanned::Keys).unwrap();
        assert_eq!(options.count, 7);
        assert_eq!(options.pattern, Pattern(Some(b"a*")));
        assert_eq!(options.kind, Some(&b"string"[..]));
        assert_eq!(parse(&["MATCH", "*"], Scanned::Keys).unwrap().pattern, Pattern(None));
        assert!(parse(&["count", "2", "novalues"], Scanned::Fields).unwrap().names_only);
        assert!(parse(&["noscores", "match", "a*"], Scanned::Scores).unwrap().names_only);
    }

    #[test]
    fn bad_scan_options_are_refused() {
        let syntax = Err("ERR syntax error".to_owned());
        for words in [&["COUNT", "0"][..], &["COUNT", "-1"], &["COUNT"], &["what", "1"]] {
            assert_eq!(parse(words, Scanned::Keys), syntax, "{words:?}");
        }
        assert_eq!(parse(&["TYPE", "set"], Scanned::Members), syntax);
        assert_eq!(parse(&["NOVALUES"], Scanned::Members), syntax);
        assert_eq!(parse(&["NOVALUES"], Scanned::Scores), syntax);
        assert_eq!(parse(&["NOSCORES"], Scanned::Fields), syntax);
        let integer = Err("ERR value is not an integer or out of range".to_owned());
        assert_eq!(parse(&["COUNT", "x"], Scanned::Keys), integer);
    }
}
