//! Worktrees of git for builds, removed however the build ends.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    os::unix::{
        ffi::OsStringExt,
        fs::{DirBuilderExt, MetadataExt, symlink},
    },
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

use super::{
    GateError, Layout,
    side_folder::{are_used, clear, remove},
    tool::Tool,
};
use crate::gate::staging::clear_left;
use paceline_core::interrupt::interrupted;

/// The checkouts of a project's sides, locked for the builds of one gate at a time.
pub(super) struct Checkouts<'p> {
    layout: &'p Layout,
    sides: PathBuf,
    /// The system releases the lock of an open file when the process ends for any reason.
    _lock: File,
}

/// The file beside sides that contains the path of the project's part of its target folder.
const PROJECT: &str = "project";
/// The number of sides kept; the oldest that no gate uses are removed first.
const KEPT: usize = 12;

impl<'p> Checkouts<'p> {
    /// Waits until no other gate builds here, and removes what killed gates left.
    pub(super) fn enter(layout: &'p Layout, progress: &dyn Fn(&str)) -> Result<Self, GateError> {
        let gate = &layout.gate();
        let path = gate.join("lock");
        let lock = fs::create_dir_all(gate).and_then(|()| File::create(&path));
        let lock = lock.map_err(|error| GateError::writing(gate, &error))?;
        let mut said = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if interrupted() => {
                    return Err(GateError::interrupted());
                }
                Err(TryLockError::WouldBlock) => {
                    if !said {
                        progress("another gate builds in this target folder: waiting for it");
                    }
                    said = true;
                    thread::sleep(Duration::from_millis(100));
                }
                Err(TryLockError::Error(error)) => return Err(GateError::writing(&path, &error)),
            }
        }
        let checkouts = Checkouts { layout, sides: layout.sides(), _lock: lock };
        checkouts.clear();
        Ok(checkouts)
    }

    /// Checks a commit out at `place`.
    pub(super) fn check_out(&self, commit: &str, place: &Path) -> Result<Worktree<'_>, GateError> {
        let parent = place.parent().unwrap_or(&self.sides);
        let top = self.top_of(place);
        let made = remove(&top)
            .and_then(|()| make_sides(&self.sides))
            .and_then(|()| private(&top))
            .and_then(|()| self.name_project())
            .and_then(|()| self.show_workspace(&top));
        made.map_err(|error| GateError::writing(&self.sides, &error))?;
        // Created first, so that a failed checkout is removed too.
        let worktree = Worktree { checkouts: self, folder: place.to_path_buf(), kept: false };
        let git = self.layout.git().args(["worktree", "add", "--force", "--detach"]);
        let said = git.args([worktree.folder.as_os_str(), commit.as_ref()]).run()?;
        if said.ok {
            self.show_siblings(parent);
            self.add_submodules(&self.layout.repository, commit, &worktree.folder)?;
            return Ok(worktree);
        }
        let otherwise = format!("git cannot check {commit} out: {}", said.reason());
        Err(GateError::of_tool(&said.err, &self.sides, GateError::internal(otherwise)))
    }

    /// Writes the path of the project's part of its target folder once: other gates may be reading it.
    fn name_project(&self) -> io::Result<()> {
        let (file, gate) = (self.sides.join(PROJECT), self.layout.gate());
        let path = gate.as_os_str().as_encoded_bytes();
        if fs::read(&file).is_ok_and(|named| named == path) {
            Ok(())
        } else {
            fs::write(file, path)
        }
    }

    /// Recreates a workspace whose root is above the repository around the checkout: its manifest, and what is beside
    /// and above the repository. Its lock file is copied, because the side may change it.
    fn show_workspace(&self, top: &Path) -> io::Result<()> {
        let Some(root) = &self.layout.above else { return Ok(()) };
        let below = self.layout.repository.strip_prefix(root).unwrap_or(Path::new(""));
        let (mut from, mut to) = (root.clone(), top.to_path_buf());
        for (depth, next) in below.components().enumerate() {
            fs::create_dir_all(&to)?;
            for entry in fs::read_dir(&from)?.flatten() {
                let name = entry.file_name();
                let is_root_file = depth == 0 && name == "Cargo.toml";
                if is_root_file {
                    fs::copy(entry.path(), to.join(&name))?;
                } else if name != next.as_os_str()
                    && !["Cargo.lock", "target", ".git", ".cargo"].iter().any(|own| name == *own)
                {
                    symlink(entry.path(), to.join(&name))?;
                }
            }
            (from, to) = (from.join(next), to.join(next));
        }
        Ok(())
    }

    /// Returns the folder of a side, which contains its checkout.
    fn top_of(&self, checkout: &Path) -> PathBuf {
        // git prints paths with symbolic links resolved.
        let resolved = self.sides.canonicalize().unwrap_or_else(|_| self.sides.clone());
        let within = checkout.strip_prefix(&self.sides).or(checkout.strip_prefix(resolved)).ok();
        let first = within.and_then(|path| path.components().next());
        first.map_or_else(|| checkout.to_path_buf(), |name| self.sides.join(name))
    }

    /// Makes packages beside the repository, such as `../sibling`, available beside the checkout.
    fn show_siblings(&self, parent: &Path) {
        let Some(beside) = self.layout.repository.parent() else { return };
        for folder in &self.layout.outside {
            let name = folder.strip_prefix(beside).ok().and_then(|path| path.components().next());
            if let Some(name) = name {
                let _ = symlink(beside.join(name), parent.join(name));
            }
        }
    }

    /// Checks out submodules, and theirs, at the commits that `commit` of `repository` names, from the user's copies. A
    /// submodule of a submodule that the user does not have stays an empty folder, as in the user's own builds.
    fn add_submodules(
        &self,
        repository: &Path,
        commit: &str,
        folder: &Path,
    ) -> Result<(), GateError> {
        if !folder.join(".gitmodules").is_file() {
            return Ok(());
        }
        let git = self.layout.sees_scratch(Tool::git(repository));
        let git = git.args(["-c", "core.quotePath=false", "ls-tree", "-r", commit]);
        let listed = git.run()?.out;
        let links = listed.iter().filter_map(|line| {
            let (of, path) = line.strip_prefix("160000 commit ")?.split_once('\t')?;
            Some((of, path))
        });
        let index = self.layout.gate().join(format!("index-{}.sub", process::id()));
        for (of, path) in links {
            let (here, place) = (repository.join(path), folder.join(path));
            // `git archive` would leave files out or change them, by the attributes `export-ignore`, `export-subst`.
            let git = Tool::git(&here).args(["-c", "core.sparseCheckout=false"]);
            let git = git.args(["-c", "core.fsmonitor=false", "-c", "core.splitIndex=false"]);
            let git = git.args(["read-tree", "--reset", "-u", "--no-recurse-submodules", of]);
            let git = git.env("GIT_WORK_TREE", &place).env("GIT_INDEX_FILE", &index);
            let name = here.strip_prefix(&self.layout.repository).unwrap_or(&here).display();
            if !here.join(".git").exists() {
                if repository != self.layout.repository {
                    continue;
                }
                return Err(GateError::usage(format!(
                    "the submodule {name} is not here: run `git submodule update --init {name}`"
                )));
            }
            let made = git.run();
            let _ = fs::remove_file(&index);
            let made = made?;
            if !made.ok {
                let reason = made.reason();
                return Err(GateError::usage(format!(
                    "the submodule {name} cannot be checked out at {of}: {reason}; if it is not here, run `git -C \
                     {name} fetch origin {of}`"
                )));
            }
            self.add_submodules(&here, of, &place)?;
        }
        Ok(())
    }

    /// Removes all worktrees and the oldest sides, but none that a gate uses. Under the lock, existing worktrees are from
    /// killed runs; the side of a finished build is no longer a worktree.
    fn clear(&self) {
        let list = self.layout.git().args(["worktree", "list", "--porcelain"]);
        let listed = list.despite_interrupts().run().unwrap_or_default().out;
        for path in listed.iter().filter_map(|line| line.strip_prefix("worktree ")) {
            let (path, top) = (Path::new(path), self.top_of(Path::new(path)));
            if top.parent() == Some(self.sides.as_path()) {
                clear(&top, || self.forget(path));
            }
        }
        self.clear_lost_projects();
        // Copies of working trees, perhaps with secrets.
        for prefix in ["objects-", "index-"] {
            clear_left(&self.layout.gate(), prefix);
        }
        let entries = fs::read_dir(&self.sides).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| entry.file_name() != PROJECT);
        // A side's copies have its name, with an ending.
        let mut sides: Vec<_> = entries
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .map(|(modified, path)| (modified, path.with_extension("")))
            .collect();
        sides.sort();
        let mut seen = BTreeSet::new();
        sides.retain(|(_, top)| seen.insert(top.clone()));
        for (_, top) in sides.iter().take(sides.len().saturating_sub(KEPT)) {
            clear(top, || ());
        }
    }

    /// Removes the sides of projects whose target folder is gone, such as those of temporary clones.
    fn clear_lost_projects(&self) {
        let all = self.sides.parent().and_then(|all| fs::read_dir(all).ok());
        for project in all.into_iter().flatten().flatten() {
            let named = fs::read(project.path().join(PROJECT)).ok();
            // An empty file is just being written.
            let named = named.filter(|path| !path.is_empty());
            let named = named.map(|path| PathBuf::from(OsString::from_vec(path)));
            // In another container the target folder may have another path.
            if named.is_some_and(|gate| !gate.exists()) && !are_used(&project.path()) {
                let _ = fs::remove_dir_all(project.path());
            }
        }
    }

    /// Makes git forget a worktree.
    fn forget(&self, folder: &Path) {
        let git = self.layout.git().args(["worktree", "remove", "--force", "--force"]);
        let _ = git.args([folder]).despite_interrupts().run();
    }
}

/// Creates the folder of a project's sides.
pub(super) fn make_sides(sides: &Path) -> io::Result<()> {
    [sides.parent(), Some(sides)].into_iter().flatten().try_for_each(private)
}

/// Creates a folder that only its owner can enter, unless it exists.
fn private(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => (),
    }
    // In a shared folder, another user's folder, or a link to somewhere else, could be a trap.
    let found = fs::symlink_metadata(folder)?;
    if found.is_dir() && found.uid() == rustix::process::getuid().as_raw() {
        Ok(())
    } else {
        Err(io::Error::other("it belongs to somebody else, or is no folder"))
    }
}

/// A commit checked out in a folder of its own, which is removed on drop unless it is kept.
pub(super) struct Worktree<'w> {
    checkouts: &'w Checkouts<'w>,
    pub(super) folder: PathBuf,
    kept: bool,
}

impl Worktree<'_> {
    /// Keeps the files, and makes git forget the worktree.
    pub(super) fn keep(mut self) -> io::Result<()> {
        fs::remove_file(self.folder.join(".git"))?;
        let aside = self.folder.with_extension("kept");
        fs::rename(&self.folder, &aside)?;
        // Without its folder, git forgets this worktree and deletes nothing. `prune` would forget others too.
        self.checkouts.forget(&self.folder);
        fs::rename(&aside, &self.folder)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Worktree<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.checkouts.forget(&self.folder);
            let _ = remove(&self.checkouts.top_of(&self.folder));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_folder_is_not_taken_for_a_private_one() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        private(&at("folder")).unwrap();
        private(&at("folder")).unwrap();
        symlink(at("folder"), at("link")).unwrap();
        assert!(private(&at("link")).is_err());
    }
}
