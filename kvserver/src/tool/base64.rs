//! Bytes as text: base64 with padding (RFC 4648, section 4).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What each character stands for; [`NONE`] for those that stand for nothing.
const SIX_BITS: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut six: u8 = 0;
    while six < 64 {
        table[ALPHABET[six as usize] as usize] = six;
        six += 1;
    }
    table
};
const NONE: u8 = 255;

/// The text of some bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for i in 0..4 {
            let six = usize::try_from(bits >> (18 - 6 * i) & 63).unwrap_or_default();
            text.push(if i <= chunk.len() { char::from(ALPHABET[six]) } else { '=' });
        }
    }
    text
}

/// The bytes of a text; `None` if it is not base64.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|c| **c == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text[..text.len() - padding].chunks(4) {
        let mut bits: u32 = 0;
        for i in 0..4 {
            let six = match group.get(i) {
                Some(c) => SIX_BITS[usize::from(*c)],
                None => 0,
            };
            if six == NONE {
                return None;
            }
            bits = bits << 6 | u32::from(six);
        }
        let [_, group_bytes @ ..] = bits.to_be_bytes();
        let len = group.len() - 1;
        // Bits that no byte needs are zero, so that there is one text for some bytes.
        if group_bytes[len..].iter().any(|b| *b != 0) {
            return None;
        }
        bytes.extend_from_slice(&group_bytes[..len]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_the_standard_come_out_and_back() {
        let samples = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (len, text) in samples.iter().enumerate() {
            let bytes = &b"foobar"[..len];
            assert_eq!(encode(bytes), *text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn every_byte_comes_back_and_other_texts_do_not_decode() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&bytes)), Some(bytes));
        for text in ["Z", "Zg=", "Zh==", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm9-"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
