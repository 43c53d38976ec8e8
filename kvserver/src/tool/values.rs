//! Values as their codec tells: JSON and text as themselves, everything else as bytes.

use serde_json::value::RawValue;

use super::base64;

/// How a value is written down.
pub(super) enum Shown<'a> {
    /// A JSON text.
    Json(&'a str),
    /// A text.
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Shown<'a> {
    /// What the codec of this name has written. What is not as it should be is bytes.
    pub(super) fn of(codec: &str, value: &'a [u8]) -> Shown<'a> {
        let text = std::str::from_utf8(value);
        match (codec, text) {
            // JSON lines end at line ends.
            ("json/1", Ok(text)) if !text.contains(['\n', '\r']) && is_json(text) => {
                Shown::Json(text)
            }
            ("utf8", Ok(text)) => Shown::Text(text),
            _ => Shown::Bytes(value),
        }
    }

    /// For people.
    pub(super) fn human(&self) -> String {
        match self {
            Shown::Json(text) => (*text).to_owned(),
            Shown::Text(text) => printable(text),
            Shown::Bytes(bytes) => format!("base64:{}", base64::encode(bytes)),
        }
    }

    /// A member of a JSON object, with its name: `"value":…` or `"value_base64":"…"`.
    pub(super) fn member(&self) -> String {
        match self {
            Shown::Json(text) => format!("\"value\":{text}"),
            Shown::Text(text) => format!("\"value\":{}", serde_json::json!(text)),
            Shown::Bytes(bytes) => format!("\"value_base64\":\"{}\"", base64::encode(bytes)),
        }
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok_and(|value| value.get().len() == text.len())
}

/// A text on one line, whatever it holds.
pub(super) fn printable(text: &str) -> String {
    if text.chars().any(char::is_control) { format!("{text:?}") } else { text.to_owned() }
}
