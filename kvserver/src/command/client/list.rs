//! CLIENT LIST and CLIENT INFO, and how clients are chosen.

use super::super::{CommandError, Outcome};
use crate::client::{Buffers, Card};
use crate::context::Context;
use crate::number::parse_i64;
use crate::output_limits::Class;

/// Brings the asking client's own card up to date: others' are, since their last round.
fn publish_own(ctx: &Context<'_>) {
    let entry = super::super::table::table().resolve(ctx.args[0], ctx.args.get(1).copied());
    ctx.client.publish(entry, ctx.now_ms, Buffers::default());
}

pub(super) fn info(ctx: &mut Context<'_>) -> Outcome {
    publish_own(ctx);
    let line = ctx.client.card.line(ctx.now_ms);
    ctx.reply.verbatim(&format!("{line}\n"));
    Ok(())
}

pub(super) fn list(ctx: &mut Context<'_>) -> Outcome {
    publish_own(ctx);
    let mut cards = ctx.server.clients.cards();
    match &ctx.args[2..] {
        [] => {}
        [word, kind] if word.eq_ignore_ascii_case(b"type") => {
            let kind = Kind::named(kind)?;
            cards.retain(|card| kind.is_of(card));
        }
        [word, ids @ ..] if word.eq_ignore_ascii_case(b"id") && !ids.is_empty() => {
            let mut wanted = Vec::new();
            for id in ids {
                wanted.push(client_id(id)?);
            }
            cards.retain(|card| wanted.contains(&card.id));
        }
        _ => return Err(CommandError::Syntax),
    }
    let mut text = String::new();
    for card in cards {
        text.push_str(&card.line(ctx.now_ms));
        text.push('\n');
    }
    ctx.reply.verbatim(&text);
    Ok(())
}

/// Kinds of clients, by the names that filters have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Of(Class),
    /// Connections between servers, of which there are none.
    Peer,
}

impl Kind {
    pub(super) fn named(word: &[u8]) -> Result<Self, CommandError> {
        let word = String::from_utf8_lossy(word);
        match word.to_ascii_lowercase().as_str() {
            "normal" => Ok(Kind::Of(Class::Normal)),
            "pubsub" => Ok(Kind::Of(Class::PubSub)),
            "master" | "slave" | "replica" => Ok(Kind::Peer),
            _ => Err(CommandError::err(format_args!("Unknown client type '{word}'"))),
        }
    }
    pub(super) fn is_of(self, card: &Card) -> bool {
        self == Kind::Of(card.class())
    }
}

pub(super) fn client_id(text: &[u8]) -> Result<u64, CommandError> {
    let id = parse_i64(text).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
    id.ok_or(CommandError::text("ERR Invalid client ID"))
}
