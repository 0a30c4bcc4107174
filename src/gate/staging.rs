//! Where programs lie while they are measured: copied into memory, all in the same way, and now and then anew.
//!
//! The very same file, written at another time, was 8 to 13 % slower on a cell that switches a lot (`docs/validity.md`):
//! what the page cache makes of a file stays with it, and no number of processes averages it out. Copies in a file system
//! in memory have pages of one size, and fresh copies turn what is left into noise that the trials do average.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::subject::Arm;
use paceline_core::{clock::now, process::Program};

/// How long copies stay, at least: three of them take some 60 ms.
const STAY: Duration = Duration::from_secs(3);

/// A folder with a copy of each side's program. It is deleted with this value.
pub(super) struct StagingArea {
    sources: Vec<Arm>,
    /// `None` where there is no place for copies: then programs are measured where they are.
    folder: Option<PathBuf>,
    copied: Instant,
}

impl StagingArea {
    /// The first place that takes copies which can be run: memory, the system's folder for temporary files, or none.
    pub(super) fn new(arms: &[Arm]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("paceline-gate-{}-{number}", process::id());
        let places = [PathBuf::from("/dev/shm"), env::temp_dir()];
        let mut stage = StagingArea { sources: arms.to_vec(), folder: None, copied: now() };
        for place in places.iter().filter(|place| place.is_dir()) {
            stage.folder = Some(place.join(&name));
            let runs =
                stage.copy().is_ok() && stage.arms()[0].program.host_of_custom_cells().is_ok();
            if runs {
                return stage;
            }
            stage.clear();
        }
        stage
    }

    /// What is to be run.
    pub(super) fn arms(&self) -> Vec<Arm> {
        let Some(folder) = &self.folder else { return self.sources.clone() };
        let staged = |(side, arm): (usize, &Arm)| Arm { program: at(folder, side), ..arm.clone() };
        self.sources.iter().enumerate().map(staged).collect()
    }

    /// Copies anew, if that was not just done. Where it cannot be, the copies that are there stay.
    pub(super) fn refresh(&mut self) {
        if self.folder.is_some() && now() - self.copied > STAY {
            // A copy that failed left the one before.
            let _ = self.copy();
        }
    }

    fn copy(&mut self) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        fs::create_dir_all(folder)?;
        for (side, Arm { program, .. }) in self.sources.iter().enumerate() {
            let place = at(folder, side);
            let aside = place.path().with_extension("new");
            fs::copy(program.path(), &aside)?;
            fs::rename(&aside, place.path())?;
        }
        self.copied = now();
        Ok(())
    }

    fn clear(&mut self) {
        if let Some(folder) = self.folder.take() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

impl Drop for StagingArea {
    fn drop(&mut self) {
        self.clear();
    }
}

fn at(folder: &Path, side: usize) -> Program {
    // Of equal length: the path is in the environment of a process, and moves its stack.
    Program::at(folder.join(format!("side-{side}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::custom::Variant;

    #[test]
    fn each_side_has_a_copy_of_its_own_which_goes_with_the_stage() {
        let here = tempfile::tempdir().unwrap();
        let script = here.path().join("program");
        fs::copy("/bin/cat", &script).unwrap();
        let arm = Arm { program: Program::at(&script), variant: Variant::Base };
        let mut stage = StagingArea::new(&[arm.clone(), arm.clone(), arm]);
        let arms = stage.arms();
        let paths: Vec<PathBuf> = arms.iter().map(|arm| arm.program.path().to_owned()).collect();
        assert!(paths.iter().all(|path| path.is_file() && *path != script));
        assert_eq!(paths.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        stage.copied = now().checked_sub(STAY * 2).unwrap();
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        let before = inode(&paths[0]);
        stage.refresh();
        assert_ne!(inode(&paths[0]), before, "it is copied anew");
        drop(stage);
        assert!(!paths[0].exists() && !paths[0].parent().unwrap().exists());
    }
}
