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
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::{
    SimDisk, address,
    copy::{self, Settle},
    frozen::{Choice, Frozen, FrozenFile, ROOT},
    pending::Keep,
    plan::Plans,
    tree::{DirNode, FileNode, FileState, Node},
};

impl SimDisk {
    /// Disks as a power cut now could leave them: no two alike, at most `limit`.
    ///
    /// The first is "nothing pending was kept", the second "everything was"; then come subsets,
    /// prefixes and tears, the worst suspects before random mixtures. Ends early once new ones
    /// are no longer found. Each comes with a description in terms of
    /// [`op_log`](SimDisk::op_log)'s numbers. This disk is not changed.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// let file = disk.create_new(Path::new("/log"))?;
    /// disk.sync_dir(Path::new("/"))?;
    /// file.write_all_at(b"record", 0)?; // not synced: may be there, or not, or in part
    /// for (what, image) in disk.crash_images(100, 1) {
    ///     let bytes = image.read_file(Path::new("/log"))?;
    ///     assert!(bytes.is_empty() || bytes.len() <= 6, "{what}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.create_new(Path::new("/log"))?.write_all_at(b"record", 0)?;
    /// let image = disk.process_crash_image(); // `kill -9`: the page cache survives
    /// assert_eq!(image.read_file(Path::new("/log"))?, b"record");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn process_crash_image(&self) -> SimDisk {
        let machine = self.shared.machine.lock();
        let root = copy::root(&self.shared.root, Settle::No);
        let image = self.child("process killed", root);
        image.shared.machine.lock().continue_from(&machine);
        image
    }

    /// The disk after a proper shutdown of the machine: all that was written is durable.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.create_new(Path::new("/log"))?.write_all_at(b"record", 0)?;
    /// let image = disk.clean_image();
    /// image.crash(); // nothing was pending any more
    /// assert_eq!(image.crash_images(10, 1).count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn clean_image(&self) -> SimDisk {
        let _machine = self.shared.machine.lock();
        let root = copy::root(&self.shared.root, Settle::Yes);
        self.child("clean shutdown", root)
    }

    fn child(&self, how: &str, root: Arc<DirNode>) -> SimDisk {
        SimDisk::with_root(self.shared.seed, format!("{how}; {}", self.shared.origin), root)
    }

    /// A number that is the same for disks that look the same: names, kinds and bytes.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.write_file(Path::new("/log"), b"record")?;
    /// let other = SimDisk::new(2);
    /// other.write_file(Path::new("/log"), b"record")?;
    /// assert_eq!(disk.content_hash(), other.content_hash());
    /// # Ok(())
    /// # }
    /// ```
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
///
/// ```
/// use kvcore::disk::SimDisk;
/// let (what, image) = SimDisk::new(1).crash_images(10, 1).next().expect("one at least");
/// assert!(image.paths().is_empty(), "{what}");
/// ```
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
            name.hash(&mut self.hasher);
            node.kind().hash(&mut self.hasher);
            *node = match node {
                Node::Dir(dir) => Node::Dir(self.dir(self.frozen.numbers.dirs[&address(dir)])),
                Node::File(file) => {
                    Node::File(self.file(self.frozen.numbers.files[&address(file)]))
                }
                Node::Special(kind) => Node::Special(*kind),
            };
        }
        DirNode::settled(entries)
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

/// A checksum is enough to tell images apart: two alike by chance cost one test case.
fn hash_content(content: &[u8], hasher: &mut DefaultHasher) {
    (content.len(), crc32c::crc32c(content)).hash(hasher);
}
