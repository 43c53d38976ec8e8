//! What the families of collections share: finding one by its key, and drawing from it.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::arguments::Draw;
use super::limits::check_reply;
use super::{CommandError, check_key};
use crate::context::Context;
use crate::data::{Collection, Db, Direction, Element, Expiry, Seen, Span, StoreError, Type};

/// The bytes of the shortest element in a reply.
const BULK_LEN_MIN: usize = b"$0\r\n\r\n".len();

/// The collection of this type that `key` holds; `None` if there is no key, WRONGTYPE if it holds
/// something else.
pub(super) fn find<'k>(
    ctx: &mut Context<'_>,
    key: &'k [u8],
    kind: Type,
) -> Result<Option<Collection<'k>>, CommandError> {
    match ctx.db().collection(key)? {
        None => Ok(None),
        Some((found, collection)) if found == kind => Ok(collection),
        Some(_) => Err(CommandError::WrongType),
    }
}

/// The same; one is made if there is no key. The caller puts an element into it.
pub(super) fn find_or_create<'k>(
    ctx: &mut Context<'_>,
    key: &'k [u8],
    kind: Type,
) -> Result<Collection<'k>, CommandError> {
    if let Some(found) = find(ctx, key, kind)? {
        return Ok(found);
    }
    check_key(key)?;
    Ok(ctx.db().create(key, kind, Expiry::None)?)
}

/// Calls `f` with elements of a span drawn at random. Costs O(log n) for each drawn, or one walk
/// where a large part of the span is drawn.
pub(super) fn draw(
    db: &mut Db<'_>,
    (of, span): (Collection<'_>, Span<'_>),
    draw: Draw,
    rng: &mut fastrand::Rng,
    mut f: impl FnMut(&Element) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let len = db.count(of, span)?;
    match draw {
        Draw::Repeated(count) if len > 0 => {
            // What no reply can hold is not even begun.
            let least = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(BULK_LEN_MIN);
            check_reply(least)?;
            for _ in 0..count {
                if let Some(element) = db.nth(of, span, rng.u64(..len))? {
                    f(&element)?;
                }
            }
            Ok(())
        }
        Draw::Distinct(count) if count < len / 4 => {
            let mut drawn = HashSet::new();
            while u64::try_from(drawn.len()).unwrap_or(count) < count {
                let at = rng.u64(..len);
                if drawn.insert(at)
                    && let Some(element) = db.nth(of, span, at)?
                {
                    f(&element)?;
                }
            }
            Ok(())
        }
        Draw::Repeated(_) => Ok(()),
        Draw::Distinct(count) => select(db, (of, span), count.min(len), len, rng, f),
    }
}

/// How many elements a draw gives.
pub(super) fn drawn_len(
    db: &mut Db<'_>,
    (of, span): (Collection<'_>, Span<'_>),
    draw: Draw,
) -> Result<u64, StoreError> {
    match draw {
        Draw::Repeated(count) => Ok(count),
        Draw::Distinct(count) => Ok(db.count(of, span)?.min(count)),
    }
}

/// Selects exactly `count` of `len` elements in one walk, each with the same chance.
fn select(
    db: &mut Db<'_>,
    (of, span): (Collection<'_>, Span<'_>),
    mut count: u64,
    mut len: u64,
    rng: &mut fastrand::Rng,
    mut f: impl FnMut(&Element) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let mut failed = None;
    db.walk(of, span, Direction::Ascending, usize::MAX, |seen: &Seen<'_>| {
        if count == 0 || len == 0 {
            return Ok(ControlFlow::Break(()));
        }
        if rng.u64(..len) < count {
            count -= 1;
            if let Err(error) = f(&seen.to_element()?) {
                failed = Some(error);
                return Ok(ControlFlow::Break(()));
            }
        }
        len -= 1;
        Ok(ControlFlow::Continue(()))
    })?;
    failed.map_or(Ok(()), Err)
}
