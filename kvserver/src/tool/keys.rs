//! Keys as JSON, by the tag of their keyspace, and back.
//!
//! | tag | JSON |
//! |---|---|
//! | `str`, `char` | text |
//! | `u8` … `u64`, `i8` … `i64` | number |
//! | `u128`, `i128` | decimal number as text: JSON's numbers end earlier |
//! | `bool` | true, false |
//! | `bytes`, `[u8;N]` | `{"base64": "…"}` |
//! | tuples | array |

use kvcore::{AsKey, Key, Position};
use serde_json::{Value, json};

use super::base64;

/// The structure of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Str,
    Bytes,
    Char,
    Bool,
    /// Signed or not, and how many bytes.
    Unsigned(usize),
    Signed(usize),
    Array(usize),
    Tuple(Vec<Tag>),
}

impl Tag {
    /// What a tag says; `None` for one that this program does not know.
    pub(super) fn parse(text: &str) -> Option<Tag> {
        let mut rest = text;
        let tag = Tag::take(&mut rest)?;
        rest.is_empty().then_some(tag)
    }

    fn take(rest: &mut &str) -> Option<Tag> {
        if let Some(inside) = rest.strip_prefix('(') {
            *rest = inside;
            let mut parts = vec![Tag::take(rest)?];
            while let Some(more) = rest.strip_prefix(',') {
                *rest = more;
                parts.push(Tag::take(rest)?);
            }
            *rest = rest.strip_prefix(')')?;
            return Some(Tag::Tuple(parts));
        }
        if let Some(inside) = rest.strip_prefix("[u8;") {
            let (len, behind) = inside.split_once(']')?;
            *rest = behind;
            return len.parse().ok().map(Tag::Array);
        }
        let end = rest.find([',', ')']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        *rest = behind;
        Tag::scalar(name)
    }

    fn scalar(name: &str) -> Option<Tag> {
        Some(match name {
            "str" => Tag::Str,
            "bytes" => Tag::Bytes,
            "char" => Tag::Char,
            "bool" => Tag::Bool,
            "u8" | "u16" | "u32" | "u64" | "u128" => Tag::Unsigned(width(name)?),
            "i8" | "i16" | "i32" | "i64" | "i128" => Tag::Signed(width(name)?),
            _ => return None,
        })
    }

    /// A stored key as JSON; `None` if the bytes are no such key.
    pub(super) fn to_json(&self, bytes: &[u8]) -> Option<Value> {
        let mut rest = bytes;
        let value = self.decode(&mut rest, Position::Last)?;
        rest.is_empty().then_some(value)
    }

    fn decode(&self, rest: &mut &[u8], at: Position) -> Option<Value> {
        Some(match self {
            Tag::Str => json!(String::decode_key(rest, at).ok()?),
            Tag::Char => json!(char::decode_key(rest, at).ok()?),
            Tag::Bool => json!(bool::decode_key(rest, at).ok()?),
            Tag::Bytes => bytes_json(&Vec::<u8>::decode_key(rest, at).ok()?),
            Tag::Array(len) => bytes_json(take(rest, *len)?),
            Tag::Unsigned(16) => json!(u128::decode_key(rest, at).ok()?.to_string()),
            Tag::Signed(16) => json!(i128::decode_key(rest, at).ok()?.to_string()),
            Tag::Unsigned(width) => {
                let mut bytes = [0; 8];
                bytes[8 - width..].copy_from_slice(take(rest, *width)?);
                json!(u64::from_be_bytes(bytes))
            }
            Tag::Signed(width) => {
                let stored = take(rest, *width)?;
                // The sign bit is stored flipped; behind it the number is sign-extended.
                let fill = if stored[0] & 0x80 == 0 { 0xff } else { 0 };
                let mut bytes = [fill; 8];
                bytes[8 - width..].copy_from_slice(stored);
                bytes[8 - width] ^= 0x80;
                json!(i64::from_be_bytes(bytes))
            }
            Tag::Tuple(parts) => {
                let mut values = Vec::with_capacity(parts.len());
                for (i, part) in parts.iter().enumerate() {
                    values.push(part.decode(rest, place(i, parts.len(), at))?);
                }
                Value::Array(values)
            }
        })
    }

    /// The stored key that JSON stands for; `None` if it is no such key.
    pub(super) fn to_bytes(&self, value: &Value) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.encode(value, &mut bytes, Position::Last)?;
        Some(bytes)
    }

    fn encode(&self, value: &Value, out: &mut Vec<u8>, at: Position) -> Option<()> {
        match self {
            Tag::Str => value.as_str()?.encode_key(out, at),
            Tag::Char => {
                let mut chars = value.as_str()?.chars();
                let one = chars.next().filter(|_| chars.as_str().is_empty())?;
                one.encode_key(out, at);
            }
            Tag::Bool => value.as_bool()?.encode_key(out, at),
            Tag::Bytes => json_bytes(value)?.as_slice().encode_key(out, at),
            Tag::Array(len) => out.extend(json_bytes(value).filter(|b| b.len() == *len)?),
            Tag::Unsigned(16) => value.as_str()?.parse::<u128>().ok()?.encode_key(out, at),
            Tag::Signed(16) => value.as_str()?.parse::<i128>().ok()?.encode_key(out, at),
            Tag::Unsigned(width) => {
                let bytes = value.as_u64()?.to_be_bytes();
                let (above, bytes) = bytes.split_at(8 - width);
                above.iter().all(|b| *b == 0).then(|| out.extend_from_slice(bytes))?;
            }
            Tag::Signed(width) => {
                let number = value.as_i64()?;
                let bits = u32::try_from(8 * (8 - width)).ok()?;
                let fits = number << bits >> bits == number;
                let start = out.len();
                fits.then(|| out.extend_from_slice(&number.to_be_bytes()[8 - width..]))?;
                out[start] ^= 0x80;
            }
            Tag::Tuple(parts) => {
                let values = value.as_array().filter(|values| values.len() == parts.len())?;
                for (i, (part, value)) in parts.iter().zip(values).enumerate() {
                    part.encode(value, out, place(i, parts.len(), at))?;
                }
            }
        }
        Some(())
    }

    /// A key as it is typed: text as it stands, bytes as text or after `base64:`, numbers, tuples
    /// as a JSON array.
    pub(super) fn argument(&self, text: &str) -> Result<Vec<u8>, String> {
        let wrong = || format!("{text:?} is no key of type {}", self.name());
        let value = match self {
            Tag::Str | Tag::Char | Tag::Unsigned(16) | Tag::Signed(16) => json!(text),
            Tag::Bytes | Tag::Array(_) => match text.strip_prefix("base64:") {
                Some(text) => json!({ "base64": text }),
                None => bytes_json(text.as_bytes()),
            },
            _ => serde_json::from_str(text).map_err(|_| wrong())?,
        };
        self.to_bytes(&value).ok_or_else(wrong)
    }

    /// What keys begin with: of text and bytes the first ones, of tuples a JSON array of the first
    /// components.
    pub(super) fn prefix(&self, text: &str) -> Result<Vec<u8>, String> {
        match self {
            Tag::Str | Tag::Bytes | Tag::Array(_) => match text.strip_prefix("base64:") {
                Some(text) => base64::decode(text).ok_or_else(|| format!("{text:?} is no base64")),
                None => Ok(text.as_bytes().to_vec()),
            },
            Tag::Tuple(parts) => {
                let values: Option<Vec<Value>> = serde_json::from_str(text).ok();
                let encode = |values: Vec<Value>| {
                    let mut bytes = Vec::new();
                    if values.len() > parts.len() {
                        return None;
                    }
                    for (i, (part, value)) in parts.iter().zip(&values).enumerate() {
                        part.encode(value, &mut bytes, place(i, parts.len(), Position::Last))?;
                    }
                    Some(bytes)
                };
                values.and_then(encode).ok_or_else(|| {
                    format!("{text:?} is no JSON array of the first parts of a {}", self.name())
                })
            }
            _ => Err(format!("keys of type {} have no prefixes", self.name())),
        }
    }

    fn name(&self) -> String {
        match self {
            Tag::Str => "str".to_owned(),
            Tag::Bytes => "bytes".to_owned(),
            Tag::Char => "char".to_owned(),
            Tag::Bool => "bool".to_owned(),
            Tag::Unsigned(width) => format!("u{}", width * 8),
            Tag::Signed(width) => format!("i{}", width * 8),
            Tag::Array(len) => format!("[u8;{len}]"),
            Tag::Tuple(parts) => {
                let parts: Vec<String> = parts.iter().map(Tag::name).collect();
                format!("({})", parts.join(","))
            }
        }
    }
}

fn width(name: &str) -> Option<usize> {
    name[1..].parse::<usize>().ok().map(|bits| bits / 8)
}

/// Where a component of a tuple stands.
fn place(i: usize, parts: usize, at: Position) -> Position {
    if i + 1 == parts { at } else { Position::Inner }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(taken)
}

/// Bytes as JSON.
pub(super) fn bytes_json(bytes: &[u8]) -> Value {
    json!({ "base64": base64::encode(bytes) })
}

/// And back.
pub(super) fn json_bytes(value: &Value) -> Option<Vec<u8>> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    base64::decode(object.get("base64")?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn comes_back<K: Key>(key: &K, wanted: &Value) {
        let mut name = String::new();
        K::type_tag(&mut name);
        let tag = Tag::parse(&name).unwrap();
        assert_eq!(tag.name(), name);
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        assert_eq!(tag.to_json(&bytes).as_ref(), Some(wanted));
        assert_eq!(tag.to_bytes(wanted), Some(bytes));
    }

    #[test]
    fn keys_of_every_tag_come_back() {
        comes_back(&"a\0é\"".to_owned(), &json!("a\0é\""));
        comes_back(&vec![0_u8, 255], &json!({ "base64": "AP8=" }));
        comes_back(&[1_u8, 2, 3], &json!({ "base64": "AQID" }));
        comes_back(&u64::MAX, &json!(u64::MAX));
        comes_back(&7_u8, &json!(7));
        for n in [i16::MIN, -1, 0, 1, i16::MAX] {
            comes_back(&n, &json!(n));
        }
        for n in [i64::MIN, -1, 0, i64::MAX] {
            comes_back(&n, &json!(n));
        }
        comes_back(&i128::MIN, &json!(i128::MIN.to_string()));
        comes_back(&u128::MAX, &json!(u128::MAX.to_string()));
        comes_back(&true, &json!(true));
        comes_back(&'é', &json!("é"));
        let tuple = ("a\0b".to_owned(), -3_i32, (vec![0_u8], 'x'));
        comes_back(&tuple, &json!(["a\0b", -3, [{ "base64": "AA==" }, "x"]]));
    }

    #[test]
    fn what_is_no_such_key_is_refused() {
        let tag = |text| Tag::parse(text).unwrap();
        assert_eq!(tag("u8").to_bytes(&json!(256)), None);
        assert_eq!(tag("i8").to_bytes(&json!(-129)), None);
        assert_eq!(tag("u8").to_bytes(&json!(-1)), None);
        assert_eq!(tag("str").to_bytes(&json!(5)), None);
        assert_eq!(tag("(str,u8)").to_bytes(&json!(["a"])), None);
        assert_eq!(tag("[u8;2]").to_bytes(&json!({ "base64": "AQID" })), None);
        assert_eq!(tag("char").to_bytes(&json!("ab")), None);
        assert_eq!(tag("u16").to_json(&[1]), None);
        for text in ["", "f64", "(str", "(str,u8", "str)", "[u8;x]", "u64x"] {
            assert_eq!(Tag::parse(text), None, "{text}");
        }
    }

    #[test]
    fn arguments_are_what_people_type() {
        let tag = |text| Tag::parse(text).unwrap();
        assert_eq!(tag("str").argument("ada"), Ok(b"ada".to_vec()));
        assert_eq!(tag("u16").argument("258"), Ok(vec![1, 2]));
        assert_eq!(tag("bytes").argument("base64:AQI="), Ok(vec![1, 2]));
        assert_eq!(tag("(str,u8)").argument(r#"["a",1]"#), Ok(b"a\0\0\x01".to_vec()));
        assert_eq!(tag("(str,u8)").prefix(r#"["a"]"#), Ok(b"a\0\0".to_vec()));
        assert!(tag("u16").argument("x").is_err() && tag("u16").prefix("1").is_err());
    }
}
