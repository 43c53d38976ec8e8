//! Memory and time of the structures together: random 24-byte keys over 64 shards.
//!
//! Memory is asserted. Times are printed, not judged, if `KVCORE_PRINT` is set:
//! `KVCORE_PRINT=1 cargo test --release -p kvcore --lib keydir::measured -- --nocapture`

use std::hint::black_box;
use std::ops::Bound;
use std::time::Instant;

use parking_lot::RwLock;

use super::entry::{Entry, EntryFlags, EntryRef};
use super::order::{KeySource, Leaves, OrderBuilder, OrderIndex, OrderRef, Side};
use super::table::Table;
use super::{figure, index};
use crate::ids::{FileId, Location, Sequence};

const KEY_BYTES: usize = 24;
type Key = [u8; KEY_BYTES];

struct Shards {
    tables: Vec<RwLock<Table>>,
}

impl Shards {
    fn new(count: u32) -> Self {
        Self { tables: (0..count).map(|_| RwLock::new(Table::new())).collect() }
    }

    fn shard(&self, key: &Key) -> (u8, u32) {
        let hash = hash(key);
        let shard = (hash >> 58) % figure(self.tables.len());
        (u8::try_from(shard).unwrap(), u32::try_from((hash >> 26) & 0xffff_ffff).unwrap())
    }

    fn get(&self, key: &Key) -> Option<(EntryRef, Entry)> {
        let (shard, tag) = self.shard(key);
        self.tables[usize::from(shard)].read().get(tag, key)
    }

    fn insert(&self, key: &Key, number: u32) -> OrderRef {
        let (shard, tag) = self.shard(key);
        let entry = self.tables[usize::from(shard)].write().insert(tag, key, entry(number));
        OrderRef { shard, entry: entry.unwrap() }
    }

    fn update(&self, key: &Key, number: u32) {
        let (shard, tag) = self.shard(key);
        let mut table = self.tables[usize::from(shard)].write();
        let (r, _) = table.get(tag, key).unwrap();
        table.set(r, entry(number));
    }

    fn remove(&self, key: &Key) {
        let (shard, tag) = self.shard(key);
        self.tables[usize::from(shard)].write().remove(tag, key).unwrap();
    }

    fn memory_bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.read().memory_bytes()).sum()
    }
}

impl KeySource for Shards {
    fn with_key<R>(&self, r: OrderRef, f: impl FnOnce(&[u8]) -> R) -> R {
        f(self.tables[usize::from(r.shard)].read().key(r.entry))
    }
}

fn entry(number: u32) -> Entry {
    Entry {
        sequence: Sequence(u64::from(number)),
        location: Location { file: FileId(1), offset: number },
        value_len: 150,
        flags: EntryFlags::NONE,
    }
}

/// The keys are random already; any eight of their bytes are as good as a hash of them.
fn hash(key: &Key) -> u64 {
    u64::from_le_bytes(key[16..].try_into().unwrap())
}

fn random_keys(random: &mut fastrand::Rng, count: u32) -> Vec<Key> {
    let mut key = || std::array::from_fn(|_| random.u8(..));
    (0..count).map(|_| key()).collect()
}

/// As many shards as give each the share it has of a million keys in 64.
fn sizes() -> (u32, u32) {
    if cfg!(debug_assertions) { (16, 250_000) } else { (64, 1_000_000) }
}

#[test]
fn a_random_key_costs_at_most_36_bytes_and_itself_and_18_more_if_ordered() {
    let mut random = fastrand::Rng::with_seed(1);
    let (shards, count) = sizes();
    let keys = random_keys(&mut random, count);
    let (shards, mut order) = (Shards::new(shards), OrderIndex::new());
    let (mut worst_table, mut worst_order) = (0.0_f64, 0.0_f64);
    for (number, key) in (1..).zip(&keys) {
        let r = shards.insert(key, number);
        order.insert(&shards, key, r);
        // Where a figure is taken must not happen to be just before or after a growth step.
        if number > count / 2 && number % (count / 20) == 0 {
            let per_key = |bytes: u64| bytes as f64 / f64::from(number);
            let table = per_key(shards.memory_bytes()) - KEY_BYTES as f64;
            let order = per_key(order.memory_bytes());
            worst_table = worst_table.max(table);
            worst_order = worst_order.max(order);
            println!("{number} keys: {table:.1} + key, {order:.1} in order");
        }
    }
    assert!(worst_table <= 36.0, "{worst_table:.1} bytes besides the key");
    assert!(worst_order <= 18.0, "{worst_order:.1} bytes in the order index");
}

/// Nanoseconds of `f` per key.
fn time(name: &str, order: &[u32], mut f: impl FnMut(u32)) -> f64 {
    let start = Instant::now();
    for &number in order {
        f(number);
    }
    let ns = start.elapsed().as_secs_f64() * 1e9 / order.len() as f64;
    println!("{name:>24} {ns:7.0} ns");
    ns
}

#[test]
fn times_of_single_operations() {
    if std::env::var_os("KVCORE_PRINT").is_none() {
        return;
    }
    let mut random = fastrand::Rng::with_seed(2);
    let (shard_count, count) = sizes();
    let keys = random_keys(&mut random, count);
    let key = |number: u32| &keys[index(number)];
    let ascending: Vec<u32> = (0..count).collect();
    let mut shuffled = ascending.clone();
    random.shuffle(&mut shuffled);
    let shards = Shards::new(shard_count);
    time("harness", &shuffled, |n| {
        black_box(shards.shard(key(n)));
    });
    time("insert", &ascending, |n| {
        shards.insert(key(n), n);
    });
    let get = time("get", &shuffled, |n| assert!(black_box(shards.get(key(n))).is_some()));
    time("get absent", &shuffled, |n| {
        let mut other = *key(n);
        other[0] ^= 1;
        assert!(black_box(shards.get(&other)).is_none());
    });
    time("update", &shuffled, |n| shards.update(key(n), n));
    let refs: Vec<OrderRef> = keys
        .iter()
        .map(|key| OrderRef { shard: shards.shard(key).0, entry: shards.get(key).unwrap().0 })
        .collect();
    let mut order = OrderIndex::new();
    time("order insert", &ascending, |n| order.insert(&shards, key(n), refs[index(n)]));
    print_order_reads(&order, &shards, &keys, &shuffled);
    time("order remove", &shuffled, |n| assert!(order.remove(key(n), refs[index(n)])));
    let mut sorted = ascending.clone();
    sorted.sort_unstable_by_key(|&n| key(n));
    time("order insert, ascending", &sorted, |n| order.insert(&shards, key(n), refs[index(n)]));
    println!("{:.1} bytes per key", order.memory_bytes() as f64 / f64::from(count));
    let mut builder = OrderBuilder::starting_at(Vec::new());
    time("order build", &sorted, |n| builder.push(key(n), refs[index(n)]));
    let high = key(sorted[sorted.len() - 1]).to_vec();
    print_split(Leaves::join(vec![builder.finish(&high)], high), &shards);
    time("remove", &shuffled, |n| shards.remove(key(n)));
    assert!(get > 0.0);
}

fn print_order_reads(order: &OrderIndex, shards: &Shards, keys: &[Key], shuffled: &[u32]) {
    println!("{:.1} bytes per key", order.memory_bytes() as f64 / keys.len() as f64);
    time("order rank", shuffled, |n| {
        black_box(order.position(shards, &keys[index(n)], Side::Before));
    });
    time("order nth", shuffled, |n| assert!(order.nth(u64::from(n)).is_some()));
    let mut page = Vec::new();
    time("order seek + 10", shuffled, |n| {
        page.clear();
        let from = Bound::Included(&keys[index(n)][..]);
        order.page(shards, from, Bound::Unbounded, 10, &mut page);
    });
    time("order range of about 10", shuffled, |n| {
        page.clear();
        let mut end = keys[index(n)];
        end[2] = end[2].saturating_add(160);
        let range = (Bound::Included(&keys[index(n)][..]), Bound::Excluded(&end[..]));
        order.page(shards, range.0, range.1, 10, &mut page);
    });
}

fn print_split(mut order: OrderIndex, shards: &Shards) {
    let all = order.len();
    println!("{:.1} bytes per key", order.memory_bytes() as f64 / all as f64);
    let start = Instant::now();
    let bounds = (Bound::Included(&[0x10_u8][..]), Bound::Excluded(&[0xf0_u8][..]));
    let mut off = order.split_off_range(shards, bounds.0, bounds.1);
    println!("{} of {all} keys split off in {:?}", off.len(), start.elapsed());
    let (start, mut out) = (Instant::now(), Vec::new());
    while off.len() > 0 {
        out.clear();
        off.pop_front(64, &mut out);
    }
    println!("and popped in {:?}", start.elapsed());
}
