//! A disk at one instant, numbered so that images can be built from it again and again.
//!
//! Knows which operations are undecided. Does not know which of them to keep.

use std::{collections::HashMap, fmt::Write as _, path::Path, sync::Arc};

use super::{
    SimDisk, address,
    pending::{Fate, FileOp, Keep, Pending, PendingOp},
    plan::Slot,
    tree::{DirNode, DirOp, Entries, FileNode, Node},
};

/// Number of the root among the frozen directories.
pub(super) const ROOT: usize = 0;

/// A disk at one instant, nodes numbered so that images can be built from it again and again.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) seed: u64,
    pub(super) origin: String,
    pub(super) dirs: Vec<FrozenDir>,
    pub(super) files: Vec<FrozenFile>,
    pub(super) numbers: Numbers,
    /// Operations a plan decides about, in the order they were done.
    pub(super) undecided: Vec<Undecided>,
}

#[derive(Debug, Default)]
pub(super) struct FrozenDir {
    pub(super) durable: Entries,
    pub(super) ops: Vec<(Choice, DirOp)>,
}

#[derive(Debug)]
pub(super) struct FrozenFile {
    pub(super) path: Arc<Path>,
    pub(super) durable: Arc<Vec<u8>>,
    pub(super) visible: Arc<Vec<u8>>,
    /// All of its operations kept make `visible`.
    pub(super) ops: Vec<(Choice, FileOp)>,
}

/// Whether an operation is there anyway, or which slot of the plan decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Forced,
    Slot(usize),
}

#[derive(Debug)]
pub(super) struct Undecided {
    /// The operation's number on its disk.
    pub(super) index: u64,
    pub(super) place: Place,
    /// Which of that place's operations.
    pub(super) nth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Dir(usize),
    File(usize),
}

/// Numbers of the nodes by address; a frozen disk holds the nodes, so addresses stay theirs.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) dirs: HashMap<usize, usize>,
    pub(super) files: HashMap<usize, usize>,
}

impl Frozen {
    pub(super) fn of(disk: &SimDisk) -> Frozen {
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

    pub(super) fn slots(&self) -> Vec<Slot> {
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
    pub(super) fn describe(&self, count: u64, plan: &[Keep]) -> String {
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
