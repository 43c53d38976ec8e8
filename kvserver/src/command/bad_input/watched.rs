//! What each command changes for those who watch its keys: as for the reference server.

use super::events::MORE;
use super::{Both, KEYS, entry_of, examples, words};

/// Requests that change nothing here and all the same make EXEC fail there: a key set with a time
/// in the past, a list trimmed to what it is. PFDEBUG writes down here what it makes of a sketch.
fn is_known(request: &str) -> bool {
    request.ends_with("pxat 1") || request == "ltrim l 0 -1" || request.starts_with("pfdebug")
}

#[test]
fn every_example_changes_for_watchers_what_it_does_on_the_reference_server() {
    let mut both = Both::new();
    let more = MORE.iter().copied().filter(|request| entry_of(&words(request)).is_some());
    let is_plain = |request: &&str| {
        !request.contains("subscribe") && !request.starts_with("debug") && !is_known(request)
    };
    let mut watched = 0;
    for request in examples().chain(more).filter(is_plain) {
        let named = words(request);
        let is_for_all = request.starts_with("flush") || request.starts_with("swapdb");
        for key in KEYS.iter().filter(|key| is_for_all || named.contains(&key.to_vec())) {
            both.is_set_up = false;
            both.ask(&words("select 1"));
            both.ask(&words("set none 1"));
            both.ask(&words("select 0"));
            both.set_up();
            both.ask(&vec![b"watch".to_vec(), key.to_vec()]);
            both.ask(&named);
            let known = both.differences.len();
            both.ask(&words("multi"));
            both.ask(&words("ping"));
            both.ask(&words("exec"));
            let new = &mut both.differences[known..];
            new.iter_mut().for_each(|d| d.insert_str(0, &format!("{request}, {key:?} watched: ")));
            watched += 1;
        }
    }
    both.assert_same();
    assert!(watched > 300, "{watched}");
}
