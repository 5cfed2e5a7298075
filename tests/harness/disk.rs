//! A disk that can be full: a file system in memory, of a size of its own.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What takes up the room.
const FILLER: &str = "filler";

/// The disk. It is gone when it is dropped: drop whatever uses it before.
#[derive(Debug)]
pub struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// A disk of so many MiB. To mount one takes rights that not everybody has; where they are missing that is said to the
    /// terminal, past the capture of tests, and there is none.
    #[must_use]
    pub fn mount(mib: u32) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let size = format!("size={mib}m");
        let arguments = ["-t", "tmpfs", "-o", &size, "weir-test"];
        match run(Command::new("mount").args(arguments).arg(dir.path())) {
            Ok(()) => Some(Self { dir }),
            Err(reason) => {
                let _ = writeln!(io::stderr(), "NOT TRIED: a full disk, since none can be mounted: {reason}");
                None
            }
        }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Gives it another size.
    pub fn resize(&self, mib: u32) {
        run(Command::new("mount").args(["-o", &format!("remount,size={mib}m")]).arg(self.path())).unwrap();
    }

    /// Takes up all the room that is left.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        let mut block = vec![0; 1 << 20];
        while !block.is_empty() {
            match filler.write(&block) {
                Ok(written) if written > 0 => {}
                _ => block.truncate(block.len() / 2),
            }
        }
    }

    /// Takes up all but so many KiB.
    pub fn fill_but(&self, kib: u64) {
        self.fill();
        let filler = File::options().write(true).open(self.filler()).unwrap();
        let taken = filler.metadata().unwrap().len();
        filler.set_len(taken.saturating_sub(kib << 10)).unwrap();
    }

    /// Gives back what was taken up.
    pub fn empty(&self) {
        // It may not be there.
        let _ = std::fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.path().join(FILLER)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(reason) = run(Command::new("umount").arg("-l").arg(self.path())) {
            let _ = writeln!(io::stderr(), "{} stays mounted: {reason}", self.path().display());
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
