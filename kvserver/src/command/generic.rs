//! The commands for keys of any type, and for databases: the table.

mod database;
pub(crate) mod encoding;
mod existence;
mod expire;
mod object;
mod scan;
mod sort;
#[cfg(test)]
mod tests;
mod transfer;

pub(super) use database::parse_index;

use super::{Command, Flags, Group, KeyFlags, KeySpec};

const WRITE: Flags = Flags::WRITE;
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);
const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = READ.and(Flags::FAST);
/// Walks and draws whose keys no argument names.
const READ_ANY: Flags = READ.and(Flags::ARBITRARY_KEYS);

const READ_KEY: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const REMOVE_KEY: KeyFlags = KeyFlags::RM.and(KeyFlags::DELETE);
const UPDATE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::UPDATE);
const TAKE_KEY: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE);
const SET_KEY: KeyFlags = KeyFlags::OW.and(KeyFlags::UPDATE);
const NEW_KEY: KeyFlags = KeyFlags::OW.and(KeyFlags::INSERT);

const PER_KEY: &str = "O(N) with N the number of keys given";
const ALL_KEYS: &str = "O(N) with N the number of keys in the database";

const fn generic(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).group(Group::Generic)
}

const fn server(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).group(Group::Server)
}

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    generic("copy", -3, transfer::copy)
        .flags(WRITE.and(Flags::DENYOOM))
        .keys(&[KeySpec::one(1, READ_KEY), KeySpec::one(2, SET_KEY)])
        .since("6.2.0")
        .summary("Copies a key's value and expiry to another key, or another database.")
        .complexity("O(N) with N the size of the value"),
    server("dbsize", 1, database::dbsize)
        .flags(READ_FAST)
        .summary("Returns the number of keys in the selected database."),
    generic("del", -2, existence::del)
        .flags(WRITE)
        .keys(&[KeySpec::to_end(1, 1, REMOVE_KEY)])
        .summary("Deletes keys and returns how many existed.")
        .complexity(PER_KEY),
    generic("exists", -2, existence::exists)
        .flags(READ_FAST)
        .keys(&[KeySpec::to_end(1, 1, KeyFlags::RO)])
        .summary("Counts which of the keys exist.")
        .complexity(PER_KEY),
    generic("expire", -3, expire::expire)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, UPDATE_KEY)])
        .summary("Lets a key expire after so many seconds."),
    generic("expireat", -3, expire::expireat)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, UPDATE_KEY)])
        .since("1.2.0")
        .summary("Lets a key expire at a Unix time in seconds."),
    generic("expiretime", 2, expire::expiretime)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("7.0.0")
        .summary("Returns when a key expires, as a Unix time in seconds."),
    server("flushall", -1, database::flushall)
        .flags(WRITE.and(Flags::DANGEROUS))
        .summary("Removes every key of every database.")
        .complexity("O(N) with N the number of databases"),
    server("flushdb", -1, database::flushdb)
        .flags(WRITE.and(Flags::DANGEROUS))
        .summary("Removes every key of the selected database."),
    generic("keys", 2, scan::keys)
        .flags(READ.and(Flags::DANGEROUS))
        .summary("Returns all keys that match a pattern.")
        .complexity(ALL_KEYS),
    generic("move", 3, transfer::move_key)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, UPDATE_KEY.and(KeyFlags::ACCESS))])
        .summary("Moves a key to another database, unless it exists there."),
    generic("object", -2, object::help)
        .since("2.2.3")
        .summary("Answers questions about how a key's value is kept.")
        .subcommands(OBJECT),
    generic("persist", 2, expire::persist)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, UPDATE_KEY)])
        .since("2.2.0")
        .summary("Takes the expiry from a key."),
    generic("pexpire", -3, expire::pexpire)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, UPDATE_KEY)])
        .since("2.6.0")
        .summary("Lets a key expire after so many milliseconds."),
    generic("pexpireat", -3, expire::pexpireat)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, UPDATE_KEY)])
        .since("2.6.0")
        .summary("Lets a key expire at a Unix time in milliseconds."),
    generic("pexpiretime", 2, expire::pexpiretime)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("7.0.0")
        .summary("Returns when a key expires, as a Unix time in milliseconds."),
    generic("pttl", 2, expire::pttl)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .since("2.6.0")
        .summary("Returns how many milliseconds a key has left."),
    generic("randomkey", 1, scan::randomkey)
        .flags(READ_ANY)
        .summary("Returns a key chosen at random."),
    generic("rename", 3, transfer::rename)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, TAKE_KEY), KeySpec::one(2, SET_KEY)])
        .summary("Gives a key another name, replacing what had it.")
        .complexity("O(N) with N the size of a string, O(1) for other types"),
    generic("renamenx", 3, transfer::renamenx)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::one(1, TAKE_KEY), KeySpec::one(2, NEW_KEY)])
        .summary("Gives a key another name, unless that is taken.")
        .complexity("O(N) with N the size of a string, O(1) for other types"),
    generic("scan", -2, scan::scan)
        .flags(READ_ANY)
        .since("2.8.0")
        .summary("Walks over the keys of the database in steps.")
        .complexity("O(1) for a step, O(N) for a walk over N keys"),
    generic("sort", -2, sort::sort)
        .flags(WRITE.and(Flags::DENYOOM).and(Flags::MOVABLEKEYS).and(Flags::DANGEROUS))
        .keys(&[KeySpec::one(1, READ_KEY)])
        .keys_of(sort::sort_keys)
        .summary("Sorts the elements of a list, set or sorted set, perhaps by other keys.")
        .complexity("O(N log N + M) with M the number of elements returned"),
    generic("sort_ro", -2, sort::sort_ro)
        .flags(READ.and(Flags::MOVABLEKEYS).and(Flags::DANGEROUS))
        .keys(&[KeySpec::one(1, READ_KEY)])
        .keys_of(sort::sort_keys)
        .since("7.0.0")
        .summary("Sorts the elements of a list, set or sorted set, and never stores them.")
        .complexity("O(N log N + M) with M the number of elements returned"),
    server("swapdb", 3, database::swapdb)
        .flags(WRITE_FAST.and(Flags::DANGEROUS))
        .since("4.0.0")
        .summary("Exchanges the contents of two databases.")
        .complexity("O(N) with N the number of databases"),
    generic("touch", -2, existence::exists)
        .flags(READ_FAST)
        .keys(&[KeySpec::to_end(1, 1, KeyFlags::RO)])
        .since("3.2.1")
        .summary("Counts which of the keys exist, as a use of each.")
        .complexity(PER_KEY),
    generic("ttl", 2, expire::ttl)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, READ_KEY)])
        .summary("Returns how many seconds a key has left."),
    generic("type", 2, existence::type_of)
        .flags(READ_FAST)
        .keys(&[KeySpec::one(1, KeyFlags::RO)])
        .summary("Returns the type of what a key holds."),
    generic("unlink", -2, existence::del)
        .flags(WRITE_FAST)
        .keys(&[KeySpec::to_end(1, 1, REMOVE_KEY)])
        .since("4.0.0")
        .summary("Deletes keys: the same as DEL, which never waits for memory either.")
        .complexity(PER_KEY),
];

const OBJECT: &[Command] = &[
    generic("encoding", 3, object::encoding)
        .flags(READ)
        .keys(&[KeySpec::one(2, KeyFlags::RO)])
        .since("2.2.3")
        .summary("Returns the encoding the reference server would choose for a value."),
    generic("freq", 3, object::freq)
        .flags(READ)
        .keys(&[KeySpec::one(2, KeyFlags::RO)])
        .since("4.0.0")
        .summary("Always an error: how often keys are used is not tracked."),
    generic("help", 2, object::help)
        .flags(Flags::LOADING.and(Flags::STALE))
        .since("6.2.0")
        .summary("Lists the subcommands."),
    generic("idletime", 3, object::idletime)
        .flags(READ)
        .keys(&[KeySpec::one(2, KeyFlags::RO)])
        .since("2.2.3")
        .summary("Returns 0: when keys were last used is not tracked."),
    generic("refcount", 3, object::refcount)
        .flags(READ)
        .keys(&[KeySpec::one(2, KeyFlags::RO)])
        .since("2.2.3")
        .summary("Returns how many references the reference server would count to a value."),
];
