//! The model: files with what is durable and what is on its way, and a directory likewise.

use std::collections::{BTreeMap, BTreeSet};

use crate::Random;

/// What reaches the disk as a whole or not at all, in bytes.
const SECTOR: usize = 512;

/// A file: what everybody reads, and what is left after a power cut.
#[derive(Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors of `live` that are on their way.
    dirty: BTreeSet<usize>,
}

impl Inode {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.live.len() < end {
            // What lies between the old end and the new one is zero, and has to get there too.
            self.mark(self.live.len(), end);
            self.live.resize(end, 0);
        }
        self.live[offset..end].copy_from_slice(bytes);
        self.mark(offset, end);
    }

    fn mark(&mut self, begin: usize, end: usize) {
        self.dirty.extend(begin / SECTOR..end.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.settle(sector);
        }
    }

    /// Brings one sector to the disk, as far as both images reach.
    fn settle(&mut self, sector: usize) {
        let begin = sector * SECTOR;
        let end = (begin + SECTOR).min(self.live.len()).min(self.durable.len());
        if begin < end {
            self.durable[begin..end].copy_from_slice(&self.live[begin..end]);
        }
    }

    /// Some of what is on its way arrives.
    fn settle_some(&mut self, random: &mut Random) {
        if random.one_in(2) {
            self.durable.resize(self.live.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if random.one_in(2) {
                self.settle(sector);
            }
        }
    }
}

/// What is left after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survivors {
    /// What was synced.
    SyncedOnly,
    /// That, and a random half of the sectors, sizes and names that were on their way.
    Torn,
}

/// The disk. Operations answer `None` while it has no power.
#[derive(Debug, Default)]
pub struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes until the power goes; `None`: it stays.
    calls_left: Option<u64>,
    is_dark: bool,
    calls: u64,
    is_full: bool,
    /// Syncs until one fails; `None`: none does.
    syncs_left: Option<u64>,
    power_cycles: u64,
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    NoPower,
    Full,
    SyncFailed,
    NoSuchFile,
}

impl Disk {
    /// The power goes when this many further changes have been made.
    pub fn cut_power_after(&mut self, calls: u64) {
        self.calls_left = Some(calls);
    }

    /// Whether the power is off.
    pub fn is_dark(&self) -> bool {
        self.is_dark
    }

    /// How many changes have been made (writes, truncations, syncs, names).
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Whether nothing can grow any more.
    pub fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// After this many further syncs one fails, and what it should have written is forgotten, as
    /// if it had been.
    pub fn fail_sync_after(&mut self, syncs: u64) {
        self.syncs_left = Some(syncs);
    }

    /// Cuts the power if it is not off yet, and turns it on again: only survivors are there.
    pub fn power_cycle(&mut self, survivors: Survivors, random: &mut Random) {
        if survivors == Survivors::Torn {
            let changed: BTreeSet<String> =
                self.names.keys().chain(self.durable_names.keys()).cloned().collect();
            for name in changed {
                if random.one_in(2) {
                    self.settle_name(&name);
                }
            }
            self.inodes.iter_mut().for_each(|inode| inode.settle_some(random));
        }
        for inode in &mut self.inodes {
            inode.live.clone_from(&inode.durable);
            inode.dirty.clear();
        }
        self.names.clone_from(&self.durable_names);
        self.is_dark = false;
        self.calls_left = None;
        self.power_cycles += 1;
    }

    /// How often the power has come back: what was opened before is of no use.
    pub(crate) fn power_cycles(&self) -> u64 {
        self.power_cycles
    }

    fn settle_name(&mut self, name: &str) {
        match self.names.get(name) {
            Some(inode) => _ = self.durable_names.insert(name.to_owned(), *inode),
            None => _ = self.durable_names.remove(name),
        }
    }

    /// One more change, unless the power goes.
    fn change(&mut self) -> Result<(), Refused> {
        if let Some(left) = &mut self.calls_left {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => self.is_dark = true,
            }
        }
        if self.is_dark {
            return Err(Refused::NoPower);
        }
        self.calls += 1;
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// A new file; without a name it is a temporary one.
    pub(crate) fn create(&mut self, name: Option<&str>) -> Result<usize, Refused> {
        self.change()?;
        let inode = self.inodes.len();
        self.inodes.push(Inode::default());
        if let Some(name) = name {
            self.names.insert(name.to_owned(), inode);
        }
        Ok(inode)
    }

    pub(crate) fn delete(&mut self, name: &str, sync_names: bool) -> Result<(), Refused> {
        self.change()?;
        let known = self.names.remove(name).ok_or(Refused::NoSuchFile)?;
        debug_assert!(known < self.inodes.len());
        if sync_names {
            self.durable_names.clone_from(&self.names);
        }
        Ok(())
    }

    /// Reads what is there; how much that was.
    pub(crate) fn read(
        &self,
        inode: usize,
        offset: usize,
        into: &mut [u8],
    ) -> Result<usize, Refused> {
        if self.is_dark {
            return Err(Refused::NoPower);
        }
        let live = &self.inodes[inode].live;
        let there = live.get(offset..).unwrap_or_default();
        let length = there.len().min(into.len());
        into[..length].copy_from_slice(&there[..length]);
        into[length..].fill(0);
        Ok(length)
    }

    pub(crate) fn write(
        &mut self,
        inode: usize,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), Refused> {
        self.change()?;
        if self.is_full && offset + bytes.len() > self.inodes[inode].live.len() {
            return Err(Refused::Full);
        }
        self.inodes[inode].write(offset, bytes);
        Ok(())
    }

    pub(crate) fn truncate(&mut self, inode: usize, size: usize) -> Result<(), Refused> {
        self.change()?;
        let inode = &mut self.inodes[inode];
        let before = inode.live.len();
        inode.live.resize(size, 0);
        inode.mark(before.min(size), size);
        Ok(())
    }

    /// Syncs a file, and the names if it is one that was made since they were.
    pub(crate) fn sync(&mut self, inode: usize, names_too: bool) -> Result<(), Refused> {
        self.change()?;
        let left = self.syncs_left.take();
        if left == Some(0) {
            self.inodes[inode].dirty.clear();
            return Err(Refused::SyncFailed);
        }
        self.syncs_left = left.map(|left| left - 1);
        self.inodes[inode].sync();
        if names_too {
            self.durable_names.clone_from(&self.names);
        }
        Ok(())
    }

    pub(crate) fn size(&self, inode: usize) -> usize {
        self.inodes[inode].live.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(disk: &Disk, name: &str) -> Option<Vec<u8>> {
        disk.find(name).map(|inode| disk.inodes[inode].live.clone())
    }

    #[test]
    fn only_what_was_synced_comes_back() {
        let mut disk = Disk::default();
        let file = disk.create(Some("a")).unwrap();
        disk.write(file, 0, b"old").unwrap();
        disk.sync(file, true).unwrap();
        disk.write(file, 1, b"xyz").unwrap();
        let unsynced_name = disk.create(Some("b")).unwrap();
        disk.sync(unsynced_name, false).unwrap();
        disk.power_cycle(Survivors::SyncedOnly, &mut Random::new(1));
        assert_eq!(content(&disk, "a").as_deref(), Some(&b"old"[..]));
        assert_eq!(content(&disk, "b"), None);
        disk.delete("a", false).unwrap();
        disk.power_cycle(Survivors::SyncedOnly, &mut Random::new(1));
        assert!(disk.find("a").is_some());
        disk.delete("a", true).unwrap();
        disk.power_cycle(Survivors::SyncedOnly, &mut Random::new(1));
        assert!(disk.find("a").is_none());
    }

    #[test]
    fn sectors_are_torn_apart_but_never_within() {
        let mut mixed = 0;
        for seed in 0..50 {
            let mut disk = Disk::default();
            let file = disk.create(Some("a")).unwrap();
            disk.write(file, 0, &[1; 4 * SECTOR]).unwrap();
            disk.sync(file, true).unwrap();
            disk.write(file, 0, &[2; 4 * SECTOR]).unwrap();
            disk.power_cycle(Survivors::Torn, &mut Random::new(seed));
            let left = content(&disk, "a").unwrap();
            assert!(left.chunks(SECTOR).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
            mixed += i32::from(left.contains(&1) && left.contains(&2));
        }
        assert!(mixed > 20, "{mixed}");
    }

    #[test]
    fn what_a_failed_sync_left_is_forgotten() {
        let mut disk = Disk::default();
        let file = disk.create(Some("a")).unwrap();
        disk.sync(file, true).unwrap();
        disk.write(file, 0, b"lost").unwrap();
        disk.fail_sync_after(0);
        assert_eq!(disk.sync(file, true), Err(Refused::SyncFailed));
        disk.sync(file, true).unwrap();
        disk.power_cycle(Survivors::SyncedOnly, &mut Random::new(1));
        assert_eq!(content(&disk, "a"), Some(vec![0; 4]));
    }

    #[test]
    fn without_power_nothing_is_done() {
        let mut disk = Disk::default();
        let file = disk.create(Some("a")).unwrap();
        disk.cut_power_after(1);
        disk.write(file, 0, b"x").unwrap();
        assert_eq!(disk.sync(file, true), Err(Refused::NoPower));
        assert_eq!(disk.read(file, 0, &mut [0]), Err(Refused::NoPower));
        assert!(disk.is_dark());
    }
}
