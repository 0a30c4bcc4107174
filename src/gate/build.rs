//! Builds a program from a source: git checks it out in a worktree, cargo builds it, and a cache keeps it by its
//! inputs.

mod at_once;
mod build_cache;
mod cargo;
mod environment;
mod error;
mod side_folder;
mod tool;
mod worktree;

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use at_once::two_builds_fit;
use build_cache::{BuildCache, hash_of};
use environment::Environment;
pub use error::{Exit, GateError};
use sha2::{Digest, Sha256};
use side_folder::SideFolder;
pub(in crate::gate) use tool::{Tool, ToolOutput};
use worktree::{Checkouts, Worktree, make_sides};

use super::source::{BuildTarget, Kind, Layout, Pin, Project, Source, Spot};
use crate::{machine::hex, record::Side};

/// A program that can be measured.
#[derive(Clone, Debug)]
pub struct Built {
    /// The program's path.
    pub program: PathBuf,
    /// The side as the record describes it.
    pub side: Side,
    /// Whether it was in the cache, from the same content, compiler and settings.
    pub cached: bool,
    /// The folder in which the program runs: the package as the side has it. `None` for a given program, and for
    /// paceline's own hosts, which read no files.
    pub folder: Option<PathBuf>,
}

impl Project {
    /// Builds a source with optimisation, or takes it from the cache. With `copy` it is the null arm, which must show
    /// no difference: a second build in another worktree, compiled anew. For a program given as a path, and for
    /// paceline's host, it is a copy of the file. cargo's output goes to `progress`, line by line.
    ///
    /// The target folder keeps dependencies and programs. Worktrees are removed from it, even after an error.
    ///
    /// # Errors
    ///
    /// Returns an error if the source does not build, with the compiler's first error; if a dependency cannot be set to
    /// its version, with cargo's reason; if the target folder cannot be written; and after an interrupt, once cargo and
    /// all its processes have ended.
    pub fn build(
        &self,
        source: &Source,
        copy: bool,
        progress: &dyn Fn(&str),
    ) -> Result<Built, GateError> {
        let mut built = match &source.kind {
            Kind::Program(path) if copy => self.copy_of(path, source)?,
            Kind::Program(path) => {
                let hash = hash_of(path).map_err(|error| GateError::reading(path, &error))?;
                Built {
                    program: path.clone(),
                    side: side(source, hash),
                    cached: true,
                    folder: None,
                }
            }
            Kind::Tree { checkout, pins, .. } => {
                let layout = self.layout()?;
                // The same source gives the same bytes anywhere: a second build would take minutes for the same file.
                let is_file = copy && layout.is_paceline();
                let built = layout.build(source, checkout, pins, copy && !is_file, progress)?;
                if is_file { self.copy_of(&built.program, source)? } else { built }
            }
        };
        if copy {
            // A new build has a folder of its own.
            built.side.about = match built.folder {
                None => format!("a copy of {}", built.side.about),
                Some(_) => format!("{}, built once more", built.side.about),
            };
        }
        Ok(built)
    }

    /// Builds a source with a counting allocator. The program is for counting alone: it is slower, and answers as no
    /// host.
    ///
    /// # Errors
    ///
    /// Returns an error as [`build`](Self::build) does, and if the source is a program.
    pub fn build_to_count_allocations(
        &self,
        source: &Source,
        progress: &dyn Fn(&str),
    ) -> Result<Built, GateError> {
        let Kind::Tree { checkout, pins, .. } = &source.kind else {
            return Err(GateError::usage("a built program cannot be built once more"));
        };
        let layout = self.layout()?;
        layout.counting_allocations().build(source, checkout, pins, false, progress)
    }

    fn copy_of(&self, path: &Path, source: &Source) -> Result<Built, GateError> {
        // Two built programs can be compared without a project, and so without a target folder.
        let gate = self.layout().map_or_else(|_| folder_without_project(), Layout::gate);
        let hash = hash_of(path).map_err(|error| GateError::reading(path, &error))?;
        let programs = BuildCache::in_folder(&gate);
        let key = format!("{hash}-copy");
        if let Some((program, hash)) = programs.find(&key).filter(|(_, found)| *found == hash) {
            return Ok(Built { program, side: side(source, hash), cached: true, folder: None });
        }
        let (program, hash) = programs.put(&key, path, &source.about, Environment::default())?;
        Ok(Built { program, side: side(source, hash), cached: false, folder: None })
    }
}

/// Notes that both sides are one program. That is allowed: it shows what the gate reports without a change.
pub fn note_same_program(base: &Built, head: &mut Built) {
    if base.side.program_sha256 == head.side.program_sha256 {
        head.side.about.push_str(", the same program as the base");
    }
}

/// What a side is built from, and where.
struct Inputs<'s> {
    source: &'s Source,
    checkout: &'s str,
    pins: &'s [Pin],
    /// The side's name in errors.
    who: String,
    spot: Spot,
    /// Whether the tree has a lock file.
    locked: bool,
    /// The user's lock file, if the tree has none.
    users: Option<Vec<u8>>,
    side_folder: SideFolder,
}

/// A side that is checked out, with its lock file.
struct Prepared<'c> {
    worktree: Worktree<'c>,
    /// The package's folder.
    folder: PathBuf,
    /// The root of its workspace.
    root: PathBuf,
}

/// The build folder of builds that are alone: dependencies are compiled in it once for all sides.
const COMMON: &str = "build";

impl Layout {
    fn build(
        &self,
        source: &Source,
        checkout: &str,
        pins: &[Pin],
        copy: bool,
        progress: &dyn Fn(&str),
    ) -> Result<Built, GateError> {
        let inputs = self.inputs(source, checkout, pins, copy)?;
        if let Some(found) = self.cached(&inputs)? {
            return Ok(found);
        }
        let checkouts = Checkouts::enter(self, progress)?;
        // The gate that held the checkouts may have built the same source.
        if let Some(found) = self.cached(&inputs)? {
            return Ok(found);
        }
        let prepared = self.prepare(&inputs, &checkouts, progress)?;
        let alone = (COMMON, &Arc::default());
        let program = cargo::build(self, &inputs, &prepared, alone, progress)?;
        let made = self.keep(&inputs, &prepared, COMMON, &program)?;
        if self.needs_folder() {
            let top = &inputs.side_folder.top;
            prepared.worktree.keep().map_err(|error| GateError::writing(top, &error))?;
            inputs.side_folder.save()?;
        }
        Ok(self.built(&inputs, made, false))
    }

    /// Puts the program of a side into the cache. An older cargo knows no build folder, and uses the target folder.
    fn keep(
        &self,
        inputs: &Inputs<'_>,
        side: &Prepared<'_>,
        build_folder: &str,
        program: &Path,
    ) -> Result<(PathBuf, String), GateError> {
        let folders = [self.gate().join(build_folder), side.root.join("target")];
        let environment = Environment::read_in(&folders)?;
        self.programs().put(&inputs.side_folder.key, program, &inputs.source.about, environment)
    }

    /// Finds out what a side is built from. Claims its folder, if it runs in it.
    fn inputs<'s>(
        &self,
        source: &'s Source,
        checkout: &'s str,
        pins: &'s [Pin],
        copy: bool,
    ) -> Result<Inputs<'s>, GateError> {
        self.check_cache()?;
        let who = who(source);
        let spot = self.spot(checkout, &who)?;
        let locked = self.has_lock(checkout, &spot)?;
        let users = fs::read(self.workspace.join("Cargo.lock")).ok().filter(|_| !locked);
        let key = build_cache::key(self, checkout, &spot, pins, users.as_deref(), copy)?;
        let sides = self.sides();
        let side_folder = if self.needs_folder() {
            let claimed = make_sides(&sides).and_then(|()| SideFolder::claim(&sides, &key));
            claimed.map_err(|error| GateError::writing(&sides, &error))?
        } else {
            SideFolder::at(&sides, &key, 0)
        };
        Ok(Inputs { source, checkout, pins, who, spot, locked, users, side_folder })
    }

    /// Returns a side that is in the cache, with its folder as it was built.
    fn cached(&self, inputs: &Inputs<'_>) -> Result<Option<Built>, GateError> {
        let Some(found) = self.programs().find(&inputs.side_folder.key) else { return Ok(None) };
        if self.needs_folder() {
            if !inputs.side_folder.has_clean_copy() {
                return Ok(None);
            }
            inputs.side_folder.restore()?;
        }
        Ok(Some(self.built(inputs, found, true)))
    }

    fn built(&self, of: &Inputs<'_>, (program, hash): (PathBuf, String), cached: bool) -> Built {
        let mut side = side(of.source, hash);
        if of.users.is_some() {
            side.about.push_str(", which has no Cargo.lock and was built with the one here");
        }
        let folder = self.needs_folder().then(|| self.place(of).join(&of.spot.package));
        Built { program, side, cached, folder }
    }

    /// Checks a side out and gives it its lock file.
    fn prepare<'c>(
        &self,
        inputs: &Inputs<'_>,
        checkouts: &'c Checkouts<'_>,
        progress: &dyn Fn(&str),
    ) -> Result<Prepared<'c>, GateError> {
        let worktree = checkouts.check_out(inputs.checkout, &self.place(inputs))?;
        let folder = worktree.folder.join(&inputs.spot.package);
        let top = &inputs.side_folder.top;
        let root = inputs.spot.root.as_ref();
        let root = root.map_or_else(|| top.clone(), |root| worktree.folder.join(root));
        self.give_lock((&folder, &root), &inputs.who, inputs.locked, inputs.users.as_deref())?;
        cargo::set(self, &root, inputs.pins, progress)?;
        Ok(Prepared { worktree, folder, root })
    }

    fn programs(&self) -> BuildCache {
        BuildCache::in_folder(&self.gate())
    }

    /// Returns the place of a side's checkout.
    fn place(&self, inputs: &Inputs<'_>) -> PathBuf {
        inputs.side_folder.top.join(self.below_root())
    }

    /// Returns an error if git tracks files of the cache: a commit could then bring a base of its own.
    fn check_cache(&self) -> Result<(), GateError> {
        let target = self.target.canonicalize().unwrap_or_else(|_| self.target.clone());
        let Ok(inside) = target.strip_prefix(&self.repository) else { return Ok(()) };
        let gate = inside.join("gate");
        let git = self.git().args([OsStr::new("ls-files"), OsStr::new("--"), gate.as_os_str()]);
        if git.run()?.out.is_empty() {
            return Ok(());
        }
        let gate = gate.display();
        Err(GateError::usage(format!(
            "git tracks files in {gate}, where the gate keeps what it has built: `git rm -r --cached {gate}`, and ignore it"
        )))
    }

    /// Returns whether the built program may read files or start programs of the project while it is measured.
    fn needs_folder(&self) -> bool {
        !self.is_paceline()
    }

    /// Returns the repository's path below its workspace's root if the root is above it; otherwise any name.
    fn below_root(&self) -> &Path {
        let below = self.above.as_ref().and_then(|root| self.repository.strip_prefix(root).ok());
        below.unwrap_or(Path::new("side"))
    }

    /// Returns whether a tree has a lock file. Many libraries do not commit theirs.
    fn has_lock(&self, checkout: &str, spot: &Spot) -> Result<bool, GateError> {
        spot.root.as_ref().map_or(Ok(false), |root| self.has(checkout, &root.join("Cargo.lock")))
    }

    /// Gives a side whose tree has no lock file the user's, otherwise the one that is kept beside the built programs.
    /// Without it, each side would get the versions that are newest when it is built.
    fn give_lock(
        &self,
        (folder, root): (&Path, &Path),
        who: &str,
        locked: bool,
        users: Option<&[u8]>,
    ) -> Result<(), GateError> {
        let (own, kept) = (root.join("Cargo.lock"), self.kept_lock());
        let lent = users.map(<[u8]>::to_vec).or_else(|| fs::read(&kept).ok()).filter(|_| !locked);
        if let Some(lent) = lent {
            fs::write(&own, lent).map_err(|error| GateError::writing(&own, &error))?;
        }
        if users.is_some() {
            return Ok(());
        }
        match cargo::update_lock(self, (folder, root))? {
            None => Ok(()),
            Some(package) if locked => Err(GateError::usage(format!(
                "{who} has a Cargo.lock that is out of date: it lacks {package}, a version that cargo chose just now; \
                 run `cargo check` and commit Cargo.lock, or name a revision that has it"
            ))),
            Some(_) => {
                let locks = kept.parent().map_or(Ok(()), fs::create_dir_all);
                let written = locks.and_then(|()| fs::copy(&own, &kept));
                written.map(|_| ()).map_err(|error| GateError::writing(&kept, &error))
            }
        }
    }

    /// Returns the place of the lock file for sides if neither they nor the user have one. Several projects may share a
    /// target folder.
    fn kept_lock(&self) -> PathBuf {
        let name = hex(&Sha256::digest(self.workspace.as_os_str().as_encoded_bytes()));
        self.gate().join("locks").join(name)
    }
}

fn side(source: &Source, program_sha256: String) -> Side {
    let (commit, uncommitted, dependencies) = match &source.kind {
        Kind::Program(_) => (None, false, Vec::new()),
        Kind::Tree { commit, uncommitted, pins, .. } => (
            Some(commit.clone()),
            *uncommitted,
            pins.iter().map(|pin| format!("{}@{}", pin.name, pin.version)).collect(),
        ),
    };
    let (name, about) = (source.name.clone(), source.about.clone());
    Side { name, about, commit, uncommitted, dependencies, program_sha256 }
}

/// Returns the name of a source in errors.
fn who(source: &Source) -> String {
    match &source.kind {
        Kind::Tree { pins, .. } if !pins.is_empty() => {
            format!("the working tree with {}", source.name)
        }
        _ if source.name == super::source::WORKING_TREE => "the working tree".into(),
        _ => format!("the revision `{}`", source.name),
    }
}

/// Returns the folder for copies if there is no target folder.
fn folder_without_project() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::home_dir().map(|home| home.join(".cache"));
    cache.or_else(home).unwrap_or_else(env::temp_dir).join("paceline/gate")
}
