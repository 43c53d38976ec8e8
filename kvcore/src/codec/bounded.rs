//! A layer of serde between a value's type and a format without self-description, so that bytes
//! nobody can vouch for cost no more than their number.
//!
//! Why it exists: bincode 2 asked for an owned `String` allocates the length it finds before it
//! looks whether so many bytes are there, and nine bytes can end the process. Its own limit is a
//! const generic that counts integer widths, so it cannot be the number of bytes at hand. And no
//! serde format of this kind bounds nesting, or sequences of elements that take no bytes.
//!
//! Knows serde's data model. Does not know any format: codecs pass in how to run theirs.
//!
//! # Limits
//!
//! B1. Owned strings and byte strings are asked for as borrowed ones, which a format that reads
//!     from a slice bounds by the slice.
//! B2. A hint of a sequence's length is at most the number of bytes.
//! B3. Sequences and maps have, all together, at most `FREE_ELEMENTS_MAX` elements more than
//!     there are bytes. An element takes at least a byte unless its type has only one value, so
//!     this refuses nothing but long collections of such: a `Vec<()>` of 2^63 elements is nine
//!     bytes, and would be worked on for ever.
//! B4. Values nest at most `LEVELS_MAX` deep, counting sequences, maps, `Some` and enum variants
//!     with content. Structs and tuples are free: no type can contain itself through them alone.
//! B5. Encoding refuses what decoding would refuse by B3 or B4, so nothing unreadable is stored.

mod de;
mod ser;

use std::{cell::Cell, fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};

use crate::error::BoxError;

/// Levels of nesting (B4). Structs of a hundred bytes take about four kilobytes of stack per level
/// in an unoptimised build, so all levels fit a spawned thread's two megabytes with room to spare.
const LEVELS_MAX: u32 = 128;

/// Elements that need not be backed by a byte (B3).
const FREE_ELEMENTS_MAX: usize = 1024;

/// Any part of serde's machinery, with the bounds that hold inside it.
pub(super) struct Bounded<'b, T> {
    inner: T,
    bounds: Bounds<'b>,
}

/// What a format is handed to start decoding with.
pub(super) type Seed<'b, V> = Bounded<'b, PhantomData<V>>;

/// The bounds at one place in a value.
#[derive(Clone, Copy)]
struct Bounds<'b> {
    budget: &'b Budget,
    levels_left: u32,
}

/// What one run may spend, wherever in the value it does.
struct Budget {
    elements_left: Cell<usize>,
    size_hint_max: usize,
    /// Kept aside because a format may reduce errors to "custom error", as postcard does.
    refusal: Cell<Option<Refusal>>,
}

/// A limit that was hit.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Levels,
    Elements,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Levels => write!(f, "value is nested more than {LEVELS_MAX} levels deep"),
            Self::Elements => write!(
                f,
                "value has over {FREE_ELEMENTS_MAX} more elements than bytes, \
                 so they can hold nothing"
            ),
        }
    }
}

impl std::error::Error for Refusal {}

impl Budget {
    /// Enough for `len_bytes` bytes.
    fn new(len_bytes: usize) -> Self {
        Self {
            elements_left: Cell::new(len_bytes.saturating_add(FREE_ELEMENTS_MAX)),
            size_hint_max: len_bytes,
            refusal: Cell::new(None),
        }
    }

    /// Where a value starts.
    fn bounds(&self) -> Bounds<'_> {
        Bounds { budget: self, levels_left: LEVELS_MAX }
    }

    /// The limit that was hit, or else the format's own error.
    fn explain(&self, error: BoxError) -> BoxError {
        self.refusal.get().map_or(error, BoxError::from)
    }
}

impl<'b> Bounds<'b> {
    fn wrap<T>(self, inner: T) -> Bounded<'b, T> {
        Bounded { inner, bounds: self }
    }

    /// The bounds one level further in.
    fn deeper(self) -> Result<Self, Refusal> {
        match self.levels_left.checked_sub(1) {
            Some(levels_left) => Ok(Self { levels_left, ..self }),
            None => Err(self.refuse(Refusal::Levels)),
        }
    }

    /// Pays for one element of a sequence or map.
    fn count_element(self) -> Result<(), Refusal> {
        match self.budget.elements_left.get().checked_sub(1) {
            Some(left) => {
                self.budget.elements_left.set(left);
                Ok(())
            }
            None => Err(self.refuse(Refusal::Elements)),
        }
    }

    fn refuse(self, refusal: Refusal) -> Refusal {
        self.budget.refusal.set(Some(refusal));
        refusal
    }
}

/// Decodes all of `bytes`.
///
/// `read` runs the format and says how many bytes it left over.
pub(super) fn decode<V: DeserializeOwned>(
    bytes: &[u8],
    read: impl FnOnce(Seed<'_, V>, &[u8]) -> Result<(V, usize), BoxError>,
) -> Result<V, BoxError> {
    let budget = Budget::new(bytes.len());
    let seed = budget.bounds().wrap(PhantomData);
    match read(seed, bytes) {
        Ok((value, 0)) => Ok(value),
        Ok((_, left)) => {
            let len = bytes.len();
            Err(format!("{left} of a value's {len} bytes are left over after decoding it").into())
        }
        Err(error) => Err(budget.explain(error)),
    }
}

/// Appends the bytes of `value` to `out`.
///
/// `write` runs the format, which appends only. After an error `out` may hold a part.
pub(super) fn encode<V: Serialize>(
    value: &V,
    out: &mut Vec<u8>,
    write: impl FnOnce(&Bounded<'_, &V>, &mut Vec<u8>) -> Result<(), BoxError>,
) -> Result<(), BoxError> {
    let len_before = out.len();
    // How many bytes there will be is not known yet, so elements are only counted.
    let budget = Budget::new(usize::MAX);
    let wrapped = budget.bounds().wrap(value);
    write(&wrapped, out).map_err(|error| budget.explain(error))?;
    let elements = usize::MAX - budget.elements_left.get();
    if elements > (out.len() - len_before).saturating_add(FREE_ELEMENTS_MAX) {
        return Err(Refusal::Elements.into());
    }
    Ok(())
}
