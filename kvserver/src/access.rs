//! Who may use the server: the one user, `default`, its passwords, and who failed to give one.
//!
//! Knows digests of passwords. Does not know commands, connections or the parameter that holds
//! the password as text.
//!
//! # Laws
//!
//! A1. Passwords are kept here as their SHA-256, and compared with all of them in a time that does
//!     not depend on what they are.
//! A2. A change concerns clients that authenticate later: who has done so remembers it by itself
//!     (`ClientState::is_authenticated`), and while nobody needs to, who connects counts as such.

mod failures;
mod user;

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

pub(crate) use failures::{Failure, Failures};
pub(crate) use user::{RuleError, User, hex};

/// The name of the only user.
pub(crate) const DEFAULT_USER: &[u8] = b"default";
/// The longest password that CONFIG SET takes, in bytes.
pub(crate) const PASSWORD_BYTES_MAX: usize = 512;

/// The user and the failures of those who wanted to be it.
#[derive(Debug)]
pub(crate) struct Access {
    user: RwLock<User>,
    /// Clients need not authenticate.
    is_open: AtomicBool,
    pub(crate) failures: Failures,
}

impl Access {
    /// With the password of the parameter `requirepass`; empty: none is needed.
    pub(crate) fn new(password: &str) -> Self {
        let user = User::with_password(password);
        Access {
            is_open: AtomicBool::new(user.is_open()),
            user: RwLock::new(user),
            failures: Failures::default(),
        }
    }

    /// True if clients need not authenticate.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }
    /// The user as it is now.
    pub(crate) fn user(&self) -> User {
        self.user.read().clone()
    }
    /// True if `name` is the user, may log in, and this is one of its passwords.
    pub(crate) fn admits(&self, name: &[u8], password: &[u8]) -> bool {
        let is_password = self.user.read().admits(password);
        is_password && name == DEFAULT_USER
    }

    /// Replaces all passwords by this one; empty: none is needed.
    pub(crate) fn set_password(&self, password: &str) {
        let mut user = self.user.write();
        user.set_password(password);
        self.is_open.store(user.is_open(), Ordering::Release);
    }
    /// Applies all rules, or none: the first that does not apply comes back with the reason.
    pub(crate) fn change<'r>(&self, rules: &[&'r [u8]]) -> Result<(), (&'r [u8], RuleError)> {
        let mut user = self.user.write();
        let mut changed = user.clone();
        for rule in rules {
            changed.apply(rule).map_err(|error| (*rule, error))?;
        }
        self.is_open.store(changed.is_open(), Ordering::Release);
        *user = changed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_of_the_only_user_is_admitted() {
        let access = Access::new("secret");
        assert!(!access.is_open());
        for (name, password, is_admitted) in [
            (&b"default"[..], &b"secret"[..], true),
            (b"default", b"secre", false),
            (b"default", b"secret\0", false),
            (b"default", b"", false),
            (b"Default", b"secret", false),
            (b"", b"secret", false),
        ] {
            assert_eq!(access.admits(name, password), is_admitted, "{name:?} {password:?}");
        }
        access.set_password("");
        assert!(access.is_open() && access.admits(b"default", b"anything"));
        assert!(!access.admits(b"other", b"anything"));
    }

    #[test]
    fn a_rule_that_does_not_apply_leaves_the_user_as_it_was() {
        let access = Access::new("");
        let (rule, error) = access.change(&[b">a", b"<b", b"off"]).unwrap_err();
        assert_eq!((rule, error), (&b"<b"[..], RuleError::NoSuchPassword));
        assert!(access.is_open());
        access.change(&[b">a", b">b", b"<a"]).unwrap();
        assert!(!access.is_open() && access.admits(b"default", b"b"));
        assert!(!access.admits(b"default", b"a"));
        access.change(&[b"off"]).unwrap();
        assert!(!access.admits(b"default", b"b"));
        access.change(&[b"nopass"]).unwrap();
        assert!(!access.is_open(), "nobody may log in");
        access.change(&[b"on"]).unwrap();
        assert!(access.is_open());
        access.change(&[b"resetpass"]).unwrap();
        assert!(!access.is_open() && !access.admits(b"default", b""));
    }
}
