//! When a key shall expire: the one reading of `EX`, `PX`, `EXAT`, `PXAT` and of EXPIRE's argument.
//!
//! Pure. Does not know keys; whether a time has passed is for the handler to act upon.

use super::CommandError;
use crate::data::Expiry;
use crate::number::parse_i64;

/// What a number in a request counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// What a number in a request counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// From the time of the command.
    Now,
    /// From the Unix epoch.
    Epoch,
}

/// A way to write a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeForm {
    unit: Unit,
    base: Base,
}

impl TimeForm {
    /// Seconds from now: `EX`, EXPIRE.
    pub(super) const EX: TimeForm = TimeForm { unit: Unit::Seconds, base: Base::Now };
    /// Milliseconds from now: `PX`, PEXPIRE.
    pub(super) const PX: TimeForm = TimeForm { unit: Unit::Milliseconds, base: Base::Now };
    /// Seconds since the epoch: `EXAT`, EXPIREAT.
    pub(super) const EXAT: TimeForm = TimeForm { unit: Unit::Seconds, base: Base::Epoch };
    /// Milliseconds since the epoch: `PXAT`, PEXPIREAT.
    pub(super) const PXAT: TimeForm = TimeForm { unit: Unit::Milliseconds, base: Base::Epoch };

    /// The form an option word names.
    pub(super) fn of_option(word: &[u8]) -> Option<TimeForm> {
        [(&b"EX"[..], Self::EX), (b"PX", Self::PX), (b"EXAT", Self::EXAT), (b"PXAT", Self::PXAT)]
            .into_iter()
            .find_map(|(name, form)| word.eq_ignore_ascii_case(name).then_some(form))
    }

    /// The time `text` means, in milliseconds since the epoch; it may have passed, or be negative.
    ///
    /// Errors, the key untouched: [`CommandError::NotInteger`], or
    /// [`CommandError::InvalidExpire`] where the time leaves the range of `i64`.
    pub(super) fn time_ms(
        self,
        text: &[u8],
        now_ms: u64,
        command: &'static str,
    ) -> Result<i64, CommandError> {
        let number = parse_i64(text).ok_or(CommandError::NotInteger)?;
        let ms = match self.unit {
            Unit::Seconds => number.checked_mul(1_000),
            Unit::Milliseconds => Some(number),
        };
        let base_ms = match self.base {
            Base::Now => i64::try_from(now_ms).unwrap_or(i64::MAX),
            Base::Epoch => 0,
        };
        ms.and_then(|ms| ms.checked_add(base_ms)).ok_or(CommandError::InvalidExpire(command.into()))
    }

    /// Like [`TimeForm::time_ms`], but the number must be positive, as SET and GETEX demand.
    pub(super) fn positive_time_ms(
        self,
        text: &[u8],
        now_ms: u64,
        command: &'static str,
    ) -> Result<i64, CommandError> {
        let time_ms = self.time_ms(text, now_ms, command)?;
        match parse_i64(text) {
            Some(1..) => Ok(time_ms),
            _ => Err(CommandError::InvalidExpire(command.into())),
        }
    }
}

/// The expiry for a time that lies ahead; `None` if it has passed, and the key must go.
pub(super) fn ahead(time_ms: i64, now_ms: u64) -> Option<u64> {
    u64::try_from(time_ms).ok().filter(|at| *at > now_ms)
}

/// What SET and its kin do with the expiry of the key they write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The value lives on with this expiry.
    Lives(Expiry),
    /// Its time has passed already: there is no key afterwards.
    Gone,
}

impl After {
    /// From a time in milliseconds since the epoch.
    pub(super) fn at(time_ms: i64, now_ms: u64) -> After {
        ahead(time_ms, now_ms).map_or(After::Gone, |at| After::Lives(Expiry::At(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn time(form: TimeForm, text: &str) -> Result<i64, String> {
        form.time_ms(text.as_bytes(), NOW_MS, "expire").map_err(|e| e.to_string())
    }

    #[test]
    fn each_form_has_its_unit_and_base() {
        assert_eq!(time(TimeForm::EX, "2"), Ok(1_700_000_002_000));
        assert_eq!(time(TimeForm::PX, "2"), Ok(1_700_000_000_002));
        assert_eq!(time(TimeForm::EXAT, "2"), Ok(2_000));
        assert_eq!(time(TimeForm::PXAT, "-2"), Ok(-2));
        assert_eq!(TimeForm::of_option(b"pXaT"), Some(TimeForm::PXAT));
        assert_eq!(TimeForm::of_option(b"PERSIST"), None);
    }

    #[test]
    fn times_outside_i64_and_non_integers_are_told_apart() {
        let invalid = Err("ERR invalid expire time in 'expire' command".to_owned());
        for seconds in ["9223372036854776", "-9223372036854776", "9223370399119966"] {
            assert_eq!(time(TimeForm::EX, seconds), invalid, "{seconds}");
        }
        assert_eq!(time(TimeForm::PX, "9223372036854770000"), invalid);
        assert_eq!(time(TimeForm::PXAT, "9223372036854770000"), Ok(9_223_372_036_854_770_000));
        let text = time(TimeForm::EX, "1.5");
        assert_eq!(text, Err("ERR value is not an integer or out of range".to_owned()));
    }

    #[test]
    fn zero_and_less_are_invalid_where_a_positive_number_is_demanded() {
        for text in [&b"0"[..], b"-1", b"-9999999999999999"] {
            let error = TimeForm::EX.positive_time_ms(text, NOW_MS, "set").unwrap_err();
            assert_eq!(error.to_string(), "ERR invalid expire time in 'set' command");
        }
        assert_eq!(TimeForm::PXAT.positive_time_ms(b"1", NOW_MS, "set").unwrap(), 1);
    }

    #[test]
    fn a_time_is_ahead_only_after_now() {
        assert_eq!(ahead(-5, 10), None);
        assert_eq!(ahead(10, 10), None);
        assert_eq!(ahead(11, 10), Some(11));
        assert_eq!(After::at(3, 10), After::Gone);
    }
}
