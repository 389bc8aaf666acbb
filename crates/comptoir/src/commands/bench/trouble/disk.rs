//! A small disk that can be filled: a file system in memory, which only root may mount.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context;

/// Size of the disk.
const SIZE: &str = "size=96m";
/// What fills it, beside the databases.
const BALLAST: &str = "ballast";
/// Written at once.
const PIECE: usize = 256 << 10;

/// The disk. Unmounted with this value.
pub(super) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts a disk on an empty folder.
    pub(super) fn mount(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder).stdin(Stdio::null());
        let told = mount.output().context("there is no program `mount`")?;
        let why = String::from_utf8_lossy(&told.stderr).trim().to_owned();
        anyhow::ensure!(told.status.success(), "no file system can be mounted here: {why}");
        Ok(Self { folder: folder.to_owned() })
    }

    /// Fills it up to its last pieces, which the databases get.
    pub(super) fn fill(&self) -> anyhow::Result<()> {
        /// Left to the databases, so that they fill the disk themselves.
        const LEFT: usize = 8;

        let mut ballast = File::create(self.folder.join(BALLAST))?;
        let piece = vec![1; PIECE];
        let mut pieces = 0_usize;
        let full = loop {
            match ballast.write_all(&piece) {
                Ok(()) => pieces += 1,
                Err(error) => break error,
            }
        };
        anyhow::ensure!(full.kind() == ErrorKind::StorageFull, "the disk cannot be filled: {full}");
        ballast.set_len((pieces.saturating_sub(LEFT) * PIECE) as u64)?;
        Ok(())
    }

    /// Makes space again.
    pub(super) fn make_space(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.folder.join(BALLAST))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.folder).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.folder.display());
        }
    }
}
