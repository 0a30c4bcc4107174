//! Places programs for measuring: copies them into memory, all in the same way, and renews the copies regularly.
//!
//! The same file, written at another time, was 8 to 13 % slower on a cell that switches a lot (`docs/validity.md`): its
//! layout in the page cache persists, and no number of processes averages it out. Copies in a file system in memory
//! have pages of one size, and fresh copies turn the rest into noise that the trials average.

use std::{
    env,
    fs::{self, File, TryLockError},
    hash::{BuildHasher, RandomState},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

use super::subject::Arm;
use paceline_core::clock::now;

/// The prefix of such folders; the process id follows.
pub(super) const PREFIX: &str = "paceline-gate-";
/// The least lifetime of copies: three of them take some 60 ms.
const STAY: Duration = Duration::from_secs(3);

/// A folder with a copy of each side's program. It is deleted on drop.
pub(super) struct StagingArea {
    sources: Vec<Arm>,
    /// The folder and its lock; `None` if there is no place for copies: programs are then measured in place.
    folder: Option<(PathBuf, File)>,
    copied: Instant,
}

impl StagingArea {
    /// Uses the first place in which copies can be run: memory, the system's temporary folder, or none.
    pub(super) fn new(arms: &[Arm]) -> Self {
        let name = private_name();
        let places = [PathBuf::from("/dev/shm"), env::temp_dir()];
        let mut stage = StagingArea { sources: arms.to_vec(), folder: None, copied: now() };
        for place in places.iter().filter(|place| place.is_dir()) {
            clear_left(place, PREFIX);
            let folder = place.join(&name);
            stage.folder = create_private(&folder).ok().map(|lock| (folder, lock));
            let runs = stage.folder.is_some()
                && stage.copy().is_ok()
                && stage.arms()[0].program.host_of_custom_cells().is_ok();
            if runs {
                return stage;
            }
            stage.clear();
        }
        stage
    }

    /// Returns the programs to run.
    pub(super) fn arms(&self) -> Vec<Arm> {
        let Some((folder, _)) = &self.folder else { return self.sources.clone() };
        let staged = |(side, arm): (usize, &Arm)| Arm {
            program: arm.program.copy_at(at(folder, side)),
            ..arm.clone()
        };
        self.sources.iter().enumerate().map(staged).collect()
    }

    /// Renews the copies unless they are recent. If copying fails, the old copies stay.
    pub(super) fn refresh(&mut self) {
        if self.folder.is_some() && now() - self.copied > STAY {
            // A failed copy leaves the previous one.
            let _ = self.copy();
        }
    }

    fn copy(&mut self) -> io::Result<()> {
        let Some((folder, _)) = &self.folder else { return Ok(()) };
        for (side, Arm { program, .. }) in self.sources.iter().enumerate() {
            let place = at(folder, side);
            let aside = place.with_extension("new");
            fs::copy(program.path(), &aside)?;
            fs::rename(&aside, &place)?;
        }
        self.copied = now();
        Ok(())
    }

    fn clear(&mut self) {
        if let Some((folder, _lock)) = self.folder.take() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

impl Drop for StagingArea {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Returns a name for a folder of this process that nobody can foretell.
pub(super) fn private_name() -> String {
    // Hashed with random keys, different in each process.
    let secret = RandomState::new().hash_one(process::id());
    format!("{PREFIX}{}-{secret:016x}", process::id())
}

/// Creates a folder that only this user can read, and locks it: while the file returned is open, no gate takes it for a
/// killed one's. An existing folder is not ours.
pub(super) fn create_private(folder: &Path) -> io::Result<File> {
    fs::DirBuilder::new().mode(0o700).create(folder)?;
    let lock = File::open(folder)?;
    lock.lock()?;
    Ok(lock)
}

/// Removes what killed gates left: what has this prefix and the id of a process that no longer exists, and is not locked:
/// the process may exist in another container. Folders of other users cannot be removed, and stay.
pub(super) fn clear_left(place: &Path, prefix: &str) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(prefix)?.split(['-', '.']).next());
        let id = id.and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
        let path = entry.path();
        if id.is_some_and(|id| test_kill_process(id) == Err(Errno::SRCH)) && !is_locked(&path) {
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(path));
        }
    }
}

fn is_locked(folder: &Path) -> bool {
    // A pipe would be waited for.
    folder.is_dir()
        && File::open(folder)
            .is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn at(folder: &Path, side: usize) -> PathBuf {
    // All of equal length: the path is in the environment of a process, and moves its stack.
    folder.join(format!("side-{side}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::{custom::Variant, process::Program};

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
        let folder = paths[0].parent().unwrap().to_owned();
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&folder).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        drop(stage);
        assert!(!paths[0].exists() && !folder.exists());
    }

    #[test]
    fn what_a_killed_gate_left_is_removed_and_what_a_running_one_has_is_not() {
        let place = tempfile::tempdir().unwrap();
        let mut ended = process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let [left, used, other] = [
            format!("{PREFIX}{}-0", ended.id()),
            format!("{PREFIX}{}-0", process::id()),
            "somebody-elses".into(),
        ]
        .map(|name| place.path().join(name));
        for folder in [&left, &used, &other] {
            fs::create_dir(folder).unwrap();
        }
        // Of a process that is not seen from here, as in another container.
        let unseen = place.path().join(format!("{PREFIX}{}-1", ended.id()));
        let _lock = create_private(&unseen).unwrap();
        clear_left(place.path(), PREFIX);
        assert!(!left.exists() && used.exists() && other.exists() && unseen.exists());
    }
}
