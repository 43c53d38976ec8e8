//! Dialogues. Replies are those of the reference server; where they differ from one version to
//! another, those of 7.2.

mod beside;
mod rights;

use super::super::testing::Fixture;
use super::look::entries;
use crate::command::introspection::{CATEGORIES, categories};

const NOAUTH: &str = "-NOAUTH Authentication required.";
const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.";
const NO_PASSWORD: &str = "-ERR AUTH <password> called without any password configured for the \
                           default user. Are you sure your configuration is correct?";
/// The digest of `abc`.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn without_a_password_everybody_is_the_user_default() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("AUTH x", NO_PASSWORD),
        ("AUTH default x", "+OK"),
        ("AUTH other x", WRONGPASS),
        ("AUTH a b c", "-ERR syntax error"),
        ("ACL WHOAMI", "$7 default"),
        ("ACL USERS", "*1 $7 default"),
        ("ACL LIST", "*1 $51 user default on nopass sanitize-payload ~* &* +@all"),
        (
            "ACL GETUSER default",
            "*12 $5 flags *3 $2 on $6 nopass $16 sanitize-payload $9 passwords *0 $8 commands \
             $5 +@all $4 keys $2 ~* $8 channels $2 &* $9 selectors *0",
        ),
        ("ACL GETUSER other", "$-1"),
    ]);
}

#[test]
fn with_a_password_only_handshakes_are_open_to_who_has_not_given_it() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("CONFIG SET requirepass abc", "+OK"),
        ("SET k v", "+OK"),
        ("RESET", "+RESET"),
        ("GET k", NOAUTH),
        ("MULTI", NOAUTH),
        ("EXEC", "-EXECABORT Transaction discarded because of: NOAUTH Authentication required."),
        ("CONFIG SET requirepass", "-ERR wrong number of arguments for 'config|set' command"),
        ("CONFIG SET requirepass \"\"", NOAUTH),
        ("ACL WHOAMI", NOAUTH),
        ("PING", NOAUTH),
        ("AUTH wrong", WRONGPASS),
        ("AUTH default wrong", WRONGPASS),
        ("AUTH other abc", WRONGPASS),
        ("GET k", NOAUTH),
        ("AUTH abc", "+OK"),
        ("GET k", "$1 v"),
        ("AUTH wrong", WRONGPASS),
        ("GET k", "$1 v"),
        ("CONFIG SET requirepass other", "+OK"),
        ("GET k", "$1 v"),
        ("CONFIG GET requirepass", "*2 $11 requirepass $5 other"),
        ("AUTH abc", WRONGPASS),
        ("CONFIG SET requirepass \"\"", "+OK"),
        ("AUTH abc", NO_PASSWORD),
    ]);
    let bytes = fixture.call(&[b"CONFIG", b"SET", b"requirepass", b"\xff"]);
    assert!(bytes.starts_with(b"-ERR CONFIG SET failed"), "{}", bytes.escape_ascii());
    let long = fixture.call(&[b"CONFIG", b"SET", b"requirepass", &[b'x'; 513]]);
    assert!(long.ends_with(b"Password is longer than CONFIG_AUTHPASS_MAX_LEN\r\n"));
}

#[test]
fn hello_authenticates_or_says_how() {
    let mut fixture = Fixture::new();
    fixture.check(&[("CONFIG SET requirepass abc", "+OK"), ("RESET", "+RESET")]);
    for request in ["HELLO", "HELLO 3", "HELLO 3 SETNAME me"] {
        let reply = fixture.run(request);
        assert!(reply.starts_with("-NOAUTH HELLO must be called with the client already"));
    }
    fixture.check(&[("HELLO 3 AUTH default wrong", WRONGPASS), ("PING", NOAUTH)]);
    assert!(fixture.run("HELLO 3 SETNAME me AUTH default abc").starts_with("%7"));
    fixture.check(&[("CLIENT GETNAME", "$2 me"), ("RESET", "+RESET"), ("CLIENT GETNAME", NOAUTH)]);
}

#[test]
fn the_user_default_can_be_changed_and_not_deleted() {
    let mut fixture = Fixture::new();
    let shown = format!("*1 $110 user default on sanitize-payload #{ABC} ~* &* +@all");
    fixture.check(&[
        ("ACL SETUSER default >abc on ~* &* +@all", "+OK"),
        ("ACL LIST", &shown),
        ("AUTH abc", "+OK"),
        (
            "ACL SETUSER default <x",
            "-ERR Error in ACL SETUSER modifier '<x': The password you are trying to remove from \
             the user does not exist",
        ),
        (
            "ACL SETUSER default >new -@nosuch",
            "-ERR Error in ACL SETUSER modifier '-@nosuch': Unknown command or category name in \
             ACL",
        ),
        ("ACL LIST", &shown),
        ("ACL DELUSER default", "-ERR The 'default' user cannot be removed"),
        ("ACL DELUSER other", ":0"),
        ("ACL SETUSER default off", "+OK"),
        ("AUTH abc", WRONGPASS),
        ("PING", "+PONG"),
        ("ACL SETUSER default on nopass", "+OK"),
        ("AUTH default any", "+OK"),
    ]);
    for request in ["ACL SAVE", "ACL LOAD"] {
        assert!(fixture.run(request).contains("not configured to use an ACL file"));
    }
}

#[test]
fn failures_are_kept_with_who_failed() {
    let mut fixture = Fixture::new();
    fixture.check(&[("CONFIG SET requirepass abc", "+OK"), ("AUTH x", WRONGPASS)]);
    fixture.now_ms += 1500;
    fixture.check(&[("AUTH y", WRONGPASS), ("HELLO 3 AUTH someone x", WRONGPASS)]);
    let log = fixture.run("ACL LOG").replace("\r\n", " ");
    assert!(log.starts_with("*2 *20 $5 count :1 $6 reason $4 auth $7 context $8 toplevel "));
    assert!(log.contains("$6 object $5 HELLO $8 username $7 someone $11 age-seconds $5 0.000 "));
    assert!(log.contains(" $5 count :2 ") && log.contains("$4 AUTH $8 username $7 default"));
    assert!(log.contains("entry-id :0 ") && log.contains("timestamp-created :1700000000000 "));
    assert!(log.contains("id=1 addr=127.0.0.1:1") && !log.contains("abc"));
    assert!(fixture.run("ACL LOG 1").starts_with("*1\r\n"));
    fixture.check(&[
        ("ACL LOG 0", "*0"),
        ("ACL LOG x", "-ERR value is not an integer or out of range"),
        ("ACL LOG RESET", "+OK"),
        ("ACL LOG", "*0"),
    ]);
}

#[test]
fn categories_are_those_of_the_table_and_none_is_empty() {
    let mut fixture = Fixture::new();
    let reply = fixture.run("ACL CAT");
    let names: Vec<&str> = reply.lines().filter(|line| !line.starts_with(['*', '$'])).collect();
    assert_eq!(names.len(), CATEGORIES.len(), "{names:?}");
    for name in names {
        assert!(!fixture.run(&format!("ACL CAT {name}")).starts_with("*0"), "{name}");
    }
    for entry in entries() {
        for category in categories(entry) {
            assert!(CATEGORIES.contains(&category), "{category}");
        }
    }
    assert!(fixture.run("ACL CAT Dangerous").contains("\r\nacl|setuser\r\n"));
    fixture.check(&[("ACL CAT foo", "-ERR Unknown category 'foo'")]);
}

#[test]
fn generated_passwords_have_as_many_digits_as_asked_for() {
    let mut fixture = Fixture::new();
    for (request, digits) in [
        ("ACL GENPASS", 64),
        ("ACL GENPASS 5", 2),
        ("ACL GENPASS 9", 3),
        ("ACL GENPASS 4096", 1024),
    ] {
        let (first, second) = (fixture.run(request), fixture.run(request));
        assert!(first.starts_with(&format!("${digits}\r\n")), "{first}");
        assert_eq!(first.trim_end().lines().last().unwrap().len(), digits);
        assert!(digits < 16 || first != second);
    }
    let refused = "-ERR ACL GENPASS argument must be the number of bits for the output password, \
                   a positive number up to 4096";
    fixture.check(&[
        ("ACL GENPASS 0", refused),
        ("ACL GENPASS -9223372036854775808", refused),
        ("ACL GENPASS 4097", refused),
        ("ACL GENPASS x", "-ERR value is not an integer or out of range"),
    ]);
}

#[test]
fn dryrun_tells_what_would_be_refused_and_runs_nothing() {
    Fixture::new().check(&[
        ("ACL DRYRUN default set k v", "+OK"),
        ("EXISTS k", ":0"),
        ("ACL DRYRUN default get", "-ERR wrong number of arguments for 'get' command"),
        ("ACL DRYRUN other get k", "-ERR User 'other' not found"),
        ("ACL DRYRUN default nocmd", "-ERR Command 'nocmd' not found"),
        ("ACL DRYRUN default config foo", "-ERR Command 'config' not found"),
    ]);
}

#[test]
fn passwords_are_kept_out_of_the_slow_log() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("CONFIG SET slowlog-log-slower-than 0", "+OK"),
        ("CONFIG SET requirepass tell-nobody", "+OK"),
        ("ACL SETUSER default >tell-nobody", "+OK"),
        ("AUTH tell-nobody", "+OK"),
        ("ACL DRYRUN default AUTH tell-nobody", "+OK"),
    ]);
    fixture.run("HELLO 2 AUTH default tell-nobody");
    let slow = fixture.run("SLOWLOG GET");
    assert!(slow.contains("(redacted)") && slow.contains("requirepass"), "{slow}");
    assert!(!slow.contains("tell-nobody"), "{slow}");
}
