//! What is compared, as the user types it: a path, a revision, the working tree, dependencies at versions.

mod layout;
mod pin;
mod snapshot;
mod spot;

use std::{
    cell::OnceCell,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

pub(in crate::gate) use layout::{Home, Layout, What, configurations_above};
pub(in crate::gate) use pin::{Lock, Pin};
use snapshot::Snapshot;
pub(in crate::gate) use spot::Spot;

use super::build::BuildError;
use paceline_core::{file::other_than_file, job::did_you_mean};

/// The name of the side that is built from the working tree.
pub const WORKING_TREE: &str = "working tree";

/// The project that the gate is run in.
///
/// cargo and git are asked when something of theirs is needed first: two built programs can be compared anywhere.
#[derive(Debug)]
pub struct Project {
    folder: PathBuf,
    package: Option<String>,
    bench: Option<String>,
    features: Vec<String>,
    layout: OnceCell<Layout>,
    // One for all sides: what is saved while the base is built is in no side.
    snapshot: OnceCell<Snapshot>,
}

/// What a side is made from. [`Project::build`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What was asked for.
    pub name: String,
    /// What it was found to be, in words.
    pub about: String,
    pub(in crate::gate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gate) enum Kind {
    /// A program that is there already.
    Program(PathBuf),
    /// A commit to check out, perhaps one of ours that no branch has.
    Tree { checkout: String, commit: String, uncommitted: bool, pins: Vec<Pin> },
}

impl Source {
    /// Whether it is a program that was built already.
    #[must_use]
    pub fn is_built(&self) -> bool {
        matches!(self.kind, Kind::Program(_))
    }
}

impl Project {
    /// The project of a folder. What is built is the bench target called `bench`; where none is named, the program
    /// `paceline` of the package `paceline`, and the bench target `gate` of any other. `package` chooses one of a
    /// workspace.
    ///
    /// # Errors
    ///
    /// Returns an error where there is no such folder.
    pub fn here(
        folder: &Path,
        package: Option<&str>,
        bench: Option<&str>,
    ) -> Result<Project, BuildError> {
        let folder = folder.canonicalize().map_err(|error| {
            BuildError::usage(format!("cannot enter the folder {}: {error}", folder.display()))
        })?;
        Ok(Project {
            folder,
            package: package.map(str::to_owned),
            bench: bench.map(str::to_owned),
            features: Vec::new(),
            layout: OnceCell::new(),
            snapshot: OnceCell::new(),
        })
    }

    /// Turns features on and off for both sides: arguments of cargo such as `--features=a`.
    #[must_use]
    pub fn with_features(self, features: Vec<String>) -> Project {
        Project { features, ..self }
    }

    /// What `text` stands for. In this order: a path that begins with `/`, `./` or `../`, or a file that can be
    /// executed; a revision of git; dependencies at versions, `tokio@1.50.0` or `tokio@1.50.0,mio@1.0.2`, set in the
    /// working tree. So a branch called `a@1.0.0` is a branch; `a@=1.0.0` is a dependency even then.
    ///
    /// # Errors
    ///
    /// Returns an error where it is none of these, or where there is no project of cargo and git and it needs one.
    pub fn resolve(&self, text: &str) -> Result<Source, BuildError> {
        let text = text.trim();
        let explicit = ["/", "./", "../"].iter().any(|start| text.starts_with(start));
        let program = self.program(text);
        match program {
            Ok(Some(program)) => {
                if !explicit
                    && let Ok(layout) = self.layout()
                    && let Some(commit) = revision(layout, text)?
                {
                    return Err(BuildError::usage(format!(
                        "`{text}` is a program in this folder and a revision too: write ./{text} for the program, or {} for the revision",
                        &commit[..commit.len().min(12)]
                    )));
                }
                return Ok(program);
            }
            Err(error) if explicit => return Err(error),
            Ok(None) if explicit => {
                return Err(BuildError::usage(format!("there is no program at {text}; build it")));
            }
            _ => (),
        }
        if text.is_empty() {
            return Err(BuildError::usage(
                "nothing was named to compare with; give a revision, a path or NAME@VERSION",
            ));
        }
        let layout = self.layout()?;
        if let Some(commit) = revision(layout, text)? {
            let about = describe(layout, &commit)?;
            let kind = Kind::Tree {
                checkout: commit.clone(),
                commit,
                uncommitted: false,
                pins: Vec::new(),
            };
            return Ok(Source { name: text.to_owned(), about, kind });
        }
        program?;
        match Pin::parse_all(text) {
            Some(pins) => self.pinned(text, pins?),
            None => Err(no_revision(layout, text)),
        }
    }

    /// The working tree: its commit where it is clean, otherwise all that is in it and not ignored.
    ///
    /// # Errors
    ///
    /// Returns an error where there is no project of cargo and git, or no commit.
    pub fn working_tree(&self) -> Result<Source, BuildError> {
        let Snapshot { checkout, commit, uncommitted, about } = self.snapshot()?.clone();
        let kind = Kind::Tree { checkout, commit, uncommitted, pins: Vec::new() };
        Ok(Source { name: WORKING_TREE.into(), about, kind })
    }

    /// The file `name` of this project's folder as a source has it; `None` where it has none, and of a program.
    ///
    /// # Errors
    ///
    /// Returns an error where git cannot be asked.
    pub fn file_of(&self, source: &Source, name: &str) -> Result<Option<String>, BuildError> {
        let Kind::Tree { checkout, .. } = &source.kind else { return Ok(None) };
        let layout = self.layout()?;
        let Ok(inside) = self.folder.strip_prefix(&layout.repository) else { return Ok(None) };
        let object = format!("{checkout}:{}", inside.join(name).display());
        let said = layout.git().args(["cat-file", "blob", &object]).run()?;
        Ok(said.ok.then(|| said.out.join("\n")))
    }

    pub(in crate::gate) fn layout(&self) -> Result<&Layout, BuildError> {
        if self.layout.get().is_none() {
            let (package, bench) = (self.package.as_deref(), self.bench.as_deref());
            let found = Layout::of(&self.folder, package, bench, &self.features)?;
            let _ = self.layout.set(found);
        }
        self.layout.get().ok_or_else(BuildError::interrupted)
    }

    fn snapshot(&self) -> Result<&Snapshot, BuildError> {
        if self.snapshot.get().is_none() {
            let layout = self.layout()?;
            let Some(head) = revision(layout, "HEAD")? else {
                return Err(no_revision(layout, "HEAD"));
            };
            let _ = self.snapshot.set(Snapshot::take(layout, &head)?);
        }
        self.snapshot.get().ok_or_else(BuildError::interrupted)
    }

    fn program(&self, text: &str) -> Result<Option<Source>, BuildError> {
        let path = self.folder.join(text);
        let Ok(metadata) = fs::metadata(&path) else { return Ok(None) };
        if let Some(what) = other_than_file(&metadata) {
            let message = format!("{text} is {what}; give the path of a program");
            return Err(BuildError::usage(message));
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            let message = format!(
                "{text} cannot be executed; `chmod +x {text}` makes it so, if it is a program"
            );
            return Err(BuildError::usage(message));
        }
        let path = path.canonicalize().unwrap_or(path);
        let about = format!("the program {}", path.display());
        Ok(Some(Source { name: text.to_owned(), about, kind: Kind::Program(path) }))
    }

    fn pinned(&self, text: &str, pins: Vec<Pin>) -> Result<Source, BuildError> {
        let layout = self.layout()?;
        // Without a lock file this waits until the build has made one.
        if let Some(lock) = Lock::read(&layout.workspace)? {
            pins.iter().try_for_each(|pin| lock.check(pin))?;
        }
        let mut source = self.working_tree()?;
        let set: Vec<_> = pins.iter().map(|pin| format!("{} {}", pin.name, pin.version)).collect();
        source.about = format!("{}, with {}", source.about, set.join(" and "));
        text.clone_into(&mut source.name);
        if let Kind::Tree { pins: none, .. } = &mut source.kind {
            *none = pins;
        }
        Ok(source)
    }
}

/// The commit that git takes `text` for.
fn revision(layout: &Layout, text: &str) -> Result<Option<String>, BuildError> {
    let git = layout.git().args(["rev-parse", "--verify", "--quiet"]);
    let said = git.args(["--end-of-options", &format!("{text}^{{commit}}")]).run()?;
    Ok((said.ok && !said.line().is_empty()).then(|| said.line().to_owned()))
}

/// A commit in words.
fn describe(layout: &Layout, commit: &str) -> Result<String, BuildError> {
    let said = layout.git().args(["log", "-1", "--format=%h (%s)", commit]).run()?;
    Ok(format!("commit {}", said.line()))
}

/// Why there is no such revision, as far as git can tell.
fn no_revision(layout: &Layout, text: &str) -> BuildError {
    let ask = |args: &[&str]| layout.git().args(args).run().unwrap_or_default();
    if ask(&["rev-list", "-n", "1", "--all"]).out.is_empty() {
        return BuildError::usage("this repository has no commit yet; commit something to compare");
    }
    let refs = ask(&["for-each-ref", "--format=%(refname:short)"]).out;
    let remote = refs.iter().find(|name| name.split_once('/').is_some_and(|(_, end)| end == text));
    let hint = match remote {
        Some(remote) => format!("did you mean `{remote}`? "),
        None => did_you_mean(text, refs.iter().map(String::as_str)),
    };
    // What CI checks out has one commit, and fetching is the cure there.
    let shallow = ask(&["rev-parse", "--is-shallow-repository"]).line() == "true";
    let fetch = if shallow {
        "this clone is shallow: `git fetch --unshallow` brings all commits; "
    } else {
        ""
    };
    BuildError::usage(format!(
        "there is no revision `{text}`: {hint}{fetch}give a commit, branch or tag, the path of a program, or NAME@VERSION"
    ))
}
