//! What a server is started with.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use crate::access::USER_SETTING;
use crate::data::ReverseIndex;
use crate::error::Error;

/// When a write counts as done, named as Redis names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendFsync {
    /// A reply leaves when everything it tells survives power loss.
    Always,
    /// The log is synced every second: power loss may take the last second, `kill -9` nothing.
    #[default]
    EverySec,
    /// The log is synced when the store thinks fit; `kill -9` takes nothing.
    No,
}

impl AppendFsync {
    /// The word used in flags and in `CONFIG`.
    pub fn name(self) -> &'static str {
        match self {
            AppendFsync::Always => "always",
            AppendFsync::EverySec => "everysec",
            AppendFsync::No => "no",
        }
    }
    /// What it means for the data, in one sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            AppendFsync::Always => "a reply means the write survives power loss",
            AppendFsync::EverySec => {
                "a reply means the write survives kill -9; power loss may take the last second"
            }
            AppendFsync::No => {
                "a reply means the write survives kill -9; power loss may take the last seconds"
            }
        }
    }
}

/// How to run a server. `Config::default()` listens on 127.0.0.1:6379 with 16 databases.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// The address to listen on.
    pub bind: IpAddr,
    /// The port; 0 takes any free one.
    pub port: u16,
    /// Connections served at once, at least 1; more are refused with an error.
    pub clients_max: usize,
    /// The number of databases, 1 to 1024.
    pub databases: usize,
    /// Worker threads, 1 to 256.
    pub threads: usize,
    /// When replies to writes leave.
    pub appendfsync: AppendFsync,
    /// Refuse addresses other machines can reach, unless `settings` has a password (`requirepass`);
    /// and their connections, while the password is removed.
    pub protected_mode: bool,
    /// What `CONFIG GET dir` answers.
    pub dir: String,
    /// Further parameters by name, as `CONFIG SET` takes them, and with them those that it refuses
    /// to change, such as `enable-debug-command`; not those that have a field here.
    /// Under the name `user`, and more than once, users as `NAME RULE …`, by the rules of ACL
    /// SETUSER; or all of them are in the file that `aclfile` names.
    pub settings: Vec<(String, String)>,
    /// Keep a reverse index of all sets, for `SWITHMEMBER`. Built at the start if it is not there,
    /// dropped at the start if it is not wanted.
    pub set_reverse_index: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 6379,
            clients_max: 10_000,
            databases: 16,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            appendfsync: AppendFsync::default(),
            protected_mode: true,
            dir: String::new(),
            settings: Vec::new(),
            set_reverse_index: false,
        }
    }
}

/// The values of settings are left out: one may be a password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings: Vec<&str> = self.settings.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Config")
            .field("bind", &self.bind)
            .field("port", &self.port)
            .field("clients_max", &self.clients_max)
            .field("databases", &self.databases)
            .field("threads", &self.threads)
            .field("appendfsync", &self.appendfsync)
            .field("protected_mode", &self.protected_mode)
            .field("dir", &self.dir)
            .field("settings", &settings)
            .field("set_reverse_index", &self.set_reverse_index)
            .finish()
    }
}

impl Config {
    /// The address and port to listen on.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }

    /// True if clients will have to give a password, or may have to: with users of its own a server
    /// looks at each connection again.
    fn has_password(&self) -> bool {
        let has_users = |(name, _): &(String, String)| {
            ["aclfile", USER_SETTING].iter().any(|own| name.eq_ignore_ascii_case(own))
        };
        if self.settings.iter().any(has_users) {
            return true;
        }
        let is_password = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("requirepass");
        self.settings.iter().rfind(is_password).is_some_and(|(_, value)| !value.is_empty())
    }

    pub(crate) fn reverse_index(&self) -> ReverseIndex {
        if self.set_reverse_index { ReverseIndex::On } else { ReverseIndex::Off }
    }

    /// Listens on [`Config::addr`], after a check that this is meant.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] if the address is taken or not ours, [`Error::Unprotected`] and
    /// [`Error::Parameter`] if this configuration cannot be meant.
    pub fn listen(&self) -> Result<TcpListener, Error> {
        let addr = self.addr();
        self.check(addr)?;
        TcpListener::bind(addr).map_err(|source| Error::Listen { addr, source })
    }

    /// Checks the ranges, and that nobody is let in by accident.
    pub(crate) fn check(&self, addr: SocketAddr) -> Result<(), Error> {
        in_range("databases", self.databases, 1024)?;
        in_range("threads", self.threads, 256)?;
        in_range("maxclients", self.clients_max, 1_000_000)?;
        if self.protected_mode && !addr.ip().is_loopback() && !self.has_password() {
            return Err(Error::Unprotected { addr });
        }
        Ok(())
    }
}

fn in_range(name: &'static str, value: usize, max: usize) -> Result<(), Error> {
    let fits = (1..=max).contains(&value);
    if fits { Ok(()) } else { Err(Error::Parameter { name, value, min: 1, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_others_can_reach_needs_protected_mode_off() {
        let mut config = Config { bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED), ..Config::default() };
        assert!(matches!(config.check(config.addr()), Err(Error::Unprotected { .. })));
        config.protected_mode = false;
        assert!(config.check(config.addr()).is_ok());
    }

    #[test]
    fn an_address_others_can_reach_may_have_a_password_instead_which_is_not_shown() {
        let mut config = Config { bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED), ..Config::default() };
        config.settings = vec![("RequirePass".to_owned(), "tell-nobody".to_owned())];
        assert!(config.check(config.addr()).is_ok());
        assert!(!format!("{config:?}").contains("tell-nobody"));
        config.settings.push(("requirepass".to_owned(), String::new()));
        assert!(matches!(config.check(config.addr()), Err(Error::Unprotected { .. })));
    }

    #[test]
    fn counts_out_of_range_are_refused() {
        for databases in [0, 1025] {
            let config = Config { databases, ..Config::default() };
            assert!(matches!(config.check(config.addr()), Err(Error::Parameter { .. })));
        }
    }
}
