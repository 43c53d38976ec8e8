//! Limits of our own, which the reference server does not have.

use super::CommandError;

/// The longest key, in bytes: the store's limit.
pub(crate) const KEY_LEN_BYTES_MAX: usize = 64 * 1024;

/// Refuses a key that the store could not hold, before anything is written.
pub(crate) fn check_key(key: &[u8]) -> Result<(), CommandError> {
    if key.len() <= KEY_LEN_BYTES_MAX {
        return Ok(());
    }
    let len = key.len();
    Err(CommandError::err(format_args!(
        "key is too long: {len} bytes, at most {KEY_LEN_BYTES_MAX} are allowed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_up_to_the_limit_pass_and_longer_ones_are_named() {
        assert!(check_key(b"").is_ok());
        assert!(check_key(&vec![b'k'; KEY_LEN_BYTES_MAX]).is_ok());
        let error = check_key(&vec![b'k'; KEY_LEN_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ERR key is too long: 65537 bytes, at most 65536 are allowed"
        );
    }
}
