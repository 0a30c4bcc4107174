//! Locates a project, its repository and its target folder, and determines what of it is built.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::super::build::{GateError, Tool};
use paceline_core::job::did_you_mean;

/// The default bench target.
const GATE: &str = "gate";

/// The program that is built for paceline itself.
const HOST: &str = "paceline-host";

/// The target that is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gate) enum BuildTarget {
    Bin(String),
    Bench(String),
}

/// A project according to cargo and git.
#[derive(Clone, Debug)]
pub(in crate::gate) struct Layout {
    /// The repository's top folder.
    pub repository: PathBuf,
    /// The root of the workspace, or of the package without a workspace.
    pub workspace: PathBuf,
    /// The path of the workspace within the repository.
    pub inside: PathBuf,
    /// The workspace's root, if it is above the repository.
    pub above: Option<PathBuf>,
    /// The folder within the repository in which the gate runs, which contains its records.
    pub here: PathBuf,
    /// The target folder.
    pub target: PathBuf,
    pub package: String,
    pub what: BuildTarget,
    /// What the bench is made of, within the package: its folder `benches`, or its file elsewhere.
    pub bench: PathBuf,
    /// The features, as arguments of cargo.
    pub features: Vec<String>,
    /// The package's folder within the repository.
    pub package_inside: PathBuf,
    /// Folders of path dependencies outside the repository.
    pub outside: Vec<PathBuf>,
    /// The folder for temporary git objects.
    pub scratch: Arc<Scratch>,
}

/// The place of a crate.
#[derive(Debug)]
pub(in crate::gate) struct CrateFolders {
    /// The package's folder.
    pub package: PathBuf,
    /// The root of its workspace.
    pub workspace: PathBuf,
}

impl CrateFolders {
    /// Finds the named package, otherwise the package of the folder.
    pub(in crate::gate) fn of(folder: &Path, package: Option<&str>) -> Result<Self, GateError> {
        let metadata = metadata(folder)?;
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let manifest = &metadata.package(&canonical(folder), package)?.manifest_path;
        let package = canonical(manifest.parent().unwrap_or(folder));
        Ok(CrateFolders { package, workspace: canonical(&metadata.workspace_root) })
    }
}

/// A folder that is deleted on drop.
#[derive(Debug)]
pub(in crate::gate) struct Scratch(PathBuf);

impl Scratch {
    pub(in crate::gate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    path: Option<PathBuf>,
}

/// The part of a manifest that replaces dependencies, by source and name.
#[derive(Default, Deserialize)]
struct Patched {
    #[serde(default)]
    patch: BTreeMap<String, BTreeMap<String, Dependency>>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Layout {
    pub(in crate::gate) fn of(
        folder: &Path,
        package: Option<&str>,
        bench: Option<&str>,
        features: &[String],
    ) -> Result<Layout, GateError> {
        let metadata = metadata(folder)?;
        let package = metadata.package(folder, package)?;
        // For paceline itself, only the measured program is built: a change to a report cannot affect it.
        let host = metadata
            .packages
            .iter()
            .find(|other| bench.is_none() && package.name == "paceline" && other.has("bin", HOST));
        let (package, what) = match host {
            Some(host) => (host, BuildTarget::Bin(HOST.into())),
            None => (package, package.what(bench)?),
        };
        let root = &metadata.workspace_root;
        let workspace = root.canonicalize().unwrap_or_else(|_| root.clone());
        let home = package.manifest_path.parent().unwrap_or(&workspace);
        let home = home.canonicalize().unwrap_or_else(|_| home.to_path_buf());
        // The workspace's root may be above the repository.
        let said = Tool::git(&home).args(["rev-parse", "--show-toplevel"]).run()?;
        if !said.ok {
            let reason = said.reason().trim_start_matches("fatal: ");
            return Err(GateError::usage(format!(
                "this project is in no git repository that could be used ({reason}); `git init` and a commit make one, \
                 or give paths of built programs"
            )));
        }
        let repository = PathBuf::from(said.line());
        let repository = repository.canonicalize().unwrap_or(repository);
        let within = |folder: &Path| folder.strip_prefix(&repository).map(Path::to_path_buf);
        let inside = within(&workspace).unwrap_or_default();
        let above = repository.starts_with(&workspace) && repository != workspace;
        let above = above.then(|| workspace.clone());
        let here = within(folder).unwrap_or_default();
        let package_inside = within(&home).unwrap_or_else(|_| inside.clone());
        let bench = package.home_of_bench(&what);
        let (target, package) = (metadata.target_directory.clone(), package.name.clone());
        let outside = outside(&metadata, &repository);
        let objects = format!("objects-{}", process::id());
        let scratch = Arc::new(Scratch(target.join("gate").join(objects)));
        Ok(Layout {
            repository,
            workspace,
            inside,
            above,
            here,
            target,
            package,
            what,
            bench,
            features: features.to_vec(),
            package_inside,
            outside,
            scratch,
        })
    }

    /// Returns whether the project is paceline itself, of which only the host is built.
    pub(in crate::gate) fn is_paceline(&self) -> bool {
        self.what == BuildTarget::Bin(HOST.into())
    }

    /// Returns this layout with the feature in which the bench counts allocations.
    pub(in crate::gate) fn counting_allocations(&self) -> Layout {
        let mut layout = self.clone();
        layout.features.push("--features=paceline-gated/allocations".into());
        layout
    }

    /// Returns git for the repository, with access to the objects of the working tree's snapshot.
    pub(in crate::gate) fn git(&self) -> Tool {
        self.sees_scratch(Tool::git(&self.repository))
    }

    /// Gives a tool that calls git access to them too.
    pub(in crate::gate) fn sees_scratch(&self, tool: Tool) -> Tool {
        let path = self.scratch.path();
        if path.is_dir() { tool.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", path) } else { tool }
    }

    /// Returns cargo for a side's checkout, with the configuration of folders above the repository, which applies to
    /// both sides. The configuration within the repository, and the tool chain, are the side's own.
    pub(in crate::gate) fn cargo(&self, folder: &Path) -> Tool {
        let mut tool = self.sees_scratch(Tool::cargo(folder));
        for path in configurations_above(&self.repository) {
            tool = tool.args([OsStr::new("--config"), path.as_os_str()]);
        }
        let names_its_own = |folder: &Path| {
            ["rust-toolchain.toml", "rust-toolchain"].iter().any(|name| folder.join(name).is_file())
        };
        // cargo passes its own tool chain on to the programs that it runs, such as `cargo bench`.
        if folder.ancestors().any(names_its_own) { tool.without("RUSTUP_TOOLCHAIN") } else { tool }
    }

    /// Returns the folder of this project's checkouts: outside of every workspace and of the project's cargo
    /// configuration, in a folder that only this user can enter.
    pub(in crate::gate) fn sides(&self) -> PathBuf {
        let user = rustix::process::getuid().as_raw();
        let digits = Sha256::digest(self.gate().as_os_str().as_encoded_bytes());
        let project = digits.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        env::temp_dir().join(format!("paceline-sides-{user}")).join(format!("{project:016x}"))
    }

    /// Returns the gate's part of the target folder.
    pub(in crate::gate) fn gate(&self) -> PathBuf {
        self.target.join("gate")
    }
}

/// Returns cargo's configuration files above a repository, the nearest last: of two settings, cargo takes the later.
pub(in crate::gate) fn configurations_above(repository: &Path) -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let folders = repository.ancestors().skip(1).map(|folder| folder.join(".cargo"));
    let folders = folders.filter(|folder| Some(folder) != home.as_ref());
    let mut found: Vec<PathBuf> = folders
        .filter_map(|folder| {
            let files = [folder.join("config"), folder.join("config.toml")];
            files.into_iter().find(|file| file.is_file())
        })
        .collect();
    found.reverse();
    found
}

/// Returns the folders of packages outside `repository` on which its packages depend by path, directly or indirectly.
fn outside(project: &Metadata, repository: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut waiting: Vec<PathBuf> = project.path_dependencies();
    while let Some(folder) = waiting.pop() {
        let folder = folder.canonicalize().unwrap_or(folder);
        if folder.starts_with(repository) || found.contains(&folder) {
            continue;
        }
        if let Ok(metadata) = metadata(&folder) {
            waiting.extend(metadata.path_dependencies());
        }
        found.push(folder);
    }
    found.sort();
    found
}

/// The beginning of the error in a folder without a project.
pub(crate) const NO_PROJECT: &str = "there is no cargo project here";

fn metadata(folder: &Path) -> Result<Metadata, GateError> {
    let cargo = Tool::cargo(folder).args(["metadata", "--no-deps", "--format-version", "1"]);
    let said = cargo.run()?;
    if !said.ok {
        let none = said.reason().contains("could not find `Cargo.toml`");
        return Err(GateError::usage(if none {
            format!("{NO_PROJECT}; go to the folder of one")
        } else {
            format!("cargo cannot read this project; correct it:\n{}", said.err.join("\n"))
        }));
    }
    serde_json::from_str(said.line()).map_err(|error| {
        GateError::internal(format!("`cargo metadata` is not understood: {error}; update cargo"))
    })
}

impl Metadata {
    fn path_dependencies(&self) -> Vec<PathBuf> {
        let all = self.packages.iter().flat_map(|package| &package.dependencies);
        all.filter_map(|dependency| dependency.path.clone()).chain(self.patches()).collect()
    }

    /// Returns the folders that `[patch]` names, which are in no list of dependencies.
    fn patches(&self) -> Vec<PathBuf> {
        let root = &self.workspace_root;
        let text = fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
        let manifest: Patched = toml::from_str(&text).unwrap_or_default();
        let all = manifest.patch.into_values().flat_map(BTreeMap::into_values);
        all.filter_map(|dependency| Some(root.join(dependency.path?))).collect()
    }

    /// Returns the named package, otherwise the package of the folder, otherwise the only one.
    fn package(&self, folder: &Path, name: Option<&str>) -> Result<&Package, GateError> {
        let names = || self.packages.iter().map(|package| package.name.as_str());
        if let Some(name) = name {
            let found = self.packages.iter().find(|package| package.name == name);
            return found.ok_or_else(|| {
                let (hint, all) =
                    (did_you_mean(name, names()), names().collect::<Vec<_>>().join(", "));
                GateError::usage(format!(
                    "there is no package `{name}`: {hint}this workspace has {all}"
                ))
            });
        }
        let depth = |package: &&Package| {
            let home = package.manifest_path.parent()?.canonicalize().ok()?;
            folder.starts_with(&home).then(|| home.components().count())
        };
        let here =
            self.packages.iter().filter(|package| depth(package).is_some()).max_by_key(depth);
        match (here, self.packages.as_slice()) {
            (Some(package), _) | (None, [package]) => Ok(package),
            _ => Err(GateError::usage(format!(
                "this workspace has several packages; choose one with --package: {}",
                names().collect::<Vec<_>>().join(", ")
            ))),
        }
    }
}

impl Package {
    fn has(&self, kind: &str, name: &str) -> bool {
        self.targets
            .iter()
            .any(|target| target.name == name && target.kind.iter().any(|of| of == kind))
    }

    /// Returns the folder `benches`, or the file of a bench that is elsewhere, within the package.
    fn home_of_bench(&self, what: &BuildTarget) -> PathBuf {
        let is_it = |target: &&Target| {
            target.kind.iter().any(|kind| kind == "bench")
                && matches!(what, BuildTarget::Bench(name) if *name == target.name)
        };
        let of = |target: &Target| {
            let file = target.src_path.strip_prefix(self.manifest_path.parent()?).ok()?;
            (!file.starts_with("benches")).then(|| file.to_path_buf())
        };
        self.targets.iter().find(is_it).and_then(of).unwrap_or_else(|| "benches".into())
    }

    fn what(&self, bench: Option<&str>) -> Result<BuildTarget, GateError> {
        let of = |kind: &str| {
            let wanted = kind.to_owned();
            self.targets.iter().filter(move |t| t.kind.contains(&wanted)).map(|t| t.name.as_str())
        };
        let package = &self.name;
        if let Some(bench) = bench {
            if of("bench").any(|name| name == bench) {
                return Ok(BuildTarget::Bench(bench.to_owned()));
            }
            let (hint, all) =
                (did_you_mean(bench, of("bench")), of("bench").collect::<Vec<_>>().join(", "));
            let all = if all.is_empty() { "none" } else { &all };
            return Err(GateError::usage(format!(
                "there is no bench `{bench}` in the package {package}: {hint}it has {all}"
            )));
        }
        if of("bench").any(|name| name == GATE) {
            return Ok(BuildTarget::Bench(GATE.into()));
        }
        Err(GateError::usage(format!(
            "the package {package} has no bench for the gate; add benches/gate.rs and, in Cargo.toml, a [[bench]] with \
             name = \"gate\" and harness = false, or name another bench with --bench"
        )))
    }
}
