//! Who watches what, for all keyspaces of a store.
//!
//! # Invariants
//!
//! G1. A queue is registered exactly while it is live: one that lags costs a commit nothing.
//! G2. Registering happens under the views' mutex, so that a commit is told to a new watcher if
//!     and only if it was not visible when the call that made it returned.
//! G3. The lock of the registry comes after the views' mutex, those of queues after it. No user
//!     code runs under it: wakers are handed on, to be called when it is released.

use super::{
    queue::{End, Pushed, Queue, Told},
    scope::Scope,
};
use crate::{
    ids::{KeyspaceId, Sequence},
    spans::{Span, Spans},
};
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

/// The watchers of one store.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// Registered queues: what a commit looks at.
    live: AtomicUsize,
    /// Watchers, those that lag too.
    all: AtomicU64,
    /// Those of them that lag and have not taken notice.
    lagging: AtomicU64,
    next: AtomicU64,
    inner: Mutex<Inner>,
    /// To be called when their waker may.
    put_off: Mutex<Vec<Waker>>,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    /// Few, and looked for by every commit.
    spaces: Spaces,
    is_closed: bool,
    /// Keyspaces of which nothing more will be told. Their ids are never given out again.
    gone: HashSet<KeyspaceId>,
}

/// The keyspaces that are watched, in no order.
#[derive(Debug, Default)]
struct Spaces(Vec<(KeyspaceId, Space)>);

impl Spaces {
    fn get(&self, id: KeyspaceId) -> Option<&Space> {
        self.0.iter().find(|(of, _)| *of == id).map(|(_, space)| space)
    }

    fn get_mut(&mut self, id: KeyspaceId) -> Option<&mut Space> {
        self.0.iter_mut().find(|(of, _)| *of == id).map(|(_, space)| space)
    }

    fn get_or_insert(&mut self, id: KeyspaceId) -> &mut Space {
        let at = self.0.iter().position(|(of, _)| *of == id).unwrap_or_else(|| {
            self.0.push((id, Space::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    fn remove(&mut self, id: KeyspaceId) -> Option<Space> {
        let at = self.0.iter().position(|(of, _)| *of == id)?;
        Some(self.0.swap_remove(at).1)
    }

    fn iter(&self) -> impl Iterator<Item = &Space> {
        self.0.iter().map(|(_, space)| space)
    }

    fn drain(&mut self) -> impl Iterator<Item = Space> {
        self.0.drain(..).map(|(_, space)| space)
    }
}

/// The watchers of one keyspace.
#[derive(Debug, Default)]
struct Space {
    keys: HashMap<Box<[u8]>, Vec<Arc<Queue>>>,
    spans: Spans<Arc<Queue>>,
    live: usize,
    /// How many of them want old values.
    want_old: usize,
}

/// How many watchers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watchers {
    pub(crate) all: u64,
    pub(crate) lagging: u64,
}

impl Registry {
    /// Somebody may want to be told. Exact under the views' mutex (G2).
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.live.load(Ordering::Relaxed) != 0
    }

    /// The registry, if one of these keyspaces is watched.
    pub(crate) fn lock_if_any(
        &self,
        mut keyspaces: impl Iterator<Item = KeyspaceId>,
    ) -> Option<MutexGuard<'_, Inner>> {
        let inner = self.inner.lock();
        keyspaces.any(|id| inner.spaces.get(id).is_some()).then_some(inner)
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Registers a queue, for the first time or again. The caller holds the views' mutex (G2).
    pub(crate) fn register(&self, queue: &Arc<Queue>) -> Result<(), End> {
        let mut inner = self.inner.lock();
        if queue.is_lagging() {
            self.lagging.fetch_sub(1, Ordering::Relaxed);
        }
        let is_gone = inner.gone.contains(&queue.keyspace);
        if inner.is_closed || is_gone {
            let end = if is_gone { End::Gone } else { End::Closed };
            queue.end(end, &mut Vec::new());
            return Err(end);
        }
        queue.go_on();
        inner.spaces.get_or_insert(queue.keyspace).add(queue);
        self.count(&inner);
        Ok(())
    }

    /// One watcher more.
    pub(crate) fn joined(&self) {
        self.all.fetch_add(1, Ordering::Relaxed);
    }

    /// A watcher has gone, live or not.
    pub(crate) fn left(&self, queue: &Queue) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        let removed = inner.remove(queue);
        if queue.is_lagging() {
            self.lagging.fetch_sub(1, Ordering::Relaxed);
        }
        self.count(&inner);
        drop(inner);
        drop(removed);
    }

    /// Told to whoever asks for it; those that are full leave (G1).
    pub(crate) fn tell(
        &self,
        inner: &mut Inner,
        keyspace: KeyspaceId,
        about: About<'_>,
        make: &mut dyn FnMut() -> Told,
        wakers: &mut Vec<Waker>,
    ) {
        let Some(space) = inner.spaces.get(keyspace) else { return };
        let mut told = None;
        let mut full = Vec::new();
        space.each(about, &mut |queue| {
            let told: &Arc<Told> = told.get_or_insert_with(|| Arc::new(make()));
            if queue.push(told, wakers) == Pushed::Lagged {
                full.push(Arc::clone(queue));
            }
        });
        if !full.is_empty() {
            full.iter().for_each(|queue| drop(inner.remove(queue)));
            self.lagging.fetch_add(full.len() as u64, Ordering::Relaxed);
            self.count(inner);
        }
    }

    /// Something happened that nobody was told of, from this sequence on.
    pub(crate) fn lag_all(&self, from: Sequence) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let mut inner = self.inner.lock();
        for queue in inner.drain() {
            queue.lag(from, &mut wakers);
            self.lagging.fetch_add(1, Ordering::Relaxed);
        }
        self.count(&inner);
        wakers
    }

    /// Nothing more will come of this keyspace. The wakers are to be called under no lock.
    pub(crate) fn end_keyspace(&self, keyspace: KeyspaceId) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let mut inner = self.inner.lock();
        inner.gone.insert(keyspace);
        if let Some(space) = inner.spaces.remove(keyspace) {
            space.each_queue(|queue| queue.end(End::Gone, &mut wakers));
        }
        self.count(&inner);
        wakers
    }

    /// Nothing more will come at all.
    pub(crate) fn end_all(&self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let mut inner = self.inner.lock();
        inner.is_closed = true;
        for queue in inner.drain() {
            queue.end(End::Closed, &mut wakers);
        }
        self.count(&inner);
        wakers
    }

    /// Everybody looks again.
    pub(crate) fn wake_all(&self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for space in self.inner.lock().spaces.iter() {
            space.each_queue(|queue| queue.wake(&mut wakers));
        }
        wakers
    }

    /// Keeps wakers until [`Registry::take_put_off`], for a caller who holds a lock.
    pub(crate) fn put_off(&self, wakers: Vec<Waker>) {
        if !wakers.is_empty() {
            self.put_off.lock().extend(wakers);
        }
    }

    pub(crate) fn take_put_off(&self) -> Vec<Waker> {
        std::mem::take(&mut self.put_off.lock())
    }

    pub(crate) fn watchers(&self) -> Watchers {
        let [all, lagging] = [&self.all, &self.lagging].map(|n| n.load(Ordering::Relaxed));
        Watchers { all, lagging }
    }

    fn count(&self, inner: &Inner) {
        let live = inner.spaces.iter().map(|space| space.live).sum();
        self.live.store(live, Ordering::Relaxed);
    }
}

/// What an event is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About<'a> {
    /// One key: those who watch it, and those who watch a span it lies in.
    Key(&'a [u8]),
    /// A range: those who watch a span that meets it.
    Range(&'a Span),
    /// One key of such a range: those who watch this key.
    OnlyKey(&'a [u8]),
}

impl Inner {
    /// Some watcher that is to be told of it wants the old value too.
    pub(crate) fn wants_old_of(&self, keyspace: KeyspaceId, about: About<'_>) -> bool {
        let Some(space) = self.spaces.get(keyspace).filter(|space| space.want_old > 0) else {
            return false;
        };
        let mut wants = false;
        space.each(about, &mut |queue| wants |= queue.wants_old);
        wants
    }

    /// Some watcher of the keyspace wants old values.
    pub(crate) fn wants_old(&self, keyspace: KeyspaceId) -> bool {
        self.spaces.get(keyspace).is_some_and(|space| space.want_old > 0)
    }

    /// The keys in a range that are watched by themselves. Costs a look at each watched key.
    pub(crate) fn watched_keys(&self, keyspace: KeyspaceId, range: &Span) -> Vec<Box<[u8]>> {
        let space = self.spaces.get(keyspace);
        let keys = space.into_iter().flat_map(|space| space.keys.keys());
        keys.filter(|key| range.contains(key)).cloned().collect()
    }

    /// Takes a queue out, if it is registered.
    fn remove(&mut self, queue: &Queue) -> Option<Arc<Queue>> {
        let space = self.spaces.get_mut(queue.keyspace)?;
        let removed = space.remove(queue);
        if space.live == 0 {
            self.spaces.remove(queue.keyspace);
        }
        removed
    }

    fn drain(&mut self) -> Vec<Arc<Queue>> {
        let mut all = Vec::new();
        for space in self.spaces.drain() {
            space.each_queue(|queue| all.push(Arc::clone(queue)));
        }
        all
    }
}

impl Space {
    fn add(&mut self, queue: &Arc<Queue>) {
        let shared = Arc::clone(queue);
        match &queue.scope {
            Scope::Key(key) => self.keys.entry(key.clone()).or_default().push(shared),
            Scope::Span(span) => self.spans.insert(span.clone(), queue.number, shared),
        }
        self.live += 1;
        self.want_old += usize::from(queue.wants_old);
    }

    fn remove(&mut self, queue: &Queue) -> Option<Arc<Queue>> {
        let removed = match &queue.scope {
            Scope::Key(key) => {
                let of_key = self.keys.get_mut(key)?;
                let at = of_key.iter().position(|there| there.number == queue.number)?;
                let removed = of_key.swap_remove(at);
                if of_key.is_empty() {
                    self.keys.remove(key);
                }
                removed
            }
            Scope::Span(span) => self.spans.remove(&span.start, queue.number)?,
        };
        self.live -= 1;
        self.want_old -= usize::from(queue.wants_old);
        Some(removed)
    }

    fn each<'a>(&'a self, about: About<'_>, f: &mut dyn FnMut(&'a Arc<Queue>)) {
        if let About::Key(key) | About::OnlyKey(key) = about {
            self.keys.get(key).into_iter().flatten().for_each(&mut *f);
        }
        match about {
            About::Key(key) => self.spans.each_at(key, f),
            About::Range(span) => self.spans.each_meeting(span, f),
            About::OnlyKey(_) => {}
        }
    }

    fn each_queue<'a>(&'a self, mut f: impl FnMut(&'a Arc<Queue>)) {
        self.keys.values().flatten().for_each(&mut f);
        self.spans.each(&mut f);
    }
}
