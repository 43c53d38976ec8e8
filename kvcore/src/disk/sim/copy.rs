//! A whole disk copied, to be changed on its own.
//!
//! Knows the tree. Does not know what a power cut does.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    sync::Arc,
};

use super::{
    address,
    pending::{Pending, PendingOp},
    tree::{DirNode, DirOp, DirState, Entries, FileNode, FileState, Node},
};

/// Whether the copy has everything visible durable, or pending as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Settle {
    Yes,
    No,
}

pub(super) fn root(root: &Arc<DirNode>, settle: Settle) -> Arc<DirNode> {
    Copier { dirs: HashMap::new(), files: HashMap::new(), settle }.dir(root)
}

/// Copies a disk, nodes that have several names or are pending somewhere staying one node.
struct Copier {
    dirs: HashMap<usize, Arc<DirNode>>,
    files: HashMap<usize, Arc<FileNode>>,
    settle: Settle,
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
        let copy = if self.settle == Settle::Yes {
            DirNode::settled(visible)
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
        let copy = if self.settle == Settle::Yes {
            FileState::settled(Arc::clone(&state.visible))
        } else {
            state.clone()
        };
        let copy = FileNode::new(Arc::clone(&file.path), copy);
        self.files.insert(address(file), Arc::clone(&copy));
        copy
    }
}
