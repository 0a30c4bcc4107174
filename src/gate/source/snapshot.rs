//! Snapshots the working tree: commits uncommitted changes to no branch, through an index of paceline's own.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process,
};

use super::{
    super::build::{GateError, Tool, ToolOutput},
    Layout, describe,
};

/// The working tree at one moment.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// The commit to check out.
    pub checkout: String,
    /// The commit that the working tree is based on.
    pub commit: String,
    /// Whether the two differ.
    pub uncommitted: bool,
    /// A description.
    pub about: String,
}

impl Snapshot {
    /// Takes the snapshot. The user's index stays unchanged.
    pub(super) fn take(layout: &Layout, head: &str) -> Result<Snapshot, GateError> {
        let index = Index::copy(layout)?;
        index.look_at_all()?;
        let mut add = index.git().args(["add", "-A", "--", "."]);
        // A target folder that is not ignored would add thousands of files, paceline's among them. Records of earlier
        // gates are not part of the head.
        let records = [records(layout, &layout.inside)?, records(layout, &layout.here)?];
        for folder in target_in_repository(layout)?.into_iter().chain(records.into_iter().flatten())
        {
            add = add.args([format!(":(exclude){}", folder.display())]);
        }
        index.succeeded(add.run()?)?;
        index.check_submodules()?;
        let tree = index.succeeded(index.git().args(["write-tree"]).run()?)?.concat();
        let compare = index.git().args(["diff-tree", "-r", "--name-only", head, &tree]);
        let changed = index.succeeded(compare.run()?)?;
        let about = describe(layout, head)?;
        let commit = head.to_owned();
        let Some(first) = changed.first() else {
            let about = format!("the working tree, which is {about}");
            return Ok(Snapshot { checkout: commit.clone(), commit, uncommitted: false, about });
        };
        let files = match changed.len() {
            1 => first.clone(),
            more => format!("{more} files, {first} among them"),
        };
        // The same tree gives the same commit, so that repeated gates leave one object and not many.
        let mut git = index.git();
        for who in ["AUTHOR", "COMMITTER"] {
            git = git.env(&format!("GIT_{who}_NAME"), "paceline");
            git = git.env(&format!("GIT_{who}_EMAIL"), "paceline@localhost");
            git = git.env(&format!("GIT_{who}_DATE"), "1000000000 +0000");
        }
        let message = "The working tree, as paceline gate found it";
        let git = git.args(["commit-tree", &tree, "-p", head, "-m", message]);
        let checkout = index.succeeded(git.run()?)?.concat();
        let about =
            format!("the working tree, which is {about} and changes not committed to {files}");
        Ok(Snapshot { checkout, commit, uncommitted: true, about })
    }
}

/// A copy of the user's index: it knows the unchanged files, so that few files are read.
struct Index<'l> {
    repository: &'l Path,
    path: PathBuf,
    /// The folder for new objects.
    scratch: &'l Path,
    /// The folder of the repository's objects.
    objects: PathBuf,
}

impl<'l> Index<'l> {
    fn copy(layout: &'l Layout) -> Result<Self, GateError> {
        let gate = layout.gate();
        fs::create_dir_all(&gate).map_err(|error| GateError::writing(&gate, &error))?;
        let inside = |what: &str| -> Result<PathBuf, GateError> {
            let git = Tool::git(&layout.repository).args(["rev-parse", "--git-path", what]);
            Ok(layout.repository.join(git.run()?.line()))
        };
        let scratch = layout.scratch.path();
        fs::create_dir_all(scratch).map_err(|error| GateError::writing(scratch, &error))?;
        let index = Index {
            repository: &layout.repository,
            path: gate.join(format!("index-{}", process::id())),
            scratch,
            objects: inside("objects")?,
        };
        let users = inside("index")?;
        if users.exists() {
            index.copied(&users).map_err(|error| GateError::writing(&index.path, &error))?;
        }
        Ok(index)
    }

    fn copied(&self, users: &Path) -> io::Result<()> {
        fs::copy(users, &self.path)?;
        // A file that changed within the second in which the index was written seems unchanged. git checks the contents
        // of files that are not older than the index; a newer copy would hide such changes.
        let written = fs::metadata(users)?.modified()?;
        File::options().write(true).open(&self.path)?.set_modified(written)
    }

    /// Clears the marks by which git takes files for unchanged without a look at them: what is in the folder is measured.
    /// Files that a sparse checkout leaves out stay as they are committed.
    fn look_at_all(&self) -> Result<(), GateError> {
        let listed = self.succeeded(self.git().args(["ls-files", "-v", "-z"]).run()?)?.join("\n");
        let files = || listed.split('\0').filter_map(|entry| entry.split_once(' '));
        let assumed = files().filter(|(tag, _)| tag.starts_with(char::is_lowercase));
        let is_here = |file: &str| self.repository.join(file).symlink_metadata().is_ok();
        let skipped = files().filter(|(tag, file)| tag.eq_ignore_ascii_case("s") && is_here(file));
        let marks: [(&str, Vec<&str>); 2] = [
            ("--no-assume-unchanged", assumed.map(|(_, file)| file).collect()),
            ("--no-skip-worktree", skipped.map(|(_, file)| file).collect()),
        ];
        for (mark, files) in marks {
            // A command line has a greatest length.
            for some in files.chunks(1_000) {
                let git = self.git().args(["update-index", mark, "--"]).args(some);
                self.succeeded(git.run()?)?;
            }
        }
        Ok(())
    }

    /// Returns git with this index. It asks no file system monitor, which could be wrong. Its objects stay out of the
    /// user's repository: uncommitted changes, perhaps secret, are deleted with them.
    fn git(&self) -> Tool {
        Tool::git(self.repository)
            .args(["-c", "core.fsmonitor=false"])
            .env("GIT_INDEX_FILE", &self.path)
            .env("GIT_OBJECT_DIRECTORY", self.scratch)
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &self.objects)
    }

    /// Returns an error if a submodule has uncommitted changes: a side has its files as they are committed in it. Called
    /// after all else is in the index.
    fn check_submodules(&self) -> Result<(), GateError> {
        let git = self.git().args(["-c", "core.quotePath=false", "diff-files", "--raw"]);
        let changed = self.succeeded(git.args(["--ignore-submodules=untracked"]).run()?)?;
        let mut lines = changed.iter().filter_map(|line| line.strip_prefix(":160000 160000 "));
        match lines.find_map(|line| line.split_once('\t')) {
            None => Ok(()),
            Some((_, path)) => Err(GateError::usage(format!(
                "the submodule {path} has changes that are not committed in it, so they would not be measured: commit \
                 or stash them there"
            ))),
        }
    }

    /// Returns the lines that git printed. If it failed, they would hide changes.
    fn succeeded(&self, said: ToolOutput) -> Result<Vec<String>, GateError> {
        if said.ok {
            return Ok(said.out);
        }
        let message = format!("git cannot read the working tree: {}", said.reason());
        Err(GateError::of_tool(&said.err, self.repository, GateError::internal(message)))
    }
}

impl Drop for Index<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(self.path.with_extension("lock"));
    }
}

/// Returns the folder for records of a gate run in `place`, unless git tracks files in it or ignores it.
fn records(layout: &Layout, place: &Path) -> Result<Option<PathBuf>, GateError> {
    let folder = place.join("results");
    let git = |args: &[&str]| Tool::git(&layout.repository).args(args).args([&folder]);
    if !layout.repository.join(&folder).is_dir() || !git(&["ls-files", "--"]).run()?.out.is_empty()
    {
        return Ok(None);
    }
    Ok((!git(&["check-ignore", "--quiet"]).run()?.ok).then_some(folder))
}

/// Returns the target folder within the repository if git does not ignore it.
fn target_in_repository(layout: &Layout) -> Result<Option<PathBuf>, GateError> {
    let target = layout.target.canonicalize().unwrap_or_else(|_| layout.target.clone());
    let Ok(within) = target.strip_prefix(&layout.repository) else { return Ok(None) };
    // git add rejects an ignored path, even as an exclusion.
    let git = Tool::git(&layout.repository).args(["check-ignore", "--quiet"]);
    let ignored = git.args([within]).run()?.ok;
    Ok((!ignored && !within.as_os_str().is_empty()).then(|| within.to_path_buf()))
}
