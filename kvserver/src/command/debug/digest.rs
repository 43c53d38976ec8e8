//! DEBUG DIGEST: one short text for everything that can be observed of the data.
//!
//! Equal data gives equal digests, in this server and in the next: what is unordered is combined
//! without order, and nothing of how it is kept goes in.

use std::hash::Hasher;
use std::ops::ControlFlow;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::command::{CommandError, Outcome, zset};
use crate::context::Context;
use crate::data::hashed::HASH_LEN;
use crate::data::{Db, Direction, Stored, Type, WHOLE};

const LEN: usize = 20;

/// The digest of a sequence, or of a set of digests.
#[derive(Clone, Copy, Default)]
struct Digest([u8; LEN]);

impl Digest {
    fn of(parts: &[&[u8]]) -> Self {
        let mut digest = Digest::default();
        parts.iter().for_each(|part| digest.then(part));
        digest
    }
    /// What has been taken in so far, followed by `bytes`.
    fn then(&mut self, bytes: &[u8]) {
        let hash = |key: u64| {
            let mut hasher = SipHasher13::new_with_keys(key, 0);
            hasher.write(&self.0);
            hasher.write(bytes);
            hasher.finish128().as_bytes()
        };
        let (low, high) = (hash(0), hash(1));
        self.0[..16].copy_from_slice(&low);
        self.0[16..].copy_from_slice(&high[..LEN - 16]);
    }
    /// Both, in no order.
    fn and(&mut self, other: Digest) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine ^= theirs);
    }
    fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// `DEBUG DIGEST`
pub(super) fn all(ctx: &mut Context<'_>) -> Outcome {
    let mut all = Digest::default();
    for index in 0..ctx.data.count() {
        let mut db = ctx.db_at(index);
        let mut keys = Vec::new();
        db.for_each_key(|key| keys.push(key.to_vec()))?;
        for key in keys {
            if let Some(value) = value(&mut db, &key)? {
                let expires = db.expires_at_ms(&key)?.flatten().is_some();
                let index = u64::try_from(index).unwrap_or(u64::MAX).to_le_bytes();
                all.and(Digest::of(&[&index, &key, &value.0, &[u8::from(expires)]]));
            }
        }
    }
    ctx.reply.simple(&all.hex());
    Ok(())
}

/// `DEBUG DIGEST-VALUE key …`
pub(super) fn values(ctx: &mut Context<'_>) -> Outcome {
    let keys = &ctx.args[2..];
    ctx.reply.array(keys.len());
    for key in keys {
        let digest = value(&mut ctx.db(), key)?.unwrap_or_default();
        ctx.reply.simple(&digest.hex());
    }
    Ok(())
}

fn value(db: &mut Db<'_>, key: &[u8]) -> Result<Option<Digest>, CommandError> {
    let Some(stored) = db.get(key)? else { return Ok(None) };
    let digest = match stored.kind() {
        Type::String => Digest::of(&[stored.payload()]),
        _ => collection(db, key, &stored)?,
    };
    Ok(Some(Digest::of(&[stored.kind().name().as_bytes(), &digest.0])))
}

fn collection(db: &mut Db<'_>, key: &[u8], stored: &Stored) -> Result<Digest, CommandError> {
    let mut digest = Digest::default();
    let Some((kind, Some(collection))) = db.collection(key)? else { return Ok(digest) };
    let span = if kind == Type::ZSet { zset::BY_NAME } else { WHOLE };
    debug_assert_eq!(kind, stored.kind(), "nothing has changed in between");
    db.walk(collection, span, Direction::Ascending, usize::MAX, |seen| {
        let sub = seen.sub();
        seen.value_with(|value| match kind {
            Type::List => digest.then(value),
            Type::ZSet => digest.and(Digest::of(&[zset::name_of(sub), value])),
            _ => digest.and(Digest::of(&[sub.get(HASH_LEN..).unwrap_or_default(), value])),
        })?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(digest)
}
