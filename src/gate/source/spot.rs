//! Finds the package in each side's tree: crates become workspaces and move, so each tree has its own place.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{super::build::GateError, Layout};

/// The place of the package in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gate) struct Spot {
    /// The package's folder within the repository.
    pub package: PathBuf,
    /// The root of its workspace within the repository, or its own folder without a workspace; `None` if it is above.
    pub root: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Manifest {
    package: Option<Package>,
    workspace: Option<Workspace>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    workspace: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Workspace {
    #[serde(default)]
    exclude: Vec<PathBuf>,
}

impl Layout {
    /// Finds the package in a tree: where the project has it now, otherwise the only one of its name. `who` is the
    /// side's name in errors.
    pub(in crate::gate) fn spot(&self, checkout: &str, who: &str) -> Result<Spot, GateError> {
        let name = &self.package;
        let read = |folder: &Path| -> Result<Option<Manifest>, GateError> {
            let text = self.text_of(checkout, &folder.join("Cargo.toml"))?;
            // If cargo cannot read it either, the build reports it.
            Ok(text.and_then(|text| toml::from_str(&text).ok()))
        };
        let is_it = |folder: &PathBuf| -> Result<bool, GateError> {
            Ok(read(folder)?.and_then(|of| of.package).is_some_and(|of| of.name == *name))
        };
        let mut found = Vec::new();
        if is_it(&self.package_inside)? {
            found.push(self.package_inside.clone());
        } else {
            for folder in self.manifests_that_name(checkout, name)? {
                if is_it(&folder)? {
                    found.push(folder);
                }
            }
        }
        match found.as_slice() {
            [package] => Ok(Spot { package: package.clone(), root: self.root_of(package, &read)? }),
            // A manifest that is broken or not UTF-8: the build reports it.
            [] if self.has(checkout, &self.package_inside.join("Cargo.toml"))? => {
                let package = self.package_inside.clone();
                Ok(Spot { root: Some(self.inside.clone()), package })
            }
            [] => Err(GateError::usage(format!(
                "{who} has no package `{name}`; name one that has the project"
            ))),
            several => {
                let all: Vec<_> = several.iter().map(|of| of.display().to_string()).collect();
                Err(GateError::usage(format!(
                    "{who} has several packages `{name}`, in {}: go to the folder of the one you mean",
                    all.join(", ")
                )))
            }
        }
    }

    /// Follows cargo's rules upwards from a package's folder.
    fn root_of(
        &self,
        package: &Path,
        read: &dyn Fn(&Path) -> Result<Option<Manifest>, GateError>,
    ) -> Result<Option<PathBuf>, GateError> {
        for folder in package.ancestors() {
            let Some(manifest) = read(folder)? else { continue };
            let excludes = |of: &Workspace| {
                of.exclude.iter().any(|path| package.starts_with(folder.join(path)))
            };
            if manifest.workspace.is_some_and(|of| folder == package || !excludes(&of)) {
                return Ok(Some(folder.to_path_buf()));
            }
            let named = manifest.package.and_then(|of| of.workspace);
            if let Some(path) = named.filter(|_| folder == package) {
                return Ok(within(&package.join(path)));
            }
        }
        Ok(self.above.is_none().then(|| package.to_path_buf()))
    }

    /// Returns the folders of manifests in a tree that contain this name.
    fn manifests_that_name(&self, checkout: &str, name: &str) -> Result<Vec<PathBuf>, GateError> {
        let name = format!("name *= *[\"']{name}[\"']");
        let git = self.git().args(["-c", "core.quotePath=false", "grep", "--no-color", "-l"]);
        let git = git.args(["-E", "-e", &name, checkout, "--", ":(top,glob)**/Cargo.toml"]);
        let said = git.run()?;
        let folder = |line: &String| {
            let path = line.strip_prefix(checkout)?.strip_prefix(':')?;
            Path::new(path).parent().map(Path::to_path_buf)
        };
        Ok(said.out.iter().filter_map(folder).collect())
    }

    /// Returns a file of a tree as text; `None` if the tree does not have it.
    pub(in crate::gate) fn text_of(
        &self,
        checkout: &str,
        file: &Path,
    ) -> Result<Option<String>, GateError> {
        let said = self.git().args(["cat-file", "blob", &object(checkout, file)]).run()?;
        Ok(said.ok.then(|| said.out.join("\n")))
    }

    /// Returns whether a tree has a file.
    pub(in crate::gate) fn has(&self, checkout: &str, file: &Path) -> Result<bool, GateError> {
        Ok(self.git().args(["cat-file", "-e", &object(checkout, file)]).run()?.ok)
    }
}

fn object(checkout: &str, file: &Path) -> String {
    format!("{checkout}:{}", file.display())
}

/// Returns a path without `..`; `None` if it leaves the repository.
fn within(path: &Path) -> Option<PathBuf> {
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir if !found.pop() => return None,
            std::path::Component::Normal(name) => found.push(name),
            _ => (),
        }
    }
    Some(found)
}
