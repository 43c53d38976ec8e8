//! What users may do, as their clients see it.

use crate::access::has_spaces;
use crate::command::testing::Fixture;
use crate::resp::Protocol;

const KEY: &str = "-NOPERM No permissions to access a key";
const CHANNEL: &str = "-NOPERM No permissions to access a channel";

fn command(user: &str, name: &str) -> String {
    format!("-NOPERM User {user} has no permissions to run the '{name}' command")
}

#[test]
fn a_new_user_may_do_nothing_until_it_is_told_what() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("ACL SETUSER new >pass", "+OK"),
        ("ACL USERS", "*2 $7 default $3 new"),
        ("AUTH new pass", "-WRONGPASS invalid username-password pair or user is disabled."),
        ("ACL SETUSER new on", "+OK"),
        ("AUTH new pass", "+OK"),
        ("ACL WHOAMI", &command("new", "acl|whoami")),
        ("SET foo bar", &command("new", "set")),
        ("CONFIG GET x", &command("new", "config|get")),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with:"),
        ("HELLO 2 AUTH default any SETNAME me", fixture_hello()),
    ]);
}

/// The reply of HELLO, as `check` sees it.
fn fixture_hello() -> &'static str {
    "*14 $6 server $5 redis $7 version $5 7.2.4 $5 proto :2 $2 id :1 $4 mode $10 standalone $4 \
     role $6 master $7 modules *0"
}

#[test]
fn a_change_of_rights_is_seen_by_the_next_command_of_every_client() {
    let mut fixture = Fixture::new();
    fixture.check(&[("ACL SETUSER u on nopass +@all ~foo:* ~bar:*", "+OK")]);
    fixture.be(2).check(&[
        ("AUTH u x", "+OK"),
        ("ACL WHOAMI", "$1 u"),
        ("SET foo:1 a", "+OK"),
        ("SET zap a", KEY),
        ("GET bar:1", "$-1"),
        ("PUBLISH c x", CHANNEL),
    ]);
    fixture.be(1).check(&[("ACL SETUSER u ~* allchannels", "+OK")]);
    fixture.be(2).check(&[("SET zap a", "+OK"), ("SET zap a", "+OK"), ("PUBLISH c x", ":0")]);
    fixture.be(1).check(&[("ACL SETUSER u -set", "+OK")]);
    fixture.be(2).check(&[
        ("SET zap a", &command("u", "set")),
        ("GET zap", "$1 a"),
        ("RESET", "+RESET"),
        ("ACL WHOAMI", "$7 default"),
        ("SET zap a", "+OK"),
    ]);
    // The user `default` can be restricted, too.
    fixture
        .be(1)
        .check(&[("ACL SETUSER default -get", "+OK"), ("GET zap", &command("default", "get"))]);
    fixture.be(2).check(&[("GET zap", &command("default", "get")), ("STRLEN zap", ":1")]);
}

#[test]
fn what_is_not_allowed_is_refused_when_queued_and_when_run() {
    let mut fixture = Fixture::new();
    fixture.check(&[("ACL SETUSER u on nopass +multi +exec +incr +get +discard ~a ~b", "+OK")]);
    fixture.be(2).check(&[
        ("AUTH u x", "+OK"),
        ("MULTI", "+OK"),
        ("INCR c", KEY),
        ("SET a x", &command("u", "set")),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
        ("MULTI", "+OK"),
        ("INCR a", "+QUEUED"),
        ("INCR b", "+QUEUED"),
        ("GET a", "+QUEUED"),
    ]);
    fixture.be(1).check(&[("ACL SETUSER u resetkeys ~a -get", "+OK")]);
    let changed = "-NOPERM ACLs rules changed between the moment the transaction was accumulated \
                   and the EXEC call. This command is no longer allowed for the following reason: ";
    fixture.be(2).check(&[(
        "EXEC",
        &format!(
            "*3 :1 {changed}no permission to touch the specified keys {changed}no permission to \
             execute the command or subcommand"
        ),
    )]);
    fixture.be(2).check(&[("MULTI", "+OK"), ("INCR a", "+QUEUED")]);
    fixture.be(1).check(&[("ACL SETUSER u -exec", "+OK")]);
    fixture.be(2).check(&[
        (
            "EXEC",
            "-EXECABORT Transaction discarded because of: NOPERM User u has no permissions to run \
             the 'exec' command",
        ),
        ("DISCARD", "-ERR DISCARD without MULTI"),
    ]);
    let log = fixture.be(1).run("ACL LOG").replace("\r\n", " ");
    assert!(log.contains("$6 reason $3 key $7 context $5 multi $6 object $1 b $8 username $1 u "));
    assert!(log.contains("$6 reason $7 command $7 context $5 multi $6 object $4 exec"), "{log}");
    assert!(log.contains("cmd=exec user=u "), "{log}");
}

#[test]
fn who_becomes_another_user_inside_multi_has_its_rights_from_there_on() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("ACL SETUSER u on nopass +get ~*", "+OK"),
        ("MULTI", "+OK"),
        ("SET k v", "+QUEUED"),
        ("AUTH u x", "+QUEUED"),
        ("SET k w", "+QUEUED"),
        ("GET k", "+QUEUED"),
    ]);
    let reply = fixture.run("EXEC");
    assert!(reply.starts_with("*4\r\n+OK\r\n+OK\r\n-NOPERM ACLs rules changed"), "{reply}");
    assert!(reply.ends_with("\r\n$1\r\nv\r\n"), "{reply}");
    fixture.check(&[("SET k w", &command("u", "set"))]);
}

#[test]
fn who_waits_is_refused_if_it_may_no_longer_have_what_comes() {
    let mut fixture = Fixture::new();
    fixture.check(&[("ACL SETUSER u on nopass +@all ~list", "+OK")]);
    fixture.be(2).check(&[("AUTH u x", "+OK"), ("BLPOP list 0", "")]);
    fixture.be(3).check(&[("BLPOP list 0", "")]);
    fixture.be(1).check(&[("ACL SETUSER u resetkeys", "+OK"), ("RPUSH list a", ":1")]);
    let served = fixture.served();
    assert_eq!(served[0], (2, KEY.to_owned()));
    assert_eq!(served[1], (3, "*2 $4 list $1 a".to_owned()));
    let stats = fixture.run("INFO commandstats");
    assert!(stats.contains("cmdstat_blpop:calls=1,"), "{stats}");
    assert!(stats.contains("rejected_calls=1,failed_calls=0"), "{stats}");
}

#[test]
fn refusals_are_logged_and_counted() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("ACL SETUSER u on nopass +set +publish ~object:*", "+OK"),
        ("AUTH u x", "+OK"),
        ("GET foo", &command("u", "get")),
        ("GET foo", &command("u", "get")),
        ("SCRIPT HELP", &command("u", "script|help")),
        ("SET other 1", KEY),
        ("PUBLISH other 1", CHANNEL),
        ("AUTH u2 x", "-WRONGPASS invalid username-password pair or user is disabled."),
        ("AUTH default x", "+OK"),
    ]);
    let log = fixture.run("ACL LOG").replace("\r\n", " ");
    assert!(
        log.starts_with("*5 *20 $5 count :1 $6 reason $4 auth $7 context $8 toplevel $6 object ")
    );
    for entry in [
        "$5 count :2 $6 reason $7 command $7 context $8 toplevel $6 object $3 get $8 username $1 \
         u ",
        "$6 reason $7 command $7 context $8 toplevel $6 object $11 script|help $8 username $1 u ",
        "$6 reason $3 key $7 context $8 toplevel $6 object $5 other $8 username $1 u ",
        "$6 reason $7 channel $7 context $8 toplevel $6 object $5 other $8 username $1 u ",
        "cmd=get user=u ",
        "cmd=auth user=u ",
    ] {
        assert!(log.contains(entry), "{entry} in {log}");
    }
    for (field, count) in [("auth", 1), ("cmd", 3), ("key", 1), ("channel", 1)] {
        assert_eq!(fixture.info(&format!("acl_access_denied_{field}")), count, "{field}");
    }
    fixture.check(&[
        ("CONFIG SET acllog-max-len 0", "+OK"),
        ("AUTH u3 x", "-WRONGPASS invalid username-password pair or user is disabled."),
        ("ACL LOG", "*0"),
    ]);
}

#[test]
fn sort_by_and_get_need_every_key() {
    let mut fixture = Fixture::new();
    let by = "-ERR BY option of SORT denied due to insufficient ACL permissions.";
    let get = "-ERR GET option of SORT denied due to insufficient ACL permissions.";
    fixture.check(&[("SET v1 1", "+OK"), ("RPUSH mylist 1", ":1")]);
    for (rules, allowed) in [
        ("(+sort ~mylist)", false),
        ("(+sort ~mylist ~v*)", false),
        ("(+sort ~mylist %W~*)", false),
        ("(+sort ~mylist %R~*)", true),
        ("(+sort ~*)", true),
        ("(+sort ~mylist) (~*)", false),
    ] {
        fixture.check(&[
            (&format!("ACL SETUSER u reset on nopass {rules}"), "+OK"),
            ("AUTH u x", "+OK"),
            ("SORT mylist BY v*", if allowed { "*1 $1 1" } else { by }),
            ("SORT mylist GET v*", if allowed { "*1 $1 1" } else { get }),
            ("SORT mylist GET #", if allowed { "*1 $1 1" } else { get }),
            ("SORT mylist BY nosort", "*1 $1 1"),
            ("AUTH default x", "+OK"),
        ]);
    }
}

#[test]
fn dryrun_names_what_is_missing() {
    Fixture::new().check(&[
        ("ACL SETUSER u +@all -set %R~read* %W~write* ~any* &c", "+OK"),
        ("ACL DRYRUN u get read", "+OK"),
        ("ACL DRYRUN u set any x", "$50 User u has no permissions to run the 'set' command"),
        ("ACL DRYRUN u get write", "$51 User u has no permissions to access the 'write' key"),
        ("ACL DRYRUN u publish d x", "$51 User u has no permissions to access the 'd' channel"),
        (
            "ACL DRYRUN u mset any1 v other v",
            "$51 User u has no permissions to access the 'other' key",
        ),
        ("ACL DRYRUN u get", "-ERR wrong number of arguments for 'get' command"),
        ("ACL DRYRUN u sort read store write", "+OK"),
    ]);
}

#[test]
fn rules_are_shown_as_they_can_be_given() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        (
            "ACL SETUSER u -@all +get resetchannels &c1 %R~f1 %W~b1 ~z1 (-@all +set &c2 %R~f2 ~z2)",
            "+OK",
        ),
        (
            "ACL GETUSER u",
            "*12 $5 flags *2 $3 off $16 sanitize-payload $9 passwords *0 $8 commands $10 -@all \
             +get $4 keys $15 %R~f1 %W~b1 ~z1 $8 channels $3 &c1 $9 selectors *1 *6 $8 commands \
             $10 -@all +set $4 keys $9 %R~f2 ~z2 $8 channels $3 &c2",
        ),
        (
            "ACL LIST",
            "*2 $51 user default on nopass sanitize-payload ~* &* +@all $113 user u off \
             sanitize-payload %R~f1 %W~b1 ~z1 resetchannels &c1 -@all +get (%R~f2 ~z2 \
             resetchannels &c2 -@all +set)",
        ),
        ("CONFIG SET acl-pubsub-default allchannels", "+OK"),
        ("ACL SETUSER v ()", "+OK"),
    ]);
    fixture.client.protocol = Protocol::Resp3;
    fixture.check(&[
        (
            "ACL GETUSER v",
            "%6 $5 flags ~2 $3 off $16 sanitize-payload $9 passwords *0 $8 commands $5 -@all $4 \
             keys $0  $8 channels $2 &* $9 selectors *1 %3 $8 commands $5 -@all $4 keys $0  $8 \
             channels $2 &*",
        ),
        ("ACL GETUSER w", "_"),
    ]);
    assert!(fixture.run("ACL LOG").starts_with("*0"));
}

#[test]
fn refused_rules_say_why_and_change_nothing() {
    let mut fixture = Fixture::new();
    let refused = |rule: &str, why: &str| {
        (
            format!("ACL SETUSER u on {rule}"),
            format!("-ERR Error in ACL SETUSER modifier '{rule}': {why}"),
        )
    };
    let unknown = "Unknown command or category name in ACL";
    let cases = [
        refused(")", "Syntax error"),
        refused("foo", "Syntax error"),
        refused("%~", "Syntax error"),
        refused("%z~a", "Syntax error"),
        refused("%RR~a", "Syntax error"),
        refused("+get|", "Syntax error"),
        refused("(this-is-invalid)", "Syntax error"),
        refused("(+foo)", unknown),
        refused("+nosuch", unknown),
        refused("+", unknown),
        refused("-@foo", unknown),
        refused("-get|a", unknown),
        refused("+config|x", unknown),
        refused("+get|a|b", unknown),
        refused("+config|get|x", "Allowing first-arg of a subcommand is not supported"),
    ];
    for (request, reply) in &cases {
        fixture.check(&[(request.as_str(), reply.as_str()), ("ACL GETUSER u", "$-1")]);
    }
    fixture.check(&[
        (
            "ACL SETUSER u (+PING (+SELECT (+DEL",
            "-ERR Unmatched parenthesis in acl selector starting at '(+PING'.",
        ),
        (
            "ACL SETUSER u ~* ~a",
            "-ERR Error in ACL SETUSER modifier '~a': Adding a pattern after the * pattern (or the \
             'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start \
             with an empty list of patterns",
        ),
        (
            "ACL SETUSER u (&* &fail)",
            "-ERR Error in ACL SETUSER modifier '(&* &fail)': Adding a pattern after the * pattern \
             (or the 'allchannels' flag) is not valid and does not have any effect. Try \
             'resetchannels' to start with an empty list of channels",
        ),
        ("ACL USERS", "*1 $7 default"),
    ]);
    let reply = fixture.call(&[b"ACL", b"SETUSER", b"a b"]);
    assert_eq!(reply, b"-ERR Usernames can't contain spaces or null characters\r\n");
    assert!(has_spaces(b"a\x0bb") && has_spaces(b"\0") && !has_spaces(b"\x85"));
}

#[test]
fn clients_are_known_by_their_user() {
    let mut fixture = Fixture::new();
    fixture.check(&[("ACL SETUSER u on nopass +@all ~*", "+OK"), ("AUTH u x", "+OK")]);
    assert!(fixture.run("CLIENT INFO").contains(" user=u "));
    fixture.check(&[
        ("CLIENT KILL USER nobody", "-ERR No such user 'nobody'"),
        ("CLIENT KILL USER default", ":0"),
        ("RESET", "+RESET"),
    ]);
    assert!(fixture.run("CLIENT INFO").contains(" user=default "));
    fixture.check(&[
        ("AUTH u x", "+OK"),
        ("ACL DELUSER u u nobody", ":1"),
        ("ACL DELUSER u", "-NOAUTH Authentication required."),
    ]);
    assert!(fixture.client.close);
}

#[test]
fn patterns_that_cost_much_end_soon() {
    let mut fixture = Fixture::new();
    let pattern = format!("~{}b", "a*".repeat(900));
    let key = "a".repeat(30_000);
    fixture
        .check(&[(&format!("ACL SETUSER u on nopass +get {pattern}"), "+OK"), ("AUTH u x", "+OK")]);
    fixture.check(&[(&format!("GET {key}"), KEY)]);
}
