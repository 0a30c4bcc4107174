//! The environment variables that a build read, so that a kept program is not taken for one of another environment.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::GateError;
use crate::machine::hex;

/// Where cargo and rustc note the names: build scripts print the first two, and rustc writes the third for `env!` and
/// `option_env!`.
const NOTED: &[&str] =
    &["cargo::rerun-if-env-changed=", "cargo:rerun-if-env-changed=", "# env-dep:"];

/// Variables that cargo or the gate sets for each build, whatever they are outside. Those that end in `_` are prefixes.
const SET_FOR_BUILDS: &[&str] = &[
    "CARGO",
    "CARGO_BIN_NAME",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_CFG_",
    "CARGO_CRATE_NAME",
    "CARGO_FEATURE_",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_TARGET_DIR",
    "LC_ALL",
    "OUT_DIR",
];

/// Variables by name, with the hashes of their values: a value may be secret. `None` if it is not set.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Environment(BTreeMap<String, Option<String>>);

impl Environment {
    /// Returns the variables whose names are noted in folders of builds. Other builds may have noted some of them; then
    /// a change of these builds a side that has not changed.
    pub(super) fn read_in(folders: &[PathBuf]) -> Result<Self, GateError> {
        let mut found = Environment::default();
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            found.add(folder).map_err(|error| GateError::reading(folder, &error))?;
        }
        Ok(found)
    }

    fn add(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            // The output of a build script has the second name in the next layout of build folders.
            let is_note = path.extension().is_some_and(|end| end == "d")
                || path.file_name().is_some_and(|name| name == "output" || name == "stdout");
            if kind.is_dir() {
                self.add(&path)?;
            } else if kind.is_file() && is_note {
                let text = fs::read(&path)?;
                for name in names(&String::from_utf8_lossy(&text)) {
                    self.0.insert(name.to_owned(), value(name));
                }
            }
        }
        Ok(())
    }

    /// Returns whether all have the values that they had.
    pub(super) fn is_unchanged(&self) -> bool {
        self.0.iter().all(|(name, was)| value(name) == *was)
    }
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    let noted = text.lines().filter_map(|line| {
        let rest = NOTED.iter().find_map(|start| line.trim().strip_prefix(start))?;
        rest.split('=').next()
    });
    noted.filter(|name| !is_listed(name, SET_FOR_BUILDS))
}

/// Returns whether a list has a name, or a prefix of it that ends in `_`.
pub(super) fn is_listed(name: &str, list: &[&str]) -> bool {
    list.iter().any(|known| name == *known || (known.ends_with('_') && name.starts_with(known)))
}

fn value(name: &str) -> Option<String> {
    env::var_os(name).map(|value| hex(&Sha256::digest(value.as_encoded_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_build_scripts_declare_and_what_source_reads_is_found_wherever_cargo_notes_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join("release").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "build/one-0123/output",
            "cargo:rerun-if-env-changed=PATH\ncargo:rustc-env=WORD=x\n  cargo::rerun-if-env-changed=ONE_DIR\n",
        );
        write("build/two/0123/run/stdout", "cargo::rerun-if-env-changed=TWO_DIR\n");
        write("build/one-0123/stderr", "cargo::rerun-if-env-changed=NOT_THIS\n");
        write(
            "deps/one-0123.d",
            "one.d: src/lib.rs\n\n# env-dep:CARGO_PKG_NAME=one\n# env-dep:THREE\n# env-dep:FOUR=a=b\n",
        );
        let places = [folder.path().to_path_buf(), folder.path().join("not there")];
        let found = Environment::read_in(&places).unwrap();
        let names: Vec<_> = found.0.keys().map(String::as_str).collect();
        assert_eq!(names, ["FOUR", "ONE_DIR", "PATH", "THREE", "TWO_DIR"]);
        assert!(found.0["PATH"].is_some() && found.0["THREE"].is_none());
        assert!(found.is_unchanged());
        let other = |name: &str, value: Option<&str>| {
            let value = value.map(str::to_owned);
            Environment(BTreeMap::from([(name.to_owned(), value)])).is_unchanged()
        };
        assert!(!other("PATH", None) && !other("PATH", Some("0123")) && !other("THREE", Some("0")));
    }
}
