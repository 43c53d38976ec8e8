//! What each step of a script calls.
//!
//! Knows the public API. Does not know what must come of it.

use super::Run;
use crate::crash::{
    model::value,
    workload::{Ack, KEYSPACES, Op, Write},
};
use kvcore::{Durability, Put, Result};
use std::time::Duration;

fn durability(ack: Ack) -> Durability {
    match ack {
        Ack::Durable => Durability::Immediate,
        Ack::Buffered => Durability::Buffered,
    }
}

impl Run {
    pub(super) fn execute(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Write(write, ack) => self.write(write, *ack),
            Op::Batch(writes, ack) => self.batch(writes, *ack),
            Op::Round(writes, ack) => self.round(writes, *ack),
            Op::Advance { ms } => {
                self.clock.advance(Duration::from_millis(*ms));
                self.ledger.now_ms += ms;
                Ok(())
            }
            Op::Sync => self.store().sync(),
            Op::Merge => self.store().merge().map(|_| ()),
            Op::Maintain => self.store().maintain(),
            Op::Reopen => {
                let store = self.store.take().expect("the script runs on an open store");
                self.keyspaces = [const { None }; KEYSPACES.len()];
                let acked = self.ledger.acked;
                let closed = store.close();
                if closed.is_ok() {
                    self.ledger.durable = acked;
                }
                closed
            }
            Op::Kill => {
                self.drop_store();
                Ok(())
            }
        }
    }

    fn write(&mut self, write: &Write, ack: Ack) -> Result<()> {
        let (now_ms, serial) = (self.ledger.now_ms, self.ledger.serial);
        let keyspace = self.keyspace(write.keyspace())?;
        match *write {
            Write::Put { key, len, .. } => {
                let value = value(serial, len);
                keyspace.put_with([key].as_slice(), &value, durability(ack))?;
            }
            Write::Stream { key, len, .. } => {
                let value = value(serial, len);
                keyspace.put_reader_with([key].as_slice(), &value[..], durability(ack))?;
            }
            Write::PutFor { key, len, ms, .. } => {
                let value = value(serial, len);
                let put = Put::expires_in(Duration::from_millis(ms));
                keyspace.put_with(
                    [key].as_slice(),
                    &value,
                    put.with_durability(durability(ack)),
                )?;
            }
            Write::Delete { key, .. } => {
                keyspace.delete([key].as_slice())?;
            }
            Write::DeleteRange { from, to, .. } => {
                keyspace.delete_range([from].as_slice()..[to].as_slice())?;
            }
            Write::Clear { .. } => {
                keyspace.clear()?;
            }
            Write::Expire { key, ms, .. } => {
                keyspace.expire([key].as_slice(), system_time(now_ms + ms))?;
            }
            Write::Persist { key, .. } => {
                keyspace.persist([key].as_slice())?;
            }
        }
        // Only puts take a durability of their own.
        if ack == Ack::Durable {
            self.store().wait_durable(self.store().tip_sequence())
        } else {
            Ok(())
        }
    }

    fn batch(&mut self, writes: &[Write], ack: Ack) -> Result<()> {
        let mut batch = self.store().batch();
        let (now_ms, first) = (self.ledger.now_ms, self.ledger.serial);
        for (serial, write) in (first..).zip(writes) {
            let keyspace = self.keyspace(write.keyspace())?;
            match *write {
                Write::Put { key, len, .. } => {
                    batch.put(&keyspace, [key].as_slice(), &value(serial, len))?;
                }
                Write::PutFor { key, len, ms, .. } => {
                    let value = value(serial, len);
                    let put = Put::expires_in(Duration::from_millis(ms));
                    batch.put_with(&keyspace, [key].as_slice(), &value, put)?;
                }
                Write::Delete { key, .. } => batch.delete(&keyspace, [key].as_slice())?,
                Write::DeleteRange { from, to, .. } => {
                    batch.delete_range(&keyspace, [from].as_slice()..[to].as_slice())?;
                }
                Write::Clear { .. } => batch.clear(&keyspace)?,
                Write::Expire { key, ms, .. } => {
                    batch.expire(&keyspace, [key].as_slice(), system_time(now_ms + ms))?;
                }
                Write::Persist { key, .. } => batch.persist(&keyspace, [key].as_slice())?,
                Write::Stream { .. } => unreachable!("batches take no readers"),
            }
        }
        batch.commit_with(durability(ack)).map(|_| ())
    }

    /// Each write of a round is a commit of its own, visible at once.
    fn round(&mut self, writes: &[Write], ack: Ack) -> Result<()> {
        for write in writes {
            self.keyspace(write.keyspace())?;
        }
        let (now_ms, first) = (self.ledger.now_ms, self.ledger.serial);
        let beside = self.is_beside_a_merge;
        let (keyspaces, ledger) = (&self.keyspaces, &mut self.ledger);
        let store = self.store.as_ref().expect("the script runs on an open store");
        store.commit_many_with(durability(ack), |round| {
            for (serial, write) in (first..).zip(writes) {
                let Write::Put { keyspace, key, len } = *write else {
                    unreachable!("rounds are made of puts");
                };
                let mut state = ledger.state().clone();
                state.write(write, now_ms, serial);
                let keyspace = keyspaces[keyspace].as_ref().expect("opened above");
                let value = value(serial, len);
                let next = ledger.tip() + 1;
                let done = round.put(keyspace, [key].as_slice(), &value, Put::default());
                // A failed one may have come as far as the disk, but only if nothing follows it.
                match &done {
                    Ok(sequence) if beside => {
                        ledger.unseen_until(Some(sequence.get() - 1));
                        ledger.push(sequence.get(), state);
                    }
                    Ok(sequence) => {
                        assert_eq!(sequence.get(), next);
                        ledger.push(next, state);
                    }
                    Err(_) if store.wait_durable(store.durable_sequence()).is_err() => {
                        if beside {
                            ledger.push_beside(1, None, state);
                        } else {
                            ledger.push(next, state);
                        }
                    }
                    Err(_) => {}
                }
                done?;
            }
            Ok(())
        })
    }
}

impl Write {
    fn keyspace(&self) -> usize {
        match *self {
            Write::Put { keyspace, .. }
            | Write::Stream { keyspace, .. }
            | Write::PutFor { keyspace, .. }
            | Write::Delete { keyspace, .. }
            | Write::DeleteRange { keyspace, .. }
            | Write::Clear { keyspace }
            | Write::Expire { keyspace, .. }
            | Write::Persist { keyspace, .. } => keyspace,
        }
    }
}

fn system_time(ms: u64) -> std::time::SystemTime {
    std::time::UNIX_EPOCH + Duration::from_millis(ms)
}
