//! A disk that can be full: a file system in memory, of a size of its own.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What takes up the room.
const FILLER: &str = "filler";
const NAMES_FILLER: &str = "names";
/// How many files and folders there can be.
const NAMES: u32 = 1 << 14;

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
        let size = format!("size={mib}m,nr_inodes={NAMES}");
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

    /// Leaves no room for another file or folder; for what is in them there is room.
    pub fn fill_names(&self) {
        let folder = self.path().join(NAMES_FILLER);
        std::fs::create_dir(&folder).unwrap();
        let taken = (0..NAMES).take_while(|name| File::create(folder.join(name.to_string())).is_ok()).count();
        assert!(taken < NAMES as usize, "there is room for any number of files");
    }

    /// Gives back what was taken up.
    pub fn empty(&self) {
        // It may not be there.
        let _ = std::fs::remove_file(self.filler());
        let _ = std::fs::remove_dir_all(self.path().join(NAMES_FILLER));
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
