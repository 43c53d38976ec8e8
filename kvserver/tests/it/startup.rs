//! What the binary refuses to start on, and that it says why, names it, and leaves it as it was.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::spawned::{PROGRAM, Spawned};
#[cfg(target_os = "linux")]
use crate::support::Wire;

/// A user who owns nothing and is not root, to whom permissions mean something.
const NOBODY: u32 = 65_534;

/// Runs a server that must not start; what it says about that.
fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(output.stdout.is_empty(), "it must not greet before it is sure");
    error
}

fn refusal_of(dir: &Path, port: u16) -> String {
    let port = port.to_string();
    refusal(Command::new(PROGRAM).arg("--dir").arg(dir).args(["--port", &port]))
}

#[test]
fn second_server_on_a_directory_is_refused_and_the_first_goes_on() {
    let root = TempDir::new().unwrap();
    let store = root.path().join("store");
    let mut first = Spawned::new(&store, &root.path().join("log"), &[]);
    first.ready();
    let error = refusal_of(&store, 0);
    assert!(error.contains(&store.join("LOCK").display().to_string()), "{error}");
    assert!(error.contains("is locked by another open store"), "{error}");
    assert!(first.terminate().success());
    // The lock ends with its process.
    let mut second = Spawned::new(&store, &root.path().join("log"), &[]);
    second.ready();
    assert!(second.terminate().success());
}

#[test]
fn lock_of_a_killed_server_is_free() {
    let root = TempDir::new().unwrap();
    let store = root.path().join("store");
    for _ in 0..3 {
        let mut server = Spawned::new(&store, &root.path().join("log"), &[]);
        server.ready();
        server.kill();
    }
    assert!(store.join("LOCK").exists());
}

#[test]
fn port_in_use_is_refused_before_anything_is_opened() {
    let root = TempDir::new().unwrap();
    let store = root.path().join("store");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    let error = refusal_of(&store, taken.port());
    assert!(error.contains(&format!("cannot listen on {taken}")), "{error}");
    assert!(error.contains("in use"), "{error}");
    assert!(!store.exists(), "nothing is made for a server that cannot serve");
}

#[test]
fn directory_that_is_not_a_store_is_refused_and_left_alone() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("letter.txt"), "dear").unwrap();
    let error = refusal_of(root.path(), 0);
    assert!(error.contains(&root.path().display().to_string()), "{error}");
    assert!(error.contains("is not a store") && error.contains("letter.txt"), "{error}");
    let names: Vec<_> = fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(names, [root.path().join("letter.txt")]);
}

#[test]
fn file_in_place_of_the_directory_is_refused_and_named() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "dear").unwrap();
    let error = refusal_of(&file, 0);
    let wanted = format!("{} is not a store: it is a regular file", file.display());
    assert!(error.contains(&wanted), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"dear");
}

#[test]
fn directory_in_place_of_a_file_of_the_store_is_refused_and_named() {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("000000000001.data")).unwrap();
    let error = refusal_of(root.path(), 0);
    assert!(error.contains("000000000001.data is not a store: it is a directory"), "{error}");
}

#[test]
fn read_only_directory_is_refused_and_named() {
    let root = TempDir::new().unwrap();
    fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
    // Where it lies, another user may not come.
    let program = root.path().join("kvserver");
    fs::copy(PROGRAM, &program).unwrap();
    let store = root.path().join("store");
    let mut server = Spawned::new(&store, &root.path().join("log"), &[]);
    server.ready();
    assert!(server.terminate().success());
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for dir in [&store, &empty] {
        fs::set_permissions(dir, Permissions::from_mode(0o555)).unwrap();
        let mut command = Command::new(&program);
        command.arg("--dir").arg(dir).args(["--port", "0"]);
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY);
        }
        let error = refusal(&mut command);
        assert!(error.contains(&dir.display().to_string()), "{error}");
        assert!(error.contains("ermission denied"), "{error}");
        fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
    }
    // And nothing has happened to it.
    let mut server = Spawned::new(&store, &root.path().join("log"), &[]);
    server.ready();
    assert!(server.terminate().success());
}

#[cfg(target_os = "linux")]
#[test]
fn more_clients_than_the_system_has_files_for_are_refused_at_run_time() {
    let root = TempDir::new().unwrap();
    let args = ["--maxclients", "100"];
    let mut server = Spawned::new(&root.path().join("store"), &root.path().join("log"), &args);
    let mut wire = Wire::connect(server.ready());
    server.limit_files(2_000);
    wire.ask(
        "CONFIG SET maxclients 5000",
        "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system \
         is not able to handle the specified number of clients, try with 1488\r\n",
    );
    wire.ask("CONFIG GET maxclients", "*2\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n");
    wire.ask("CONFIG SET maxclients 1488", "+OK\r\n");
    assert!(server.terminate().success());
}
