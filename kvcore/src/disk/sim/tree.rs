//! Files and directories in memory, each with its durable and its visible state.
//!
//! Knows names and bytes. Does not know faults, locks or how much space there is.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::{Component, Path},
    sync::Arc,
};

use parking_lot::RwLock;

use super::pending::{FileOp, Pending};
use crate::disk::FileKind;

/// The names of one directory.
pub(super) type Entries = BTreeMap<OsString, Node>;

/// What a name stands for. Clones are the same file or directory.
#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Arc<FileNode>),
    Dir(Arc<DirNode>),
    /// A link or a special file, planted by a test.
    Special(FileKind),
}

impl Node {
    pub(super) fn kind(&self) -> FileKind {
        match self {
            Node::File(_) => FileKind::File,
            Node::Dir(_) => FileKind::Directory,
            Node::Special(kind) => *kind,
        }
    }

    pub(super) fn is(&self, other: &Node) -> bool {
        match (self, other) {
            (Node::File(a), Node::File(b)) => Arc::ptr_eq(a, b),
            (Node::Dir(a), Node::Dir(b)) => Arc::ptr_eq(a, b),
            (Node::Special(a), Node::Special(b)) => a == b,
            _ => false,
        }
    }
}

/// One regular file.
#[derive(Debug)]
pub(super) struct FileNode {
    /// The path it was created under, for messages.
    pub(super) path: Arc<Path>,
    pub(super) state: RwLock<FileState>,
}

/// A file's bytes: as the medium has them, and as reads see them.
#[derive(Clone, Debug, Default)]
pub(super) struct FileState {
    pub(super) durable: Arc<Vec<u8>>,
    pub(super) visible: Arc<Vec<u8>>,
    pub(super) pending: Pending<FileOp>,
    /// Bytes of the medium it occupies; holes do not count.
    pub(super) allocated: usize,
}

impl FileNode {
    pub(super) fn new(path: Arc<Path>, state: FileState) -> Arc<FileNode> {
        Arc::new(FileNode { path, state: RwLock::new(state) })
    }
}

impl FileState {
    /// A file all of whose bytes are durable.
    pub(super) fn settled(content: Arc<Vec<u8>>) -> FileState {
        FileState {
            allocated: content.len(),
            durable: Arc::clone(&content),
            visible: content,
            pending: Pending::default(),
        }
    }

    pub(super) fn apply(&mut self, index: u64, op: FileOp) {
        match &op {
            FileOp::Write { offset, data } => {
                self.allocated = self.allocated.max(offset + data.len());
            }
            FileOp::SetLen(len) => self.allocated = self.allocated.min(*len),
            FileOp::Reserve(len) => self.allocated = self.allocated.max(*len),
        }
        op.apply(Arc::make_mut(&mut self.visible));
        self.pending.push(index, op);
    }

    pub(super) fn sync(&mut self) {
        let ops = self.pending.settle();
        if ops.is_empty() {
            return;
        }
        let durable = Arc::make_mut(&mut self.durable);
        for pending in ops {
            pending.op.apply(durable);
        }
    }
}

/// One directory.
#[derive(Debug, Default)]
pub(super) struct DirNode {
    pub(super) state: RwLock<DirState>,
}

/// A directory's names: as the medium has them, and as everybody sees them.
#[derive(Clone, Debug, Default)]
pub(super) struct DirState {
    pub(super) durable: Entries,
    pub(super) visible: Entries,
    pub(super) pending: Pending<DirOp>,
}

/// One change to a directory's names.
#[derive(Clone, Debug)]
pub(super) enum DirOp {
    Add { name: OsString, node: Node },
    Remove { name: OsString, node: Node },
    Move { from: OsString, to: OsString, node: Node },
}

impl DirOp {
    /// Names another, older file by now has in the same place are left alone: whatever put them
    /// there may have been lost or kept on its own.
    pub(super) fn apply(&self, entries: &mut Entries) {
        match self {
            DirOp::Add { name, node } => drop(entries.insert(name.clone(), node.clone())),
            DirOp::Remove { name, node } => remove(entries, name, node),
            DirOp::Move { from, to, node } => {
                remove(entries, from, node);
                entries.insert(to.clone(), node.clone());
            }
        }
    }
}

fn remove(entries: &mut Entries, name: &OsStr, node: &Node) {
    if entries.get(name).is_some_and(|there| there.is(node)) {
        entries.remove(name);
    }
}

impl DirState {
    pub(super) fn apply(&mut self, index: u64, op: DirOp) {
        op.apply(&mut self.visible);
        self.pending.push(index, op);
    }

    pub(super) fn sync(&mut self) {
        for pending in self.pending.settle() {
            pending.op.apply(&mut self.durable);
        }
    }
}

impl DirNode {
    /// A directory all of whose names are durable.
    pub(super) fn settled(entries: Entries) -> Arc<DirNode> {
        let state =
            DirState { durable: entries.clone(), visible: entries, pending: Pending::default() };
        Arc::new(DirNode { state: state.into() })
    }

    pub(super) fn get(&self, name: &OsStr) -> io::Result<Node> {
        let found = self.state.read().visible.get(name).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The directory of this path, seen from here.
    pub(super) fn dir(self: &Arc<Self>, path: &Path) -> io::Result<Arc<DirNode>> {
        let mut dir = Arc::clone(self);
        for name in names(path) {
            dir = match dir.get(name?)? {
                Node::Dir(next) => next,
                Node::File(_) | Node::Special(_) => return Err(io::ErrorKind::NotADirectory.into()),
            };
        }
        Ok(dir)
    }

    /// The directory that holds (or would hold) this path, and the last name.
    pub(super) fn parent<'p>(
        self: &Arc<Self>,
        path: &'p Path,
    ) -> io::Result<(Arc<DirNode>, &'p OsStr)> {
        let name = names(path).last().unwrap_or_else(|| Err(io::ErrorKind::InvalidInput.into()))?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.dir(parent)?, name))
    }

    pub(super) fn node(self: &Arc<Self>, path: &Path) -> io::Result<Node> {
        if names(path).next().is_none() {
            return Ok(Node::Dir(Arc::clone(self)));
        }
        let (dir, name) = self.parent(path)?;
        dir.get(name)
    }
}

/// The names along a path. Absolute and relative paths are the same here; `..` is refused.
fn names(path: &Path) -> impl Iterator<Item = io::Result<&OsStr>> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(Ok(name)),
        Component::ParentDir => Some(Err(io::ErrorKind::InvalidInput.into())),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    })
}
