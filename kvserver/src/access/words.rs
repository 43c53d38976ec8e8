//! The words that rules are made of.
//!
//! Pure: bytes in, bytes out.

/// True if `text` has what separates words, or ends them in the reference server.
pub(crate) fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b' ' | b'\t'..=b'\r' | 0))
}

/// Puts words that parentheses hold together into one; the first that opens and is never closed
/// comes back.
pub(super) fn merged<'w>(words: &[&'w [u8]]) -> Result<Vec<Vec<u8>>, &'w [u8]> {
    let mut rules: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<&'w [u8]> = None;
    for word in words {
        match (open, rules.last_mut()) {
            (Some(_), Some(selector)) => {
                selector.push(b' ');
                selector.extend_from_slice(word);
                if word.ends_with(b")") {
                    open = None;
                }
            }
            _ => {
                open = (word.starts_with(b"(") && !word.ends_with(b")")).then_some(*word);
                rules.push(word.to_vec());
            }
        }
    }
    open.map_or(Ok(rules), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parentheses_hold_words_together() {
        let words: Vec<&[u8]> = vec![b"on", b"(~a", b"+get", b")", b"(+set)", b"", b">x"];
        let rules = merged(&words).unwrap();
        let expected: [&[u8]; 5] = [b"on", b"(~a +get )", b"(+set)", b"", b">x"];
        assert_eq!(rules, expected);
        assert_eq!(merged(&[b"(a", b"(b"]), Err(&b"(a"[..]));
        assert_eq!(merged(&[b"("]), Err(&b"("[..]));
    }
}
