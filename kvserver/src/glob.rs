//! Glob patterns over bytes, as `KEYS`, `SCAN MATCH` and `CONFIG GET` understand them.
//!
//! `*` any run, `?` any byte, `[abc]` `[a-z]` `[^a-z]` one byte of a class, `\x` the byte `x`.
//! Knows bytes only: no text encoding, no keys, no allocation.
//!
//! # Invariants
//!
//! G1. Time is at most the product of both lengths: every element but `*` takes exactly one byte,
//!     so only the last `*` ever needs to be retried.
//! G2. There is no malformed pattern: an unclosed class ends with the pattern, a last lone
//!     backslash stands for itself.

/// Stars that may be followed by something. Redis since 7.2.6 (CVE-2024-31228) gives up at this
/// depth and reports no match; clients and test suites rely on it.
const NESTED_STARS_MAX: usize = 1000;

/// Whether letters match their other case too (ASCII only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// Bytes match themselves.
    Sensitive,
    /// `a` matches `A`.
    Ignored,
}

impl Case {
    fn fold(self, byte: u8) -> u8 {
        match self {
            Case::Sensitive => byte,
            Case::Ignored => byte.to_ascii_lowercase(),
        }
    }
}

/// Whether the whole of `text` matches `pattern`.
pub(crate) fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    let mut stars = 0;
    loop {
        if pattern.get(p) == Some(&b'*') {
            while pattern.get(p) == Some(&b'*') {
                p += 1;
            }
            if p == pattern.len() {
                return true;
            }
            stars += 1;
            if stars > NESTED_STARS_MAX {
                return false;
            }
            retry = Some((p, t));
            continue;
        }
        match text.get(t) {
            None => return p == pattern.len(),
            Some(&byte) => {
                if let Some(next) = match_one(pattern, p, byte, case) {
                    (p, t) = (next, t + 1);
                    continue;
                }
            }
        }
        // Give the last star one byte more; earlier stars cannot help (G1).
        let Some((after_star, from)) = retry else { return false };
        retry = Some((after_star, from + 1));
        (p, t) = (after_star, from + 1);
    }
}

/// Matches one byte against the element at `p`, which is not a star.
/// Returns where the next element begins.
fn match_one(pattern: &[u8], p: usize, byte: u8, case: Case) -> Option<usize> {
    match (*pattern.get(p)?, pattern.get(p + 1)) {
        (b'?', _) => Some(p + 1),
        (b'[', _) => match_class(pattern, p + 1, byte, case),
        (b'\\', Some(&literal)) => (case.fold(literal) == case.fold(byte)).then_some(p + 2),
        (literal, _) => (case.fold(literal) == case.fold(byte)).then_some(p + 1),
    }
}

/// Matches one byte against a class whose `[` is just before `p`.
fn match_class(pattern: &[u8], mut p: usize, byte: u8, case: Case) -> Option<usize> {
    let byte = case.fold(byte);
    let negated = pattern.get(p) == Some(&b'^');
    p += usize::from(negated);
    let mut found = false;
    loop {
        match (pattern.get(p), pattern.get(p + 1), pattern.get(p + 2)) {
            (None, ..) => break,
            (Some(b'\\'), Some(&literal), _) => {
                found |= case.fold(literal) == byte;
                p += 2;
            }
            (Some(b']'), ..) => {
                p += 1;
                break;
            }
            // The end of a range may be any byte, `]` too: `[a-]` runs from `]` to `a`.
            (Some(&a), Some(b'-'), Some(&b)) => {
                let (a, b) = (case.fold(a), case.fold(b));
                found |= (a.min(b)..=a.max(b)).contains(&byte);
                p += 3;
            }
            (Some(&literal), ..) => {
                found |= case.fold(literal) == byte;
                p += 1;
            }
        }
    }
    (found != negated).then_some(p)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: bool, cases: &[(&str, &str)]) {
        for (pattern, text) in cases {
            let got = matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive);
            assert_eq!(got, expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn literals_and_wildcards_match_the_whole_text() {
        check(
            true,
            &[
                ("", ""),
                ("abc", "abc"),
                ("a?c", "abc"),
                ("*", "anything"),
                ("*", ""),
                ("a*", "a"),
                ("a**", "a"),
                ("*c", "abc"),
                ("a*c*e", "abcde"),
                ("*b*b*", "abab"),
                ("h*llo", "heeeello"),
                ("*aab", "aaaaab"),
                ("foo*", "foo_a"),
            ],
        );
        check(
            false,
            &[
                ("", "a"),
                ("a", ""),
                ("abc", "ab"),
                ("ab", "abc"),
                ("?", ""),
                ("a*c", "abd"),
                ("a*?", "a"),
                ("*b", "ba"),
                ("*a*b", "ba"),
            ],
        );
    }

    #[test]
    fn classes_take_ranges_in_either_order_negation_and_escapes() {
        check(
            true,
            &[
                ("h[ae]llo", "hallo"),
                ("h[^e]llo", "hbllo"),
                ("h[a-b]llo", "hbllo"),
                ("h[b-a]llo", "hallo"),
                ("[\\]]", "]"),
                ("[\\-]", "-"),
                ("[^a-z]", "A"),
                ("[-a]", "-"),
                ("*[0-9]", "key:7"),
                ("[a-c-e]", "-"),
                ("[a-c-e]", "e"),
            ],
        );
        check(
            false,
            &[
                ("h[ae]llo", "hillo"),
                ("h[^e]llo", "hello"),
                ("[^a-z]", "q"),
                ("[abc]", ""),
                ("[]", "a"),
            ],
        );
    }

    #[test]
    fn escaped_metacharacters_stand_for_themselves() {
        check(
            true,
            &[("\\*", "*"), ("a\\?", "a?"), ("\\[x]", "[x]"), ("\\\\", "\\"), ("a\\", "a\\")],
        );
        check(false, &[("\\*", "a"), ("a\\?", "ab")]);
    }

    #[test]
    fn g2_unclosed_class_ends_with_the_pattern() {
        check(true, &[("[abc", "b"), ("[a-", "-"), ("[^", "x"), ("[a-]", "a"), ("[a-]", "_")]);
        check(false, &[("[abc", "d"), ("[", "["), ("[abc", "ab")]);
    }

    #[test]
    fn ignored_case_folds_literals_classes_and_ranges() {
        assert!(matches(b"MAX[a-c]\\X*", b"maxBxyz", Case::Ignored));
        assert!(!matches(b"MAX*", b"maxmemory", Case::Sensitive));
    }

    #[test]
    fn g1_nested_stars_end_in_bounded_time() {
        let text = vec![b'a'; 60_000];
        let mut pattern = b"a*".repeat(900);
        pattern.push(b'b');
        assert!(!matches(&pattern, &text, Case::Sensitive));
    }

    #[test]
    fn more_stars_than_the_limit_match_nothing_unless_the_last_is_trailing() {
        let text = vec![b'a'; 50_000];
        assert!(!matches(&b"*?".repeat(50_000), &text, Case::Sensitive));
        assert!(!matches(&b"*a".repeat(1_001), &text, Case::Sensitive));
        assert!(matches(&b"*a".repeat(1_000), &text, Case::Sensitive));
        assert!(matches(&b"a*".repeat(1_001), &text, Case::Sensitive));
    }

    /// The definition, with no thought for time.
    fn reference(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => (0..=text.len()).any(|n| reference(&pattern[1..], &text[n..])),
            (Some(_), Some(&byte)) => match_one(pattern, 0, byte, Case::Sensitive)
                .is_some_and(|next| reference(&pattern[next..], &text[1..])),
            _ => false,
        }
    }

    #[test]
    fn agrees_with_the_recursive_definition_on_random_patterns() {
        let seed = 0x5eed_610b;
        println!("seed {seed:#x}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..50_000 {
            let pattern: Vec<u8> =
                (0..rng.usize(..8)).map(|_| b"ab*?[]^-\\"[rng.usize(..9)]).collect();
            let text: Vec<u8> = (0..rng.usize(..8)).map(|_| b"ab]"[rng.usize(..3)]).collect();
            assert_eq!(
                matches(&pattern, &text, Case::Sensitive),
                reference(&pattern, &text),
                "{:?} on {:?}",
                String::from_utf8_lossy(&pattern),
                String::from_utf8_lossy(&text)
            );
        }
    }
}
