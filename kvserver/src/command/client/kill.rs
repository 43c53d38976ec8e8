//! CLIENT KILL: by address, or by all of several filters.

use std::sync::Arc;

use super::super::{CommandError, Outcome};
use super::list::{Kind, client_id};
use crate::access::User;
use crate::client::Card;
use crate::context::Context;
use crate::number::parse_i64;

/// Which clients to kill.
struct Filter<'a> {
    id: Option<u64>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    kind: Option<Kind>,
    user: Option<Arc<User>>,
    older_than_ms: Option<u64>,
    skip_me: bool,
}

pub(super) fn kill(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    if let [_, _, addr] = args {
        let found = ctx.server.clients.cards();
        let card = found.iter().find(|card| card.peer.to_string().as_bytes() == *addr);
        let card = card.ok_or(CommandError::text("ERR No such client"))?;
        kill_one(ctx, card);
        ctx.reply.ok();
        return Ok(());
    }
    let filter = kill_filter(ctx, &args[2..])?;
    let mut killed = 0;
    for card in ctx.server.clients.cards() {
        if filter.matches(&card, ctx.client.id, ctx.now_ms) {
            kill_one(ctx, &card);
            killed += 1;
        }
    }
    ctx.reply.count(killed);
    Ok(())
}

fn kill_one(ctx: &mut Context<'_>, card: &Arc<Card>) {
    if card.id == ctx.client.id {
        ctx.client.close = true;
    } else {
        ctx.server.kill(card);
    }
}

fn kill_filter<'a>(ctx: &Context<'_>, options: &[&'a [u8]]) -> Result<Filter<'a>, CommandError> {
    let mut filter = Filter {
        id: None,
        addr: None,
        laddr: None,
        kind: None,
        user: None,
        older_than_ms: None,
        skip_me: true,
    };
    for pair in options.chunks(2) {
        let [option, value] = pair else { return Err(CommandError::Syntax) };
        let is = |word: &str| option.eq_ignore_ascii_case(word.as_bytes());
        if is("id") {
            let id = client_id(value)
                .map_err(|_| CommandError::text("ERR client-id should be greater than 0"))?;
            filter.id = Some(id);
        } else if is("type") {
            filter.kind = Some(Kind::named(value)?);
        } else if is("addr") {
            filter.addr = Some(value);
        } else if is("laddr") {
            filter.laddr = Some(value);
        } else if is("user") {
            let user = ctx.server.access.find(value).ok_or_else(|| {
                let user = String::from_utf8_lossy(value);
                CommandError::err(format_args!("No such user '{user}'"))
            })?;
            filter.user = Some(user);
        } else if is("maxage") {
            let age = parse_i64(value).ok_or(CommandError::NotInteger)?;
            let age = u64::try_from(age)
                .map_err(|_| CommandError::text("ERR maxage should be greater than 0"))?;
            filter.older_than_ms = Some(age.saturating_mul(1000));
        } else if is("skipme") {
            filter.skip_me = if value.eq_ignore_ascii_case(b"yes") {
                true
            } else if value.eq_ignore_ascii_case(b"no") {
                false
            } else {
                return Err(CommandError::Syntax);
            };
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(filter)
}

impl Filter<'_> {
    fn matches(&self, card: &Card, me: u64, now_ms: u64) -> bool {
        let is = |addr: std::net::SocketAddr, wanted: Option<&[u8]>| {
            wanted.is_none_or(|wanted| addr.to_string().as_bytes() == wanted)
        };
        let age_ms = now_ms.saturating_sub(card.connected_ms);
        self.kind.is_none_or(|kind| kind.is_of(card))
            && self.user.as_ref().is_none_or(|user| card.is_of(user))
            && self.id.is_none_or(|id| id == card.id)
            && is(card.peer, self.addr)
            && is(card.local, self.laddr)
            && self.older_than_ms.is_none_or(|limit| age_ms >= limit)
            && !(self.skip_me && card.id == me)
    }
}
