//! Who may use the server, and what for: users, their passwords and rights, and who was refused.
//!
//! What a user may do is in `user` and `selector`, what a request asks for in `request`, a client's
//! side in `login`, the file of users in `file`. Knows digests of passwords and the command table.
//! Does not know connections, or the parameter that holds a password as text.
//!
//! # Laws
//!
//! A1. Passwords are kept here as their SHA-256, and compared with all of them in a time that does
//!     not depend on what they are.
//! A2. Passwords, and whether a user is on, concern clients that authenticate later: who has done
//!     so remembers it by itself (`ClientState::is_authenticated`), and while nobody needs to, who
//!     connects counts as such.
//! A3. What a user may do concerns its clients' next request, whichever worker serves them: each
//!     change begins a new epoch, and a client that knows an older one looks its user up again.
//! A4. A client whose user has been deleted may do nothing, even if the name is given again.

mod commands;
mod failures;
mod file;
mod login;
mod password;
mod request;
mod selector;
mod start;
#[cfg(test)]
mod tests;
mod user;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

pub(crate) use failures::{Failure, Failures, Reason};
pub(crate) use login::Login;
pub(crate) use password::hex;
pub(crate) use request::Request;
pub(crate) use selector::{ChannelUse, Denial, Selector};
pub(crate) use start::USER_SETTING;
pub(crate) use user::User;
pub(crate) use words::has_spaces;

/// The user that clients are who have not said who they are.
pub(crate) const DEFAULT_USER: &[u8] = b"default";
/// The longest password that CONFIG SET takes, in bytes.
pub(crate) const PASSWORD_BYTES_MAX: usize = 512;

/// The channels of who is new (`acl-pubsub-default`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelsDefault {
    All,
    None,
}

/// Why a rule does not apply. The texts are Redis' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("Unknown command or category name in ACL")]
    UnknownName,
    #[error("Syntax error")]
    Syntax,
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not \
         have any effect. Try 'resetkeys' to start with an empty list of patterns"
    )]
    AfterAllKeys,
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does \
         not have any effect. Try 'resetchannels' to start with an empty list of channels"
    )]
    AfterAllChannels,
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal \
         characters"
    )]
    BadHash,
    #[error("Allowing first-arg of a subcommand is not supported")]
    FirstArgOfSubcommand,
}

/// Why a user is not changed. The texts are Redis' own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SetError {
    #[error("Usernames can't contain spaces or null characters")]
    Name,
    #[error(
        "Unmatched parenthesis in acl selector starting at '{}'.",
        String::from_utf8_lossy(.0)
    )]
    Unmatched(Vec<u8>),
    #[error("Error in ACL SETUSER modifier '{}': {error}", String::from_utf8_lossy(.rule))]
    Rule { rule: Vec<u8>, error: RuleError },
}

/// Rules from words that parentheses hold together.
fn merge_rules(words: &[&[u8]]) -> Result<Vec<Vec<u8>>, SetError> {
    words::merged(words).map_err(|word| SetError::Unmatched(word.to_vec()))
}

/// A user that has been changed, and what that means for those it is.
#[derive(Debug)]
#[must_use = "clients may have to go"]
pub(crate) struct Changed {
    pub(crate) user: Arc<User>,
    /// It may hear less than before, or is gone: so do subscribers that hear more.
    pub(crate) fate: Fate,
}

/// What becomes of the clients of a user that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Stay,
    /// Those go that hear what they may not.
    HearLess,
    /// All go.
    Gone,
}

/// Read for every request, so that nothing that changes often is beside it.
#[derive(Debug)]
#[repr(align(64))]
struct Epoch(AtomicU64);

type Users = BTreeMap<Vec<u8>, Arc<User>>;

/// All users, and the failures of those who wanted to be one, or to do what they may not.
#[derive(Debug)]
pub(crate) struct Access {
    users: RwLock<Users>,
    last_id: AtomicU64,
    /// Changes with every change of a user, under the lock of the users; never 0.
    epoch: Epoch,
    /// Clients need not authenticate.
    is_open: AtomicBool,
    pub(crate) failures: Failures,
    /// Where users are loaded from and saved to, if anywhere.
    file: Option<PathBuf>,
    /// Held while the file is replaced.
    saving: Mutex<()>,
}

impl Access {
    /// With the password of the parameter `requirepass`; empty: none is needed.
    pub(crate) fn new(password: &str) -> Self {
        let user = Arc::new(User::new_default(0, password));
        Access {
            is_open: AtomicBool::new(user.is_open()),
            users: RwLock::new(BTreeMap::from([(DEFAULT_USER.to_vec(), user)])),
            last_id: AtomicU64::new(0),
            epoch: Epoch(AtomicU64::new(1)),
            failures: Failures::default(),
            file: None,
            saving: Mutex::new(()),
        }
    }
    /// With a file of users, whose users take the place of those there are.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    fn set_file(&mut self, path: &str, channels: ChannelsDefault) -> Result<(), String> {
        self.file = Some(PathBuf::from(path));
        self.load(channels).map(|_| ())
    }
    /// True if there is a file of users.
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// True if clients need not authenticate.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }
    /// What tells whether anything has changed: see [`Login`].
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.0.load(Ordering::Acquire)
    }
    /// The user of a name, as it is now.
    pub(crate) fn find(&self, name: &[u8]) -> Option<Arc<User>> {
        self.users.read().get(name).cloned()
    }
    /// The user `default`, as it is now.
    pub(crate) fn default_user(&self) -> Arc<User> {
        self.find(DEFAULT_USER).expect("it is never deleted")
    }
    /// All of them, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<User>> {
        self.users.read().values().cloned().collect()
    }
    /// The user of this name, if it may log in, and this is one of its passwords.
    pub(crate) fn admits(&self, name: &[u8], password: &[u8]) -> Option<Arc<User>> {
        self.find(name).filter(|user| user.admits(password))
    }
    /// What a client's user is by now, or `None` if it is gone.
    pub(crate) fn look_up(&self, login: &mut Login) -> Option<Arc<User>> {
        if login.epoch != self.epoch() {
            let users = self.users.read();
            let name = login.user.as_ref().map_or(DEFAULT_USER, |user| &user.name);
            let now = users
                .get(name)
                .filter(|now| login.user.as_ref().is_none_or(|user| user.is_same(now)));
            login.user = Some(Arc::clone(now?));
            login.epoch = self.epoch();
        }
        login.user.clone()
    }

    /// Replaces all passwords of the user `default` by this one; empty: none is needed.
    pub(crate) fn set_password(&self, password: &str) {
        let mut users = self.users.write();
        if let Some(user) = users.get_mut(DEFAULT_USER) {
            Arc::make_mut(user).set_password(password);
        }
        self.end_change(&users);
    }
    /// Applies all rules to a user, which may be a new one, or none.
    pub(crate) fn change(
        &self,
        name: &[u8],
        rules: &[&[u8]],
        channels: ChannelsDefault,
    ) -> Result<Changed, SetError> {
        if has_spaces(name) {
            return Err(SetError::Name);
        }
        let mut users = self.users.write();
        let before = users.get(name).cloned();
        let mut user = match &before {
            Some(user) => User::clone(user),
            None => User::new(name, self.new_id(), channels),
        };
        user.apply_all(rules, channels)?;
        let user = Arc::new(user);
        let hears_less = before.is_some_and(|before| user.narrowed_channels(&before).is_some());
        users.insert(name.to_vec(), Arc::clone(&user));
        self.end_change(&users);
        Ok(Changed { user, fate: if hears_less { Fate::HearLess } else { Fate::Stay } })
    }
    /// Deletes a user; `None` if there was none.
    pub(crate) fn delete(&self, name: &[u8]) -> Option<Changed> {
        let mut users = self.users.write();
        let user = users.remove(name)?;
        self.end_change(&users);
        Some(Changed { user, fate: Fate::Gone })
    }
    /// Replaces all users by those of the file, or none. A name that stays is the same user.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub(crate) fn load(&self, channels: ChannelsDefault) -> Result<Vec<Changed>, String> {
        let Some(path) = &self.file else { return Ok(Vec::new()) };
        let text = file::read(path)?;
        let mut complaints = file::Complaints::new(path);
        let definitions = file::parse(&text, &mut complaints);
        let mut users = self.users.write();
        let mut loaded = Users::new();
        for file::Definition { line, name, rules } in definitions {
            if loaded.contains_key(&name) {
                complaints.duplicate(line, &name);
                continue;
            }
            let id = users.get(&name).map_or_else(|| self.new_id(), |user| user.id);
            let mut user = User::new(&name, id, channels);
            for rule in rules {
                if let Err(error) = user.apply(&rule, channels) {
                    complaints.rule(line, &SetError::Rule { rule, error });
                    break;
                }
            }
            user.end_change();
            loaded.insert(name, Arc::new(user));
        }
        if !complaints.is_empty() {
            return Err(complaints.into_text());
        }
        let id = self.default_id(&users);
        let default = || Arc::new(User::new_default(id, ""));
        loaded.entry(DEFAULT_USER.to_vec()).or_insert_with(default);
        let changed = users.values().map(|before| fate_of(before, &loaded)).collect();
        *users = loaded;
        self.end_change(&users);
        Ok(changed)
    }
    /// Writes all users to the file; false if there is none.
    ///
    /// # Errors
    ///
    /// What the system says; the file is as it was.
    pub(crate) fn save(&self) -> std::io::Result<bool> {
        let Some(path) = &self.file else { return Ok(false) };
        let _saving = self.saving.lock();
        let lines: Vec<Vec<u8>> = self.all().iter().map(|user| user.line()).collect();
        file::replace(path, &lines).map(|()| true)
    }

    fn new_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }
    fn default_id(&self, users: &Users) -> u64 {
        users.get(DEFAULT_USER).map_or(0, |user| user.id)
    }
    /// Makes a change known, which has been made under the lock (A3).
    fn end_change(&self, users: &Users) {
        let is_open = users.get(DEFAULT_USER).is_some_and(|user| user.is_open());
        self.is_open.store(is_open, Ordering::Release);
        self.epoch.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// What becomes of the clients of `before` with these users.
fn fate_of(before: &Arc<User>, loaded: &Users) -> Changed {
    match loaded.get(&before.name) {
        None => Changed { user: Arc::clone(before), fate: Fate::Gone },
        Some(now) => {
            let hears_less = now.narrowed_channels(before).is_some();
            let fate = if hears_less { Fate::HearLess } else { Fate::Stay };
            Changed { user: Arc::clone(now), fate }
        }
    }
}
