//! Which arguments are nobody's business: they are kept out of the slow log, and of what MONITOR
//! shows.

use super::table::Entry;

const REDACTED: &[u8] = b"(redacted)";
/// Parameters whose values give access, by any of the names they have had.
const SECRET_PARAMETERS: [&[u8]; 7] = [
    b"masterauth",
    b"masteruser",
    b"primaryauth",
    b"primaryuser",
    b"requirepass",
    b"tls-client-key-file-pass",
    b"tls-key-file-pass",
];

/// The arguments with what is secret replaced.
pub(crate) fn redacted<'a>(entry: &Entry, args: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut shown = args.to_vec();
    match entry.full_name.as_str() {
        "auth" => hide(&mut shown, 1),
        "acl|setuser" => hide(&mut shown, 2),
        // The command that does not run may be one of these.
        "acl|dryrun" => hide(&mut shown, 4),
        "config|set" => {
            for pair in shown.get_mut(2..).unwrap_or_default().chunks_mut(2) {
                if SECRET_PARAMETERS.iter().any(|name| pair[0].eq_ignore_ascii_case(name)) {
                    pair.iter_mut().skip(1).for_each(|value| *value = REDACTED);
                }
            }
        }
        "hello" => {
            let mut at = 2;
            while let Some(word) = args.get(at) {
                at += match word {
                    _ if word.eq_ignore_ascii_case(b"auth") => {
                        shown.iter_mut().skip(at + 1).take(2).for_each(|word| *word = REDACTED);
                        3
                    }
                    _ if word.eq_ignore_ascii_case(b"setname") => 2,
                    _ => 1,
                };
            }
        }
        _ => {}
    }
    shown
}

fn hide(args: &mut [&[u8]], from: usize) {
    args.iter_mut().skip(from).for_each(|arg| *arg = REDACTED);
}
