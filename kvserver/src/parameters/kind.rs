//! How a parameter's text is checked, and what is remembered of it.
//!
//! Pure. The texts of refusals are those of the reference server.

use crate::access::PASSWORD_BYTES_MAX;
use crate::data::Classes;
use crate::double;
use crate::number::parse_i64;

/// The type of a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    /// A text that is compared with what clients send: it must be exactly what was given.
    Password,
    YesNo,
    Integer {
        min: i64,
        max: i64,
    },
    /// A number written in base eight.
    Octal,
    /// Bytes, with units.
    Memory {
        min: u64,
        max: u64,
    },
    /// Bytes, or a share of the memory in percent.
    MemoryOrPercent,
    OneOf(&'static [&'static str]),
    /// What to do on a signal: words that go together.
    OnSignal,
    /// Pairs of seconds and changes.
    Save,
    /// Classes of keyspace events.
    Events,
    /// Per class of clients: hard limit, soft limit, seconds.
    OutputLimits,
    /// Three adjustments for the kernel's choice of victims.
    Adjustments,
    Percentiles,
}

/// Any number that is not negative.
pub(super) const ANY: Kind = Kind::Integer { min: 0, max: i64::MAX };
/// Any number that is not negative and fits 32 bits.
pub(super) const INT: Kind = Kind::Integer { min: 0, max: i32::MAX as i64 };
pub(super) const SIGNED_INT: Kind = Kind::Integer { min: i32::MIN as i64, max: i32::MAX as i64 };
pub(super) const PORT: Kind = Kind::Integer { min: 0, max: 65_535 };
pub(super) const MEMORY: Kind = memory_from(0);

/// At least so many bytes, and no more than a signed number tells.
pub(super) const fn memory_from(min: u64) -> Kind {
    Kind::Memory { min, max: i64::MAX.cast_unsigned() }
}

const SIGNAL_WORDS: [&str; 5] = ["default", "save", "nosave", "now", "force"];

impl Kind {
    /// The text to remember, or why it is refused; `current` is what it would replace.
    pub(super) fn accept(self, value: &[u8], current: &str) -> Result<String, String> {
        let text = String::from_utf8_lossy(value).into_owned();
        let lower = text.to_ascii_lowercase();
        match self {
            Kind::Text => Ok(text),
            Kind::Password => password(value),
            Kind::YesNo if ["yes", "no"].contains(&lower.as_str()) => Ok(lower),
            Kind::YesNo => refuse("argument must be 'yes' or 'no'"),
            Kind::OneOf(words) => one_of(words, lower),
            Kind::OnSignal => on_signal(&lower),
            Kind::Integer { min, max } => integer(value, min, max),
            Kind::Octal => octal(&text),
            Kind::Memory { min, max } => memory(&lower, min, max).map(|bytes| bytes.to_string()),
            Kind::MemoryOrPercent => memory_or_percent(&lower),
            Kind::Save => save(&text),
            Kind::Events => events(&text),
            Kind::OutputLimits => output_limits(&lower, current),
            Kind::Adjustments => adjustments(&text),
            Kind::Percentiles => percentiles(&text),
        }
    }

    /// The remembered text as a number: see [`super::Live`].
    pub(super) fn number(self, value: &str) -> i64 {
        match self {
            Kind::YesNo => i64::from(value == "yes"),
            Kind::OneOf(words) => {
                let place = words.iter().position(|word| *word == value).unwrap_or(0);
                i64::try_from(place).unwrap_or(0)
            }
            // Without a channel to tell it by, no event is told.
            Kind::Events => Classes::parse(value)
                .filter(|classes| !classes.is_none())
                .map_or(0, |classes| i64::from(classes.bits())),
            // Sizes beyond what is meant by "no limit" are no limit either.
            _ => value.parse().unwrap_or(i64::MAX),
        }
    }
}

fn refuse<T>(why: &str) -> Result<T, String> {
    Err(why.to_owned())
}

fn password(value: &[u8]) -> Result<String, String> {
    if value.len() > PASSWORD_BYTES_MAX {
        return refuse("Password is longer than CONFIG_AUTHPASS_MAX_LEN");
    }
    match std::str::from_utf8(value) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => refuse("a password must be UTF-8; ACL SETUSER takes any bytes"),
    }
}

fn one_of(words: &[&str], given: String) -> Result<String, String> {
    if words.contains(&given.as_str()) {
        return Ok(given);
    }
    Err(format!("argument(s) must be one of the following: {}", words.join(", ")))
}

fn on_signal(text: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return one_of(&SIGNAL_WORDS, String::new());
    }
    for word in &words {
        one_of(&SIGNAL_WORDS, (*word).to_owned())?;
    }
    if words.contains(&"save") && words.contains(&"nosave") {
        return refuse("shutdown options SAVE and NOSAVE can't be used simultaneously");
    }
    let asked = SIGNAL_WORDS[1..].iter().copied().filter(|word| words.contains(word));
    let asked: Vec<&str> = asked.collect();
    Ok(if asked.is_empty() { SIGNAL_WORDS[0].to_owned() } else { asked.join(" ") })
}

fn integer(value: &[u8], min: i64, max: i64) -> Result<String, String> {
    match parse_i64(value) {
        None => refuse("argument couldn't be parsed into an integer"),
        Some(n) if n < min || n > max => {
            Err(format!("argument must be between {min} and {max} inclusive"))
        }
        Some(n) => Ok(n.to_string()),
    }
}

fn octal(text: &str) -> Result<String, String> {
    match i64::from_str_radix(text, 8) {
        Err(_) => refuse("argument couldn't be parsed as an octal number"),
        Ok(n) if !(0..=0o777).contains(&n) => {
            refuse("argument must be between 0 and 777 inclusive")
        }
        Ok(n) => Ok(format!("{n:o}")),
    }
}

/// Bytes from a number with a unit, in lower case; no number is none. One that is too large is the
/// largest there is.
fn bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor = match unit {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    let number = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u64::MAX) };
    Some(number.saturating_mul(factor))
}

fn memory(text: &str, min: u64, max: u64) -> Result<u64, String> {
    match bytes(text) {
        None => refuse("argument must be a memory value"),
        Some(n) if n < min || n > max => {
            Err(format!("argument must be between {min} and {max} inclusive"))
        }
        Some(n) => Ok(n),
    }
}

fn memory_or_percent(text: &str) -> Result<String, String> {
    const WHY: &str = "argument must be a memory or percent value";
    const TOO_MUCH: &str = "percentage argument must be less or equal to 100";
    let Some(percent) = text.strip_suffix('%') else {
        return match bytes(text).map(i64::try_from) {
            None => refuse(WHY),
            // Percentages are kept as negative numbers there, and so this is taken for one.
            Some(Err(_)) => refuse(TOO_MUCH),
            Some(Ok(n)) => Ok(n.to_string()),
        };
    };
    match percent.parse::<u64>() {
        Err(_) => refuse(WHY),
        Ok(101..) => refuse(TOO_MUCH),
        Ok(0) => Ok("0".to_owned()),
        Ok(n) => Ok(format!("{n}%")),
    }
}

fn save(text: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let valid = |pair: &[&str]| match pair {
        [seconds, changes] => {
            seconds.parse().is_ok_and(|n: i64| n >= 1) && changes.parse().is_ok_and(|n: i64| n >= 0)
        }
        _ => false,
    };
    if words.chunks(2).all(valid) { Ok(words.join(" ")) } else { refuse("Invalid save parameters") }
}

fn events(text: &str) -> Result<String, String> {
    match Classes::parse(text) {
        Some(classes) => Ok(classes.letters()),
        None => refuse("Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
    }
}

/// The classes named are replaced, the others stay.
fn output_limits(text: &str, current: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if !words.len().is_multiple_of(4) {
        return refuse("Wrong number of arguments in buffer limit configuration.");
    }
    let mut limits: Vec<String> = current.split_whitespace().map(str::to_owned).collect();
    for limit in words.chunks(4) {
        let class = if limit[0] == "replica" { "slave" } else { limit[0] };
        let Some(at) = limits.iter().position(|word| word == class) else {
            return refuse("Invalid client class specified in buffer limit configuration.");
        };
        let seconds = limit[3].parse::<i32>().ok().and_then(|seconds| u64::try_from(seconds).ok());
        let (Some(hard), Some(soft), Some(seconds)) = (bytes(limit[1]), bytes(limit[2]), seconds)
        else {
            return refuse(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            );
        };
        for (word, n) in limits[at + 1..].iter_mut().zip([hard, soft, seconds]) {
            *word = n.to_string();
        }
    }
    Ok(limits.join(" "))
}

fn adjustments(text: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.len() != 3 {
        return refuse("wrong number of arguments");
    }
    let fits = |word: &&str| word.parse().is_ok_and(|n: i32| (-2000..=2000).contains(&n));
    if !words.iter().all(fits) {
        return refuse("Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
    }
    Ok(words.join(" "))
}

fn percentiles(text: &str) -> Result<String, String> {
    let mut shown = Vec::new();
    for word in text.split_whitespace() {
        match double::parse(word.as_bytes()) {
            None => return refuse("Invalid latency-tracking-info-percentiles parameters"),
            Some(n) if !(0.0..=100.0).contains(&n) => {
                return refuse(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
                );
            }
            Some(n) => shown.push(n.to_string()),
        }
    }
    Ok(shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_brought_into_one_form() {
        let limits = "normal 0 0 0 slave 1 2 3 pubsub 4 5 6";
        for (kind, given, expected) in [
            (MEMORY, "2KB", "2048"),
            (Kind::MemoryOrPercent, "5%", "5%"),
            (Kind::YesNo, "YES", "yes"),
            (Kind::Octal, "0700", "700"),
            (Kind::Save, " 60   5 ", "60 5"),
            (Kind::OnSignal, "now nosave NOW", "nosave now"),
            (Kind::OnSignal, "default", "default"),
            (Kind::Percentiles, "50.0 0.1 100", "50 0.1 100"),
            (Kind::Adjustments, "0 1 -2000", "0 1 -2000"),
            (Kind::OutputLimits, "replica 1kb 7 8", "normal 0 0 0 slave 1024 7 8 pubsub 4 5 6"),
        ] {
            assert_eq!(kind.accept(given.as_bytes(), limits).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (kind, given) in [
            (MEMORY, "-1"),
            (MEMORY, "1tb"),
            (memory_from(10), "9"),
            (memory_from(10), "9223372036854775808"),
            (Kind::MemoryOrPercent, "101%"),
            (Kind::Octal, "8"),
            (Kind::Save, "60"),
            (Kind::OnSignal, "save nosave"),
            (Kind::Percentiles, "101"),
            (Kind::Adjustments, "1 2"),
            (Kind::OutputLimits, "master 1 2 3"),
            (Kind::OutputLimits, "normal 1 2 x"),
            (Kind::Events, "Q"),
            (INT, "2147483648"),
        ] {
            assert!(kind.accept(given.as_bytes(), "normal 0 0 0").is_err(), "{kind:?} {given}");
        }
    }
}
