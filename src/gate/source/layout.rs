//! Where a project, its repository and its target folder are, and what of it is built.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::build::{BuildError, Tool};
use paceline_core::job::did_you_mean;

/// The bench target that is built where none is named.
const GATE: &str = "gate";

/// The program that is built where the project is paceline itself.
const HOST: &str = "paceline-host";

/// What is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gate) enum What {
    Bin(String),
    Bench(String),
}

/// A project, as cargo and git see it.
#[derive(Clone, Debug)]
pub(in crate::gate) struct Layout {
    /// The repository's top folder.
    pub repository: PathBuf,
    /// The workspace's root, or the package's where it has none.
    pub workspace: PathBuf,
    /// The latter within the former.
    pub inside: PathBuf,
    /// The target folder.
    pub target: PathBuf,
    pub package: String,
    pub what: What,
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
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Layout {
    pub(in crate::gate) fn of(
        folder: &Path,
        package: Option<&str>,
        bench: Option<&str>,
    ) -> Result<Layout, BuildError> {
        let metadata = metadata(folder)?;
        let package = metadata.package(folder, package)?;
        // Of paceline itself only what is measured is built: a change to a report cannot reach it.
        let host = metadata
            .packages
            .iter()
            .find(|other| bench.is_none() && package.name == "paceline" && other.has("bin", HOST));
        let (package, what) = match host {
            Some(host) => (host, What::Bin(HOST.into())),
            None => (package, package.what(bench)?),
        };
        let root = &metadata.workspace_root;
        let workspace = root.canonicalize().unwrap_or_else(|_| root.clone());
        let said = Tool::git(&workspace).args(["rev-parse", "--show-toplevel"]).run()?;
        if !said.ok {
            let reason = said.reason().trim_start_matches("fatal: ");
            return Err(BuildError::usage(format!(
                "this project is in no git repository that could be used ({reason}); `git init` and a commit make one, \
                 or give paths of built programs"
            )));
        }
        let repository = PathBuf::from(said.line());
        let repository = repository.canonicalize().unwrap_or(repository);
        let inside = workspace.strip_prefix(&repository).map(Path::to_path_buf).unwrap_or_default();
        let (target, package) = (metadata.target_directory.clone(), package.name.clone());
        Ok(Layout { repository, workspace, inside, target, package, what })
    }

    /// Whether the project is paceline itself, of which the hosts alone are built.
    pub(in crate::gate) fn is_paceline(&self) -> bool {
        self.what == What::Bin(HOST.into())
    }

    /// The gate's part of the target folder.
    pub(in crate::gate) fn gate(&self) -> PathBuf {
        self.target.join("gate")
    }
}

fn metadata(folder: &Path) -> Result<Metadata, BuildError> {
    let cargo = Tool::cargo(folder).args(["metadata", "--no-deps", "--format-version", "1"]);
    let said = cargo.run()?;
    if !said.ok {
        let none = said.reason().contains("could not find `Cargo.toml`");
        return Err(BuildError::usage(if none {
            "there is no cargo project here; go to the folder of one, or give paths of built programs"
                .to_owned()
        } else {
            format!("cargo cannot read this project; correct it:\n{}", said.err.join("\n"))
        }));
    }
    serde_json::from_str(said.line()).map_err(|error| {
        BuildError::internal(format!("`cargo metadata` is not understood: {error}; update cargo"))
    })
}

impl Metadata {
    /// The package that was named, otherwise the one whose folder we are in, otherwise the only one.
    fn package(&self, folder: &Path, name: Option<&str>) -> Result<&Package, BuildError> {
        let names = || self.packages.iter().map(|package| package.name.as_str());
        if let Some(name) = name {
            let found = self.packages.iter().find(|package| package.name == name);
            return found.ok_or_else(|| {
                let (hint, all) =
                    (did_you_mean(name, names()), names().collect::<Vec<_>>().join(", "));
                BuildError::usage(format!(
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
            _ => Err(BuildError::usage(format!(
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

    fn what(&self, bench: Option<&str>) -> Result<What, BuildError> {
        let of = |kind: &str| {
            let wanted = kind.to_owned();
            self.targets.iter().filter(move |t| t.kind.contains(&wanted)).map(|t| t.name.as_str())
        };
        let package = &self.name;
        if let Some(bench) = bench {
            if of("bench").any(|name| name == bench) {
                return Ok(What::Bench(bench.to_owned()));
            }
            let (hint, all) =
                (did_you_mean(bench, of("bench")), of("bench").collect::<Vec<_>>().join(", "));
            let all = if all.is_empty() { "none" } else { &all };
            return Err(BuildError::usage(format!(
                "there is no bench `{bench}` in the package {package}: {hint}it has {all}"
            )));
        }
        if of("bench").any(|name| name == GATE) {
            return Ok(What::Bench(GATE.into()));
        }
        Err(BuildError::usage(format!(
            "the package {package} has no bench for the gate; add benches/gate.rs and, in Cargo.toml, a [[bench]] with \
             name = \"gate\" and harness = false, or name another bench with --bench"
        )))
    }
}
