//! Resolves the sides as the user types them: a path, a revision, the working tree, dependencies at versions.

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

pub(crate) use layout::NO_PROJECT;
pub(in crate::gate) use layout::{BuildTarget, CrateFolders, Layout, configurations_above};
pub(in crate::gate) use pin::{Lock, Pin};
use snapshot::Snapshot;
pub(in crate::gate) use spot::Spot;

use super::build::GateError;
use paceline_core::{file::other_than_file, job::did_you_mean};

/// The name of the side that is built from the working tree.
pub const WORKING_TREE: &str = "working tree";

/// The project in which the gate runs.
///
/// cargo and git are called when they are first needed: two built programs can be compared anywhere.
#[derive(Debug)]
pub struct Project {
    folder: PathBuf,
    package: Option<String>,
    bench: Option<String>,
    features: Vec<String>,
    layout: OnceCell<Layout>,
    // One for all sides: changes saved while the base is built are in no side.
    snapshot: OnceCell<Snapshot>,
}

/// The source of a side. [`Project::build`] builds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The text that the user typed.
    pub name: String,
    /// A description of the source found.
    pub about: String,
    pub(in crate::gate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gate) enum Kind {
    /// An existing program.
    Program(PathBuf),
    /// A commit to check out, perhaps a snapshot that is on no branch.
    Tree { checkout: String, commit: String, uncommitted: bool, pins: Vec<Pin> },
}

impl Source {
    /// Returns whether it is a program that is already built.
    #[must_use]
    pub fn is_built(&self) -> bool {
        matches!(self.kind, Kind::Program(_))
    }
}

impl Project {
    /// Returns the project of a folder. `bench` is the bench target to build; by default it is the program `paceline`
    /// of the package `paceline`, and the bench target `gate` of any other. `package` selects one of a workspace.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such folder.
    pub fn here(
        folder: &Path,
        package: Option<&str>,
        bench: Option<&str>,
    ) -> Result<Project, GateError> {
        let folder = folder.canonicalize().map_err(|error| {
            GateError::usage(format!("cannot enter the folder {}: {error}", folder.display()))
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

    /// Sets features for both sides: arguments of cargo such as `--features=a`.
    #[must_use]
    pub fn with_features(self, features: Vec<String>) -> Project {
        Project { features, ..self }
    }

    /// Resolves `text`. In this order: a path that begins with `/`, `./` or `../`, or an executable file; a revision of
    /// git; dependencies at versions, `tokio@1.50.0` or `tokio@1.50.0,mio@1.0.2`, set in the working tree. So a branch
    /// called `a@1.0.0` is a branch; `a@=1.0.0` is a dependency even then.
    ///
    /// # Errors
    ///
    /// Returns an error if it is none of these, or if it needs a project of cargo and git and there is none.
    pub fn resolve(&self, text: &str) -> Result<Source, GateError> {
        let text = text.trim();
        let explicit = ["/", "./", "../"].iter().any(|start| text.starts_with(start));
        let program = self.program(text);
        match program {
            Ok(Some(program)) => {
                if !explicit
                    && let Ok(layout) = self.layout()
                    && let Some(commit) = revision(layout, text)?
                {
                    return Err(GateError::usage(format!(
                        "`{text}` is a program in this folder and a revision too: write ./{text} for the program, or {} for the revision",
                        &commit[..commit.len().min(12)]
                    )));
                }
                return Ok(program);
            }
            Err(error) if explicit => return Err(error),
            Ok(None) if explicit => {
                return Err(GateError::usage(format!("there is no program at {text}; build it")));
            }
            _ => (),
        }
        if text.is_empty() {
            return Err(GateError::usage(
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

    /// Returns the working tree: its commit if it is clean, otherwise all its files that are not ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no project of cargo and git, or no commit.
    pub fn working_tree(&self) -> Result<Source, GateError> {
        let Snapshot { checkout, commit, uncommitted, about } = self.snapshot()?.clone();
        let kind = Kind::Tree { checkout, commit, uncommitted, pins: Vec::new() };
        Ok(Source { name: WORKING_TREE.into(), about, kind })
    }

    /// Returns an error if both sides set a dependency that is there in several versions, and each replaces another of
    /// them: no package would go from the one version to the other.
    ///
    /// # Errors
    ///
    /// Returns this error, and one for a lock file that cannot be read.
    pub fn check_pins(&self, base: &Source, head: &Source) -> Result<(), GateError> {
        let (Kind::Tree { pins: of_base, .. }, Kind::Tree { pins: of_head, .. }) =
            (&base.kind, &head.kind)
        else {
            return Ok(());
        };
        let Some(lock) = Lock::read(&self.layout()?.workspace)? else { return Ok(()) };
        for pin in of_base {
            let other = of_head.iter().find(|other| other.name == pin.name);
            if let Some(other) = other.filter(|other| lock.spec(other) != lock.spec(pin)) {
                return Err(GateError::usage(format!(
                    "Cargo.lock has several versions of {}: {} would replace one and {} another; give versions that \
                     replace the same one, or compare revisions",
                    pin.name, pin.version, other.version
                )));
            }
        }
        Ok(())
    }

    /// Returns the file `name` of this project's folder as a source has it; `None` if it has none, and for a program.
    ///
    /// # Errors
    ///
    /// Returns an error if git fails.
    pub fn file_of(&self, source: &Source, name: &str) -> Result<Option<String>, GateError> {
        let Kind::Tree { checkout, .. } = &source.kind else { return Ok(None) };
        let layout = self.layout()?;
        let Ok(inside) = self.folder.strip_prefix(&layout.repository) else { return Ok(None) };
        // The package may have moved since.
        let folder = match inside.strip_prefix(&layout.package_inside) {
            Ok(below) => layout.spot(checkout, &source.name)?.package.join(below),
            Err(_) => inside.to_path_buf(),
        };
        layout.text_of(checkout, &folder.join(name))
    }

    /// Returns whether it is paceline itself, whose cells are known before it is built.
    ///
    /// # Errors
    ///
    /// Returns an error if it is no project of cargo and git.
    pub fn is_paceline(&self) -> Result<bool, GateError> {
        Ok(self.layout()?.is_paceline())
    }

    pub(in crate::gate) fn layout(&self) -> Result<&Layout, GateError> {
        if self.layout.get().is_none() {
            let (package, bench) = (self.package.as_deref(), self.bench.as_deref());
            let found = Layout::of(&self.folder, package, bench, &self.features)?;
            let _ = self.layout.set(found);
        }
        self.layout.get().ok_or_else(GateError::interrupted)
    }

    fn snapshot(&self) -> Result<&Snapshot, GateError> {
        if self.snapshot.get().is_none() {
            let layout = self.layout()?;
            let Some(head) = revision(layout, "HEAD")? else {
                return Err(no_revision(layout, "HEAD"));
            };
            let _ = self.snapshot.set(Snapshot::take(layout, &head)?);
        }
        self.snapshot.get().ok_or_else(GateError::interrupted)
    }

    fn program(&self, text: &str) -> Result<Option<Source>, GateError> {
        let path = self.folder.join(text);
        let Ok(metadata) = fs::metadata(&path) else { return Ok(None) };
        if let Some(what) = other_than_file(&metadata) {
            let message = format!("{text} is {what}; give the path of a program");
            return Err(GateError::usage(message));
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            let message = format!(
                "{text} cannot be executed; `chmod +x {text}` makes it so, if it is a program"
            );
            return Err(GateError::usage(message));
        }
        let path = path.canonicalize().unwrap_or(path);
        let about = format!("the program {}", path.display());
        Ok(Some(Source { name: text.to_owned(), about, kind: Kind::Program(path) }))
    }

    fn pinned(&self, text: &str, pins: Vec<Pin>) -> Result<Source, GateError> {
        let layout = self.layout()?;
        // Without a lock file, the check waits until the build has created one.
        let lock = Lock::read(&layout.workspace)?;
        if let Some(lock) = &lock {
            pins.iter().try_for_each(|pin| lock.check(pin))?;
        }
        let mut source = self.working_tree()?;
        let set = |pin: &Pin| {
            let replaced = lock.as_ref().map(|lock| lock.spec(pin)).unwrap_or_default();
            let old = replaced.split_once('@').filter(|(_, old)| *old != pin.version);
            let of = old.map_or_else(String::new, |(_, old)| format!(" in place of {old}"));
            format!("{} {}{of}", pin.name, pin.version)
        };
        let set: Vec<_> = pins.iter().map(set).collect();
        source.about = format!("{}, with {}", source.about, set.join(" and "));
        text.clone_into(&mut source.name);
        if let Kind::Tree { pins: none, .. } = &mut source.kind {
            *none = pins;
        }
        Ok(source)
    }
}

/// Returns the commit that `text` means to git.
fn revision(layout: &Layout, text: &str) -> Result<Option<String>, GateError> {
    let git = layout.git().args(["-c", "core.warnAmbiguousRefs=true", "rev-parse", "--verify"]);
    let said = git.args(["--end-of-options", &format!("{text}^{{commit}}")]).run()?;
    // Of a branch and a tag of one name, git takes the tag, which may be of another commit.
    if said.err.iter().any(|line| line.starts_with("warning: refname '")) {
        return Err(GateError::usage(format!(
            "`{text}` has several meanings to git: write heads/{text} for the branch, tags/{text} for the tag, or the commit"
        )));
    }
    Ok((said.ok && !said.line().is_empty()).then(|| said.line().to_owned()))
}

/// Describes a commit.
fn describe(layout: &Layout, commit: &str) -> Result<String, GateError> {
    let said = layout.git().args(["log", "-1", "--format=%h (%s)", commit]).run()?;
    Ok(format!("commit {}", said.line()))
}

/// Returns the error for an unknown revision, with the cause if git shows it.
fn no_revision(layout: &Layout, text: &str) -> GateError {
    let ask = |args: &[&str]| layout.git().args(args).run().unwrap_or_default();
    if ask(&["rev-list", "-n", "1", "--all"]).out.is_empty() {
        return GateError::usage("this repository has no commit yet; commit something to compare");
    }
    let refs = ask(&["for-each-ref", "--format=%(refname:short)"]).out;
    let remote = refs.iter().find(|name| name.split_once('/').is_some_and(|(_, end)| end == text));
    let hint = match remote {
        Some(remote) => format!("did you mean `{remote}`? "),
        None => did_you_mean(text, refs.iter().map(String::as_str)),
    };
    // A checkout on CI has one commit: the user must fetch.
    let shallow = ask(&["rev-parse", "--is-shallow-repository"]).line() == "true";
    let fetch = if shallow {
        "this clone is shallow: `git fetch --unshallow` brings all commits; "
    } else {
        ""
    };
    GateError::usage(format!(
        "there is no revision `{text}`: {hint}{fetch}give a commit, branch or tag, the path of a program, or NAME@VERSION"
    ))
}
