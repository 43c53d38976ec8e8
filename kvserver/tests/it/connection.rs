//! Commands about connections and the server.

use crate::support::Running;

#[test]
fn hello_answers_in_the_version_it_chooses() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.send("HELLO 3 SETNAME me\r\n");
    wire.expect(concat!(
        "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n",
        "$5\r\n7.2.4\r\n$5\r\nproto\r\n:3\r\n"
    ));
    wire.expect(
        "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n",
    );
    wire.expect("$7\r\nmodules\r\n*0\r\n");
    wire.ask("CLIENT GETNAME", "$2\r\nme\r\n");
    wire.ask("HELLO 4", "-NOPROTO unsupported protocol version\r\n");
    wire.ask("HELLO x", "-ERR Protocol version is not an integer or out of range\r\n");
    wire.ask("HELLO 2 NOSUCH", "-ERR Syntax error in HELLO option 'NOSUCH'\r\n");
    wire.ask(
        "HELLO 3 AUTH nobody x",
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    );
    wire.ask("RESET", "+RESET\r\n");
    wire.ask("CLIENT GETNAME", "$-1\r\n");
}

#[test]
fn auth_without_a_password_says_what_redis_says() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.ask(
        "AUTH x",
        "-ERR AUTH <password> called without any password configured for the default user. \
         Are you sure your configuration is correct?\r\n",
    );
    wire.ask("AUTH default x", "+OK\r\n");
    wire.ask("AUTH a b c", "-ERR syntax error\r\n");
}

#[test]
fn select_takes_indices_below_databases() {
    let server = Running::with(|config| config.databases = 3);
    let mut wire = server.connect();
    wire.ask("SELECT 2", "+OK\r\n");
    wire.ask("SELECT 3", "-ERR DB index is out of range\r\n");
    wire.ask("SELECT -1", "-ERR DB index is out of range\r\n");
    wire.ask("SELECT x", "-ERR value is not an integer or out of range\r\n");
    assert!(wire.bulk("CLIENT INFO").contains(" db=2 "));
}

#[test]
fn quit_replies_and_closes_and_runs_nothing_after() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.send("PING\r\nQUIT\r\nPING\r\n");
    wire.expect("+PONG\r\n+OK\r\n");
    wire.expect_closed();
}

#[test]
fn client_reply_silences_what_it_should() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.send("CLIENT REPLY SKIP\r\nECHO a\r\nECHO b\r\n");
    wire.expect("$1\r\nb\r\n");
    wire.send("CLIENT REPLY OFF\r\nECHO c\r\nNOSUCH\r\nCLIENT REPLY ON\r\nECHO d\r\n");
    wire.expect("+OK\r\n$1\r\nd\r\n");
}

#[test]
fn names_that_would_break_the_list_are_refused() {
    let server = Running::start();
    let mut wire = server.connect();
    let text = "cannot contain spaces, newlines or special characters.";
    wire.ask("CLIENT SETNAME \"a b\"", &format!("-ERR Client names {text}\r\n"));
    wire.ask("CLIENT SETINFO LIB-NAME \"a\\nb\"", &format!("-ERR lib-name {text}\r\n"));
    wire.ask("CLIENT SETINFO LIB-NAME redis-py", "+OK\r\n");
    wire.ask("CLIENT SETINFO nosuch x", "-ERR Unrecognized option 'nosuch'\r\n");
    wire.ask("CLIENT SETNAME fine", "+OK\r\n");
    let info = wire.bulk("CLIENT INFO");
    assert!(info.contains(" name=fine ") && info.contains(" lib-name=redis-py "), "{info}");
}

#[test]
fn client_kill_ends_others_by_id_and_oneself_after_the_reply() {
    let server = Running::start();
    let (mut a, mut b) = (server.connect(), server.connect());
    b.send("CLIENT ID\r\n");
    let id = b.line();
    a.ask(&format!("CLIENT KILL ID {}", &id[1..]), ":1\r\n");
    b.expect_closed();
    let me = a.bulk("CLIENT INFO");
    let addr = me.split(' ').find_map(|word| word.strip_prefix("addr=")).unwrap().to_owned();
    a.ask("CLIENT KILL 127.0.0.1:1", "-ERR No such client\r\n");
    a.ask(&format!("CLIENT KILL ADDR {addr}"), ":0\r\n");
    a.ask(&format!("CLIENT KILL {addr}"), "+OK\r\n");
    a.expect_closed();
}

#[test]
fn config_values_are_remembered_and_checked() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.ask("CONFIG SET maxmemory 10mb hz 20", "+OK\r\n");
    wire.ask("CONFIG GET maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$8\r\n10485760\r\n");
    wire.ask(
        "CONFIG SET nosuch 1",
        "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n",
    );
    wire.ask(
        "CONFIG SET databases 1",
        "-ERR CONFIG SET failed (possibly related to argument 'databases') - \
         can't set immutable config\r\n",
    );
    wire.ask("CONFIG GET nosuch", "*0\r\n");
    wire.ask("CONFIG REWRITE", "-ERR The server is running without a config file\r\n");
    wire.ask("HELLO 3 NOSUCH", "-ERR Syntax error in HELLO option 'NOSUCH'\r\n");
}

#[test]
fn command_tells_the_keys_of_a_request() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.ask("COMMAND GETKEYS WATCH a b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    wire.ask("COMMAND GETKEYSANDFLAGS WATCH a", "*1\r\n*2\r\n$1\r\na\r\n*1\r\n+RO\r\n");
    wire.ask("COMMAND GETKEYS PING", "-ERR The command has no key arguments\r\n");
    wire.ask("COMMAND GETKEYS NOSUCH a", "-ERR Invalid command specified\r\n");
    wire.ask("COMMAND INFO nosuch", "*1\r\n$-1\r\n");
    wire.ask("COMMAND LIST FILTERBY PATTERN ec*", "*1\r\n$4\r\necho\r\n");
}

#[test]
fn info_counts_calls_and_errors_and_resets() {
    let server = Running::start();
    let mut wire = server.connect();
    for _ in 0..3 {
        wire.ask("ECHO a", "$1\r\na\r\n");
    }
    wire.ask("HELLO 9", "-NOPROTO unsupported protocol version\r\n");
    let info = wire.bulk("INFO all");
    assert!(info.contains("cmdstat_echo:calls=3,"), "{info}");
    assert!(info.contains("errorstat_NOPROTO:count=1"), "{info}");
    assert!(info.contains("total_error_replies:1\r\n"), "{info}");
    assert!(info.contains("blocked_clients:0\r\n") && info.contains("connected_clients:1\r\n"));
    wire.ask("CONFIG RESETSTAT", "+OK\r\n");
    let info = wire.bulk("INFO commandstats");
    assert!(!info.contains("cmdstat_echo"), "{info}");
    assert!(!wire.bulk("INFO server").contains("# Stats"));
}

#[test]
fn connections_beyond_maxclients_are_told_so() {
    let server = Running::start();
    let mut first = server.connect();
    first.ask("CONFIG SET maxclients 1", "+OK\r\n");
    let mut second = server.connect();
    second.expect("-ERR max number of clients reached\r\n");
    second.expect_closed();
    first.ask("PING", "+PONG\r\n");
}
