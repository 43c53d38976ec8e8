//! How far two replies must be the same, and in what they are known to differ.
//!
//! Knows requests and replies. Does not know servers.

/// How far two replies must be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    /// Byte for byte.
    Same,
    /// Of the same kind: what depends on the instant, or on how a value came to be.
    Kind,
    /// Of the same length: what is drawn at random.
    Length,
    /// The same lines in any order: what has none.
    Lines,
    /// The same numbers, however they are written; there is one zero.
    Numbers,
}

fn likeness(request: &[String], reply: &str) -> Likeness {
    let second = request.get(1).map_or_else(String::new, |word| word.to_ascii_lowercase());
    let second = second.as_str();
    match request[0].as_str() {
        "ttl" | "pttl" | "expiretime" | "pexpiretime" if reply.starts_with(":-") => Likeness::Same,
        "ttl" | "pttl" | "expiretime" | "pexpiretime" | "randomkey" => Likeness::Kind,
        "object" if second != "freq" => Likeness::Kind,
        "scan" | "hscan" | "sscan" | "zscan" => Likeness::Kind,
        "hello" | "info" | "time" | "lastsave" | "role" | "acl" => Likeness::Kind,
        "memory" if reply.starts_with(':') => Likeness::Kind,
        "client" if ["id", "info", "list"].contains(&second) => Likeness::Kind,
        "command" if second == "count" => Likeness::Kind,
        "slowlog" if ["len", "get"].contains(&second) => Likeness::Kind,
        "keys" | "hgetall" | "hkeys" | "hvals" | "smembers" | "sinter" | "sunion" | "sdiff"
        | "spop" => Likeness::Lines,
        "sort" | "sort_ro" if request.iter().any(|word| word == "BY") => Likeness::Lines,
        "hrandfield" | "srandmember" | "zrandmember" => Likeness::Length,
        name if name.starts_with('z') || name.starts_with("bz") => Likeness::Numbers,
        _ => Likeness::Same,
    }
}

/// What of a reply is compared, as text.
pub(in crate::command) fn comparable(request: &[String], reply: &[u8]) -> String {
    // A character for each byte, so that nothing is lost.
    let text: String = reply.iter().map(|byte| char::from(*byte)).collect();
    if text.starts_with('-') {
        return text;
    }
    match likeness(request, &text) {
        Likeness::Same => text,
        Likeness::Kind => text[..1].to_owned(),
        Likeness::Length if text.starts_with('$') => "$".to_owned(),
        Likeness::Length => text.lines().next().unwrap_or_default().to_owned(),
        Likeness::Numbers => {
            let number = |line: &str| line.trim_start_matches(',').parse::<f64>().ok();
            let value =
                |line: &str| number(line).map_or(line.to_owned(), |n| (n + 0.0).to_string());
            let lines = text.lines().filter(|line| !line.starts_with('$')).map(value);
            lines.collect::<Vec<_>>().join(" ")
        }
        Likeness::Lines => {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            lines.join(" ")
        }
    }
}

/// True for replies in which version 7.2 differs from 7.0: there, BITCOUNT and BITPOS ask for the
/// key before they read their arguments, and WAIT takes times that the clock cannot reach.
pub(in crate::command) fn is_newer(request: &[String], ours: &str) -> bool {
    match request[0].as_str() {
        "bitcount" | "bitpos" => ours.starts_with("-ERR"),
        "wait" => ours.starts_with("-ERR timeout is out of range"),
        _ => false,
    }
}

/// True for replies that tell of a key which was set with a time in the past: there it takes memory
/// until it is touched.
pub(super) fn is_of_the_past(request: &[String], ours: &str, theirs: &str) -> bool {
    request[0] == "memory" && ["$", "_"].contains(&&ours[..1]) && theirs.starts_with(':')
}

/// True for a reply behind which the reference server's key may have changed all the same: adding
/// to a sketch whose bytes are broken adds what comes before the broken place, and fails then.
pub(super) fn leaves_half(request: &[String], reply: &[u8]) -> bool {
    ["pfadd", "pfmerge"].contains(&request[0].as_str()) && reply.starts_with(b"-INVALIDOBJ")
}

/// True for requests that may change nothing, and all the same make EXEC fail there: a key set with
/// a time in the past that was not there, a list trimmed to what it is.
pub(super) fn changes_nothing_but_counts(request: &[String]) -> bool {
    let has_time = |word: &String| ["EXAT", "PXAT"].contains(&word.as_str());
    request[0] == "ltrim" || request.iter().any(has_time)
}
