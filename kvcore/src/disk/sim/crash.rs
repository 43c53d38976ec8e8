//! What may be found on the medium after the power came back.
//!
//! Knows the rules of the medium:
//!
//! - What was synced is there. Of everything else, each operation is there or not, independently
//!   of the others, of its age, and of whether the name of its file is there.
//! - A write may be there in part: cut at any byte, any of its sectors, its length without its
//!   bytes (zeros instead), its bytes without its length.
//! - A rename is there or not as a whole. Files without a name are gone.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsString,
    fmt::Write as _,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::Arc,
};

use super::{
    SimDisk, address,
    pending::{Fate, FileOp, Keep, Pending, PendingOp},
    plan::{Plans, Slot},
    tree::{DirNode, DirOp, DirState, Entries, FileNode, FileState, Node},
};

impl SimDisk {
    /// Disks as a power cut now could leave them: no two alike, at most `limit`.
    ///
    /// The first is "nothing pending was kept", the second "everything was"; then come subsets,
    /// prefixes and tears, the worst suspects before random mixtures. Ends early once new ones
    /// are no longer found. Each comes with a description in terms of
    /// [`op_log`](SimDisk::op_log)'s numbers. This disk is not changed.
    #[must_use]
    pub fn crash_images(&self, limit: usize, rng_seed: u64) -> CrashImages {
        let frozen = Frozen::of(self);
        let plans = Plans::new(frozen.slots(), limit, rng_seed ^ self.shared.seed);
        CrashImages { frozen, plans, seen: HashSet::new(), left: limit, count: 0 }
    }

    /// The disk as the next process finds it after this one was killed: all that was written is
    /// seen, what is pending stays pending, locks are free, faults gone.
    ///
    /// Operations are counted on from here, as those still pending have their numbers already.
    #[must_use]
    pub fn process_crash_image(&self) -> SimDisk {
        let machine = self.shared.machine.lock();
        let mut copier = Copier { dirs: HashMap::new(), files: HashMap::new(), settle: false };
        let root = copier.dir(&self.shared.root);
        let image = self.child("process killed", root);
        image.shared.machine.lock().continue_from(&machine);
        image
    }

    /// The disk after a proper shutdown of the machine: all that was written is durable.
    #[must_use]
    pub fn clean_image(&self) -> SimDisk {
        let _machine = self.shared.machine.lock();
        let mut copier = Copier { dirs: HashMap::new(), files: HashMap::new(), settle: true };
        let root = copier.dir(&self.shared.root);
        self.child("clean shutdown", root)
    }

    fn child(&self, how: &str, root: Arc<DirNode>) -> SimDisk {
        SimDisk::with_root(self.shared.seed, format!("{how}; {}", self.shared.origin), root)
    }

    /// A number that is the same for disks that look the same: names, kinds and bytes.
    #[must_use]
    pub fn content_hash(&self) -> u64 {
        let _machine = self.shared.machine.lock();
        let mut hasher = DefaultHasher::new();
        // Entries are visited in a fixed order.
        self.shared.each_entry(|path, node| {
            (path, node.kind()).hash(&mut hasher);
            if let Node::File(file) = node {
                hash_content(&file.state.read().visible, &mut hasher);
            }
        });
        hasher.finish()
    }
}

/// The states a power cut could leave, made one by one. See [`SimDisk::crash_images`].
#[derive(Debug)]
pub struct CrashImages {
    frozen: Frozen,
    plans: Plans,
    seen: HashSet<u64>,
    left: usize,
    count: u64,
}

impl Iterator for CrashImages {
    type Item = (String, SimDisk);

    fn next(&mut self) -> Option<Self::Item> {
        /// So many candidates without a new image, and there are hardly any left.
        const STALE_MAX: usize = 100;
        self.left = self.left.checked_sub(1)?;
        for _ in 0..STALE_MAX {
            let Some(plan) = self.plans.next() else { break };
            let mut image = Image::new(&self.frozen, &plan);
            let root = image.dir(ROOT);
            if self.seen.insert(image.hasher.finish()) {
                self.count += 1;
                let description = self.frozen.describe(self.count, &plan);
                let origin = format!("{description}; {}", self.frozen.origin);
                // Another seed, so that directories are listed in another order.
                let seed = self.frozen.seed.wrapping_add(self.count);
                return Some((description, SimDisk::with_root(seed, origin, root)));
            }
        }
        self.left = 0;
        None
    }
}

/// Number of the root among the frozen directories.
const ROOT: usize = 0;

/// A disk at one instant, nodes numbered so that images can be built from it again and again.
#[derive(Debug)]
struct Frozen {
    seed: u64,
    origin: String,
    dirs: Vec<FrozenDir>,
    files: Vec<FrozenFile>,
    numbers: Numbers,
    /// Operations a plan decides about, in the order they were done.
    undecided: Vec<Undecided>,
}

#[derive(Debug, Default)]
struct FrozenDir {
    durable: Entries,
    ops: Vec<(Choice, DirOp)>,
}

#[derive(Debug)]
struct FrozenFile {
    path: Arc<Path>,
    durable: Arc<Vec<u8>>,
    visible: Arc<Vec<u8>>,
    /// All of its operations kept make `visible`.
    ops: Vec<(Choice, FileOp)>,
}

/// Whether an operation is there anyway, or which slot of the plan decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Forced,
    Slot(usize),
}

#[derive(Debug)]
struct Undecided {
    /// The operation's number on its disk.
    index: u64,
    place: Place,
    /// Which of that place's operations.
    nth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Dir(usize),
    File(usize),
}

/// Numbers of the nodes by address; a frozen disk holds the nodes, so addresses stay theirs.
#[derive(Debug, Default)]
struct Numbers {
    dirs: HashMap<usize, usize>,
    files: HashMap<usize, usize>,
}

impl Frozen {
    fn of(disk: &SimDisk) -> Frozen {
        let _machine = disk.shared.machine.lock();
        let mut frozen = Frozen {
            seed: disk.shared.seed,
            origin: disk.shared.origin.clone(),
            dirs: Vec::new(),
            files: Vec::new(),
            numbers: Numbers::default(),
            undecided: Vec::new(),
        };
        frozen.add_dir(&disk.shared.root);
        frozen.undecided.sort_by_key(|undecided| undecided.index);
        for (slot, undecided) in frozen.undecided.iter().enumerate() {
            let choice = match undecided.place {
                Place::Dir(dir) => &mut frozen.dirs[dir].ops[undecided.nth].0,
                Place::File(file) => &mut frozen.files[file].ops[undecided.nth].0,
            };
            *choice = Choice::Slot(slot);
        }
        frozen
    }

    fn add(&mut self, node: &Node) {
        match node {
            Node::Dir(dir) => self.add_dir(dir),
            Node::File(file) => self.add_file(file),
            Node::Special(_) => {}
        }
    }

    fn add_dir(&mut self, dir: &Arc<DirNode>) {
        let number = self.dirs.len();
        if self.numbers.dirs.contains_key(&address(dir)) {
            return;
        }
        self.numbers.dirs.insert(address(dir), number);
        let state = dir.state.read();
        let ops = self.freeze_ops(&state.pending, Place::Dir(number));
        self.dirs.push(FrozenDir { durable: state.durable.clone(), ops });
        for node in state.durable.values() {
            self.add(node);
        }
        for pending in &state.pending.ops {
            match &pending.op {
                DirOp::Add { node, .. } | DirOp::Remove { node, .. } | DirOp::Move { node, .. } => {
                    self.add(node);
                }
            }
        }
    }

    fn add_file(&mut self, file: &Arc<FileNode>) {
        let number = self.files.len();
        if self.numbers.files.contains_key(&address(file)) {
            return;
        }
        self.numbers.files.insert(address(file), number);
        let state = file.state.read();
        let ops = self.freeze_ops(&state.pending, Place::File(number));
        self.files.push(FrozenFile {
            path: Arc::clone(&file.path),
            durable: Arc::clone(&state.durable),
            visible: Arc::clone(&state.visible),
            ops,
        });
    }

    /// Slots are given out later, when all operations are known.
    fn freeze_ops<Op: Clone>(&mut self, pending: &Pending<Op>, place: Place) -> Vec<(Choice, Op)> {
        let mut ops = Vec::with_capacity(pending.ops.len());
        for (nth, PendingOp { op, index, fate }) in pending.ops.iter().enumerate() {
            if *fate != Fate::Forced {
                self.undecided.push(Undecided { index: *index, place, nth });
            }
            ops.push((Choice::Forced, op.clone()));
        }
        ops
    }

    fn slots(&self) -> Vec<Slot> {
        let mut sites = HashMap::new();
        let slot = |undecided: &Undecided| {
            let new = sites.len();
            let site = *sites.entry(undecided.place).or_insert(new);
            match undecided.place {
                Place::Dir(_) => Slot { site, data_len: 0, boundaries: Vec::new() },
                Place::File(file) => {
                    let op = &self.files[file].ops[undecided.nth].1;
                    let boundaries = op.sector_boundaries().collect();
                    Slot { site, data_len: op.data_len(), boundaries }
                }
            }
        };
        self.undecided.iter().map(slot).collect()
    }

    /// `image 3: 2 of 5 pending kept: #4 #7 Torn(512)`.
    fn describe(&self, count: u64, plan: &[Keep]) -> String {
        const NAMED_MAX: usize = 40;
        let is_kept = |keep: &&Keep| **keep != Keep::Lost;
        let kept = plan.iter().filter(is_kept).count();
        let mut text = format!("image {count}: {kept} of {} pending kept:", plan.len());
        let named = self.undecided.iter().zip(plan).filter(|(_, keep)| is_kept(keep));
        for (undecided, keep) in named.take(NAMED_MAX) {
            let result = match keep {
                Keep::Full => write!(text, " #{}", undecided.index),
                keep => write!(text, " #{} {keep:?}", undecided.index),
            };
            result.expect("writing to a string cannot fail");
        }
        if kept > NAMED_MAX {
            text.push_str(" …");
        }
        text
    }
}

/// One image in the making.
struct Image<'f> {
    frozen: &'f Frozen,
    plan: &'f [Keep],
    files: HashMap<usize, Arc<FileNode>>,
    hasher: DefaultHasher,
}

impl<'f> Image<'f> {
    fn new(frozen: &'f Frozen, plan: &'f [Keep]) -> Image<'f> {
        Image { frozen, plan, files: HashMap::new(), hasher: DefaultHasher::new() }
    }

    fn keep(&self, choice: Choice) -> Keep {
        match choice {
            Choice::Forced => Keep::Full,
            Choice::Slot(slot) => self.plan[slot],
        }
    }

    fn dir(&mut self, number: usize) -> Arc<DirNode> {
        let frozen = &self.frozen.dirs[number];
        let mut entries = frozen.durable.clone();
        for (choice, op) in &frozen.ops {
            if self.keep(*choice) != Keep::Lost {
                op.apply(&mut entries);
            }
        }
        self.hasher.write_usize(entries.len());
        for (name, node) in &mut entries {
            (&*name, node.kind()).hash(&mut self.hasher);
            *node = match node {
                Node::Dir(dir) => Node::Dir(self.dir(self.frozen.numbers.dirs[&address(dir)])),
                Node::File(file) => {
                    Node::File(self.file(self.frozen.numbers.files[&address(file)]))
                }
                Node::Special(kind) => Node::Special(*kind),
            };
        }
        settled_dir(entries)
    }

    /// The same file for every name it has.
    fn file(&mut self, number: usize) -> Arc<FileNode> {
        self.hasher.write_usize(number);
        if let Some(file) = self.files.get(&number) {
            return Arc::clone(file);
        }
        let frozen = &self.frozen.files[number];
        let content = self.content(frozen);
        if !frozen.ops.is_empty() {
            hash_content(&content, &mut self.hasher);
        }
        let file = FileNode::new(Arc::clone(&frozen.path), FileState::settled(content));
        self.files.insert(number, Arc::clone(&file));
        file
    }

    fn content(&self, file: &FrozenFile) -> Arc<Vec<u8>> {
        // Unchanged contents are shared; a write to the image copies them then.
        if file.ops.iter().all(|(choice, _)| self.keep(*choice) == Keep::Full) {
            return Arc::clone(&file.visible);
        }
        if file.ops.iter().all(|(choice, _)| self.keep(*choice) == Keep::Lost) {
            return Arc::clone(&file.durable);
        }
        let mut content = file.durable.to_vec();
        for (choice, op) in &file.ops {
            op.apply_kept(self.keep(*choice), &mut content);
        }
        Arc::new(content)
    }
}

fn settled_dir(entries: Entries) -> Arc<DirNode> {
    let state =
        DirState { durable: entries.clone(), visible: entries, pending: Pending::default() };
    Arc::new(DirNode { state: state.into() })
}

/// A checksum is enough to tell images apart: two alike by chance cost one test case.
fn hash_content(content: &[u8], hasher: &mut DefaultHasher) {
    (content.len(), crc32c::crc32c(content)).hash(hasher);
}

/// Copies a disk, nodes that have several names or are pending somewhere staying one node.
struct Copier {
    dirs: HashMap<usize, Arc<DirNode>>,
    files: HashMap<usize, Arc<FileNode>>,
    /// Whether the copy has everything visible durable.
    settle: bool,
}

impl Copier {
    fn node(&mut self, node: &Node) -> Node {
        match node {
            Node::Dir(dir) => Node::Dir(self.dir(dir)),
            Node::File(file) => Node::File(self.file(file)),
            Node::Special(kind) => Node::Special(*kind),
        }
    }

    fn dir(&mut self, dir: &Arc<DirNode>) -> Arc<DirNode> {
        if let Some(copy) = self.dirs.get(&address(dir)) {
            return Arc::clone(copy);
        }
        let state = dir.state.read();
        let visible = self.entries(&state.visible);
        let copy = if self.settle {
            settled_dir(visible)
        } else {
            let durable = self.entries(&state.durable);
            let pending = self.pending(&state.pending);
            Arc::new(DirNode { state: DirState { durable, visible, pending }.into() })
        };
        self.dirs.insert(address(dir), Arc::clone(&copy));
        copy
    }

    fn entries(&mut self, entries: &Entries) -> Entries {
        let copy = |(name, node): (&OsString, &Node)| (name.clone(), self.node(node));
        entries.iter().map(copy).collect::<BTreeMap<_, _>>()
    }

    fn pending(&mut self, pending: &Pending<DirOp>) -> Pending<DirOp> {
        let copy = |pending: &PendingOp<DirOp>| {
            let op = match pending.op.clone() {
                DirOp::Add { name, node } => DirOp::Add { name, node: self.node(&node) },
                DirOp::Remove { name, node } => DirOp::Remove { name, node: self.node(&node) },
                DirOp::Move { from, to, node } => DirOp::Move { from, to, node: self.node(&node) },
            };
            PendingOp { op, ..*pending }
        };
        Pending { ops: pending.ops.iter().map(copy).collect() }
    }

    fn file(&mut self, file: &Arc<FileNode>) -> Arc<FileNode> {
        if let Some(copy) = self.files.get(&address(file)) {
            return Arc::clone(copy);
        }
        let state = file.state.read();
        let copy = if self.settle {
            FileState::settled(Arc::clone(&state.visible))
        } else {
            state.clone()
        };
        let copy = FileNode::new(Arc::clone(&file.path), copy);
        self.files.insert(address(file), Arc::clone(&copy));
        copy
    }
}
