//! Worktrees of git for what is built, removed whatever way it ends.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{BuildError, tool::Tool};
use paceline_core::interrupt::interrupted;

/// The gate's part of the target folder, held for one build at a time.
pub(super) struct Checkouts<'p> {
    repository: &'p Path,
    worktrees: PathBuf,
    /// Open files lose their locks when their process ends, in whatever way.
    _lock: File,
}

impl<'p> Checkouts<'p> {
    /// Waits until no other gate builds here, and clears away what killed ones left.
    pub(super) fn enter(
        repository: &'p Path,
        gate: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<Self, BuildError> {
        let path = gate.join("lock");
        let lock = fs::create_dir_all(gate).and_then(|()| File::create(&path));
        let lock = lock.map_err(|error| BuildError::writing(gate, &error))?;
        let mut said = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if interrupted() => {
                    return Err(BuildError::interrupted());
                }
                Err(TryLockError::WouldBlock) => {
                    if !said {
                        progress("another gate builds in this target folder: waiting for it");
                    }
                    said = true;
                    thread::sleep(Duration::from_millis(100));
                }
                Err(TryLockError::Error(error)) => return Err(BuildError::writing(&path, &error)),
            }
        }
        let workshop = Checkouts { repository, worktrees: gate.join("worktrees"), _lock: lock };
        workshop.clear();
        Ok(workshop)
    }

    /// Checks a commit out, in a folder of its own.
    pub(super) fn check_out(&self, commit: &str, name: &str) -> Result<Worktree<'_>, BuildError> {
        let folder = self.worktrees.join(name);
        fs::create_dir_all(&self.worktrees)
            .map_err(|error| BuildError::writing(&self.worktrees, &error))?;
        // Made first, so that a checkout that ends half-way is removed too.
        let worktree = Worktree { workshop: self, folder };
        let git = Tool::git(self.repository).args(["worktree", "add", "--force", "--detach"]);
        let said = git.args([worktree.folder.as_os_str(), commit.as_ref()]).run()?;
        if said.ok {
            return Ok(worktree);
        }
        let otherwise = format!("git cannot check {commit} out: {}", said.reason());
        Err(BuildError::of_tool(&said.err, &self.worktrees, BuildError::internal(otherwise)))
    }

    /// Removes all worktrees. While we hold the lock, any that are there were left by a killed run.
    fn clear(&self) {
        let list = Tool::git(self.repository).args(["worktree", "list", "--porcelain"]);
        let listed = list.despite_interrupts().run().unwrap_or_default().out;
        // git shows paths without symbolic links in them.
        let ours = self.worktrees.canonicalize().unwrap_or_else(|_| self.worktrees.clone());
        for path in listed.iter().filter_map(|line| line.strip_prefix("worktree ")) {
            if Path::new(path).starts_with(&ours) || Path::new(path).starts_with(&self.worktrees) {
                self.remove(Path::new(path));
            }
        }
        let _ = fs::remove_dir_all(&self.worktrees);
    }

    fn remove(&self, folder: &Path) {
        let git = Tool::git(self.repository).args(["worktree", "remove", "--force", "--force"]);
        let _ = git.args([folder]).despite_interrupts().run();
        let _ = fs::remove_dir_all(folder);
    }
}

/// A commit, checked out in a folder of its own, which goes with this value.
pub(super) struct Worktree<'w> {
    workshop: &'w Checkouts<'w>,
    pub(super) folder: PathBuf,
}

impl Drop for Worktree<'_> {
    fn drop(&mut self) {
        self.workshop.remove(&self.folder);
    }
}
