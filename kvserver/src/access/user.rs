//! The user: whether it may log in, and with what.

use std::fmt::Write;

use sha2::{Digest as _, Sha256};

/// SHA-256 of a password.
type Digest = [u8; 32];

/// A user with all rights.
#[derive(Clone, Debug)]
pub(crate) struct User {
    is_on: bool,
    /// `None`: no password is needed, and any will do. None in the list: none will do.
    passwords: Option<Vec<Digest>>,
}

/// Why a rule does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    /// It is no rule, or it would take rights away.
    #[error("there is only the user default with all rights; passwords, on and off can be changed")]
    Rights,
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal \
         characters"
    )]
    BadHash,
}

impl User {
    /// With this password; empty: none is needed.
    pub(super) fn with_password(password: &str) -> Self {
        let mut user = User { is_on: true, passwords: None };
        user.set_password(password);
        user
    }
    pub(super) fn set_password(&mut self, password: &str) {
        let digest = digest_of(password.as_bytes());
        self.passwords = (!password.is_empty()).then(|| vec![digest]);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }
    /// True if no password is needed, and any will do.
    pub(crate) fn is_without_password(&self) -> bool {
        self.passwords.is_none()
    }
    /// True if clients are this user without asking.
    pub(super) fn is_open(&self) -> bool {
        self.is_on && self.is_without_password()
    }
    /// The digests of its passwords in hexadecimal digits.
    pub(crate) fn passwords(&self) -> Vec<String> {
        self.passwords.iter().flatten().map(|digest| hex(digest)).collect()
    }
    pub(super) fn admits(&self, password: &[u8]) -> bool {
        let given = digest_of(password);
        let is_one = match &self.passwords {
            None => true,
            Some(all) => all.iter().fold(false, |found, digest| found | equal(digest, &given)),
        };
        is_one && self.is_on
    }

    /// Applies one rule of ACL SETUSER.
    pub(super) fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        match rule {
            [b'>', password @ ..] => self.add(digest_of(password)),
            [b'<', password @ ..] => return self.remove(&digest_of(password)),
            [b'#', digits @ ..] => self.add(parse_digest(digits)?),
            [b'!', digits @ ..] => return self.remove(&parse_digest(digits)?),
            _ => return self.apply_word(&rule.to_ascii_lowercase()),
        }
        Ok(())
    }
    fn apply_word(&mut self, word: &[u8]) -> Result<(), RuleError> {
        match word {
            b"on" => self.is_on = true,
            b"off" => self.is_on = false,
            b"nopass" => self.passwords = None,
            b"resetpass" => self.passwords = Some(Vec::new()),
            // It has these rights already.
            b"~*" | b"allkeys" | b"&*" | b"allchannels" | b"+@all" | b"allcommands"
            | b"sanitize-payload" => {}
            _ => return Err(RuleError::Rights),
        }
        Ok(())
    }
    fn add(&mut self, digest: Digest) {
        let passwords = self.passwords.get_or_insert_default();
        if !passwords.contains(&digest) {
            passwords.push(digest);
        }
    }
    fn remove(&mut self, digest: &Digest) -> Result<(), RuleError> {
        let passwords = self.passwords.as_mut().ok_or(RuleError::NoSuchPassword)?;
        let at = passwords.iter().position(|known| known == digest);
        passwords.remove(at.ok_or(RuleError::NoSuchPassword)?);
        Ok(())
    }
}

fn digest_of(password: &[u8]) -> Digest {
    Sha256::digest(password).into()
}

/// Looks at every byte, whatever the first ones are.
fn equal(a: &Digest, b: &Digest) -> bool {
    let differing = a.iter().zip(b).fold(0, |seen, (a, b)| std::hint::black_box(seen | (a ^ b)));
    differing == 0
}

/// Hexadecimal digits, two a byte, in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written to it");
        text
    })
}

fn parse_digest(digits: &[u8]) -> Result<Digest, RuleError> {
    let mut digest = Digest::default();
    if digits.len() != 2 * digest.len() {
        return Err(RuleError::BadHash);
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(digest)
}

fn nibble(digit: u8) -> Result<u8, RuleError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(RuleError::BadHash),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of `abc` in FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_password_can_be_given_by_its_digest() {
        let mut user = User::with_password("x");
        user.apply(format!("#{ABC}").as_bytes()).unwrap();
        assert!(user.admits(b"abc") && user.admits(b"x") && !user.admits(ABC.as_bytes()));
        assert_eq!(user.passwords()[1], ABC);
        user.apply(format!("!{ABC}").as_bytes()).unwrap();
        assert!(!user.admits(b"abc"));
        for rule in [format!("#{}", ABC.to_uppercase()), format!("#{}", &ABC[1..]), "!".into()] {
            assert_eq!(user.apply(rule.as_bytes()), Err(RuleError::BadHash), "{rule}");
        }
    }

    #[test]
    fn rules_that_would_take_rights_away_are_refused() {
        let mut user = User::with_password("");
        for rule in ["reset", "-@all", "+get", "~a*", "resetkeys", "(+@all)", "", "clearselectors"]
        {
            assert_eq!(user.apply(rule.as_bytes()), Err(RuleError::Rights), "{rule}");
        }
        for rule in ["~*", "AllKeys", "&*", "allchannels", "+@all", "allcommands", "on"] {
            assert_eq!(user.apply(rule.as_bytes()), Ok(()), "{rule}");
        }
        assert!(user.is_open());
    }
}
