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

/// The longest name of an element (a field, a member), in bytes: what the store leaves of a key
/// beside the collection's id and what puts elements in order.
pub(crate) const NAME_LEN_BYTES_MAX: usize = KEY_LEN_BYTES_MAX - 32;

/// Refuses the name of an element that the store could not hold.
pub(crate) fn check_name(name: &[u8]) -> Result<(), CommandError> {
    if name.len() <= NAME_LEN_BYTES_MAX {
        return Ok(());
    }
    let len = name.len();
    Err(CommandError::err(format_args!(
        "field or member is too long: {len} bytes, at most {NAME_LEN_BYTES_MAX} are allowed"
    )))
}

/// The most bytes one command answers where the request alone says how many elements to repeat.
const REPLY_BYTES_MAX: usize = 1 << 30;

/// Refuses to go on with a reply that nobody could be sent.
pub(crate) fn check_reply(len_bytes: usize) -> Result<(), CommandError> {
    if len_bytes <= REPLY_BYTES_MAX {
        return Ok(());
    }
    Err(CommandError::text("ERR the reply would be longer than 1 GiB"))
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
