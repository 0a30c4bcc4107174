//! Says why base and head are the same program, and whether the difference of their sources could have reached it.

use std::{collections::BTreeMap, ffi::OsString, fs, os::unix::fs::PermissionsExt, path::Path};

use super::{
    build::{Built, GateError},
    source::{Kind, Layout, Project, Source},
};
use crate::record::{SameProgram, Sameness};

/// The most files that a sentence names.
const NAMED: usize = 3;

impl Project {
    /// Returns why base and head are the same program; `None` if they are not. Each side is its source and its build.
    ///
    /// # Errors
    ///
    /// Returns an error if git cannot compare the sources.
    pub fn same_program(
        &self,
        (base, base_built): (&Source, &Built),
        (head, head_built): (&Source, &Built),
    ) -> Result<Option<SameProgram>, GateError> {
        if base_built.side.program_sha256 != head_built.side.program_sha256 {
            return Ok(None);
        }
        let found = match (&base.kind, &head.kind) {
            (
                Kind::Tree { checkout: from, pins: base_pins, .. },
                Kind::Tree { checkout: to, pins: head_pins, .. },
            ) => {
                let layout = self.layout()?;
                let files = changed(layout, from, to)?;
                if layout.is_paceline() && !(files.is_empty() && base_pins == head_pins) {
                    not_affected(&files)
                } else if only_data(&files) || started(base_built)? != started(head_built)? {
                    // Each side runs beside its own files: the same program with other data, or with another program
                    // that it starts, is a different side.
                    return Ok(None);
                } else {
                    of_trees(&files, base_pins != head_pins, layout)
                }
            }
            (Kind::Program(one), Kind::Program(other)) if one == other => same_source(),
            _ => unreached(
                "base and head are the very same program",
                &["the head was not built anew after the change"],
            ),
        };
        Ok(Some(found))
    }

    /// Returns a sentence if the head has another bench than the base: a cell may do other work under the same name.
    ///
    /// # Errors
    ///
    /// Returns an error if git fails, or a side has no such package.
    pub fn other_bench(&self, base: &Source, head: &Source) -> Result<Option<String>, GateError> {
        let (Kind::Tree { checkout: from, .. }, Kind::Tree { checkout: to, .. }) =
            (&base.kind, &head.kind)
        else {
            return Ok(None);
        };
        let layout = self.layout()?;
        let bench = &layout.bench;
        let content = |checkout: &str, name: &str| -> Result<String, GateError> {
            let place = layout.spot(checkout, name)?.package.join(bench);
            let object = format!("{checkout}:{}", place.display());
            let git = layout.git().args(["rev-parse", "--verify", "--quiet", &object]);
            Ok(git.run()?.line().to_owned())
        };
        let (one, other) = (content(from, &base.name)?, content(to, &head.name)?);
        if one == other || layout.is_paceline() {
            return Ok(None);
        }
        // A bench that is a file elsewhere, or that the base does not have, has no files to name.
        let files = changed(layout, &one, &other).unwrap_or_default();
        let files: Vec<String> =
            files.iter().map(|file| bench.join(file).display().to_string()).collect();
        let what = if files.is_empty() { bench.display().to_string() } else { named(&files) };
        Ok(Some(format!(
            "the head has another {what}, so its cells may do other work under the same names"
        )))
    }
}

/// Returns the programs of a side that its bench names, such as `target/release/my-tool`.
fn started(built: &Built) -> Result<BTreeMap<OsString, Vec<u8>>, GateError> {
    let places = built.folder.iter().flat_map(|folder| folder.ancestors());
    let Some(place) = places.map(|at| at.join("target/release")).find(|at| at.is_dir()) else {
        return Ok(BTreeMap::new());
    };
    let read = |path: &Path| fs::read(path).map_err(|error| GateError::reading(path, &error));
    let bench = read(&built.program)?;
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let path = [&b"target/release/"[..], name.as_encoded_bytes()].concat();
        let is_program =
            entry.metadata().is_ok_and(|of| of.is_file() && of.permissions().mode() & 0o111 != 0);
        if is_program && bench.windows(path.len()).any(|part| part == path) {
            found.insert(name, read(&entry.path())?);
        }
    }
    Ok(found)
}

/// Returns the files that differ between two commits, by their paths in the repository.
fn changed(layout: &Layout, from: &str, to: &str) -> Result<Vec<String>, GateError> {
    let git = layout.git().args(["-c", "core.quotePath=false", "diff-tree"]);
    let said = git.args(["-r", "--no-renames", "--name-only", from, to]).run()?;
    if !said.ok {
        let reason = said.reason();
        return Err(GateError::internal(format!("git cannot compare base and head: {reason}")));
    }
    Ok(said.out)
}

fn of_trees(files: &[String], other_dependencies: bool, layout: &Layout) -> SameProgram {
    let inside = layout.inside.to_string_lossy();
    judged(files, other_dependencies, &inside)
}

/// Classifies the files that differ and other versions of dependencies. `inside` is the workspace in the repository.
fn judged(files: &[String], other_dependencies: bool, inside: &str) -> SameProgram {
    if files.is_empty() && !other_dependencies {
        return same_source();
    }
    if !other_dependencies && files.iter().all(|file| no_build_reads(file)) {
        let why = format!(
            "base and head differ only in {}, which no build reads: both are the same program",
            named(files)
        );
        return SameProgram { sameness: Sameness::Unreachable, why };
    }
    let what = if files.is_empty() {
        "base and head differ in the versions of dependencies and were built to the very same program".into()
    } else {
        format!("base and head differ in {} and were built to the very same program", named(files))
    };
    unreached(&what, &reasons(files, other_dependencies, inside))
}

fn same_source() -> SameProgram {
    let why = "base and head are the same source, so there is no change to find; what was measured is the noise of this machine";
    SameProgram { sameness: Sameness::SameSource, why: why.into() }
}

fn not_affected(files: &[String]) -> SameProgram {
    let what = if files.is_empty() { "the versions of dependencies".into() } else { named(files) };
    let why = format!(
        "not affected: base and head differ in {what} and build the same paceline-host, byte for byte"
    );
    SameProgram { sameness: Sameness::NotAffected, why }
}

fn unreached(what: &str, reasons: &[&str]) -> SameProgram {
    let why = format!("{what}, so the change was not measured; likely: {}", reasons.join("; or "));
    SameProgram { sameness: Sameness::Unreached, why }
}

/// Returns the likely reasons why different files gave the same program.
fn reasons(files: &[String], other_dependencies: bool, inside: &str) -> Vec<&'static str> {
    let name = |file: &str| file.rsplit('/').next().unwrap_or_default().to_owned();
    let is_manifest = |file: &str| matches!(name(file).as_str(), "Cargo.toml" | "Cargo.lock");
    let is_setting = |file: &str| {
        file.split('/').any(|part| part == ".cargo") || name(file).starts_with("rust-toolchain")
    };
    let is_outside = |file: &str| !inside.is_empty() && !file.starts_with(&format!("{inside}/"));
    let is_code = |file: &str| has_extension(file, &["rs"]);
    let is_other = |file: &str| {
        let known = is_code(file) || is_manifest(file) || is_setting(file);
        !known && !is_outside(file) && !no_build_reads(file)
    };
    let any = |is: &dyn Fn(&str) -> bool| files.iter().any(|file| is(file));
    let reasons = [
        (other_dependencies, "Cargo.lock has these versions already, or the cells do not use them"),
        (
            any(&is_code),
            "the cells do not run the code that changed, or only comments, tests or code that is not compiled changed",
        ),
        (any(&is_manifest), "the cells do not use the dependencies or features that changed"),
        (
            any(&is_setting),
            "the settings of cargo or the tool chain that changed did not reach the build",
        ),
        (any(&is_outside), "what changed lies outside of the workspace that was built"),
        (
            any(&is_other),
            "a file that is read while a cell runs, or a program that a cell starts, is not part of the program",
        ),
    ];
    reasons.into_iter().filter_map(|(fits, reason)| fits.then_some(reason)).collect()
}

/// Returns whether a file cannot affect a program, neither its build nor its run: documentation, integration tests, and
/// the settings of other tools. When in doubt it can: a bench may read any file beside it.
fn no_build_reads(file: &str) -> bool {
    let parts: Vec<&str> = file.split('/').collect();
    let Some((name, folders)) = parts.split_last() else { return false };
    let within = |any: &[&str]| folders.iter().any(|folder| any.contains(folder));
    if within(&["src", "benches", ".cargo"]) {
        return false;
    }
    let stem = name.split('.').next().unwrap_or_default();
    let is_known_document = matches!(
        stem,
        "README" | "CHANGELOG" | "CONTRIBUTING" | "LICENSE" | "COPYING" | "AUTHORS" | "SECURITY"
    ) || name.starts_with("LICENSE-");
    let is_document = has_extension(name, &["md", "rst", "adoc"]);
    let is_setting_of_a_tool = matches!(
        *name,
        ".gitignore"
            | ".gitattributes"
            | ".mailmap"
            | ".editorconfig"
            | ".gitlab-ci.yml"
            | "rustfmt.toml"
            | ".rustfmt.toml"
            | "clippy.toml"
            | ".clippy.toml"
            | "deny.toml"
            | "gate.toml"
    );
    let in_docs = within(&["docs", "doc"]);
    is_setting_of_a_tool
        || folders.first() == Some(&".github")
        || (is_known_document && !has_extension(name, &["rs"]))
        || (is_document && (folders.is_empty() || in_docs))
        || (in_docs && has_extension(name, &["txt", "svg", "png", "jpg", "gif"]))
        || (within(&["tests"]) && has_extension(name, &["rs"]))
}

/// Returns whether all files that could affect a program are data that it may read while it runs.
fn only_data(files: &[String]) -> bool {
    let mut reach = files.iter().filter(|file| !no_build_reads(file)).peekable();
    let is_data = |file: &String| {
        let name = file.rsplit('/').next().unwrap_or_default();
        let is_setting = file.split('/').any(|part| part == ".cargo")
            || name.starts_with("rust-toolchain")
            || matches!(name, "Cargo.toml" | "Cargo.lock");
        !is_setting && !has_extension(file, &["rs"])
    };
    reach.peek().is_some() && reach.all(is_data)
}

fn has_extension(file: &str, any: &[&str]) -> bool {
    file.rsplit_once('.').is_some_and(|(_, end)| any.contains(&end))
}

fn named(files: &[String]) -> String {
    let first: Vec<&str> = files.iter().take(NAMED).map(String::as_str).collect();
    match files.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str]) -> SameProgram {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        judged(&files, false, "")
    }

    #[test]
    fn only_files_that_reach_no_program_excuse_that_it_is_the_same() {
        for file in [
            "README.md",
            "crates/a/CHANGELOG.md",
            "LICENSE-MIT",
            "docs/guide/a.md",
            "docs/a.svg",
            "tests/it.rs",
            "crates/a/tests/common/mod.rs",
            ".github/workflows/ci.yml",
            "rustfmt.toml",
            "gate.toml",
        ] {
            assert_eq!(of(&[file]).sameness, Sameness::Unreachable, "{file}");
            assert_eq!(of(&[file, "src/lib.rs"]).sameness, Sameness::Unreached, "{file}");
        }
        for file in [
            "src/lib.rs",
            "src/README.md",
            "src/docs/a.md",
            "benches/big.md",
            "benches/small.json",
            "data/input.md",
            "tests/data/small.json",
            "examples/a.rs",
            "build.rs",
            "README.rs",
            "Cargo.toml",
            "Cargo.lock",
            ".cargo/config.toml",
            "rust-toolchain.toml",
        ] {
            assert_eq!(of(&[file]).sameness, Sameness::Unreached, "{file}");
        }
    }

    #[test]
    fn the_sentence_names_files_and_the_reasons_that_fit_them() {
        let why = of(&["src/lib.rs", "src/a.rs", "src/b.rs", "src/c.rs"]).why;
        assert!(why.contains("src/lib.rs, src/a.rs, src/b.rs and 1 more"), "{why}");
        assert!(why.contains("the cells do not run the code") && !why.contains("; or"), "{why}");
        let why = of(&[".cargo/config.toml", "benches/small.json"]).why;
        assert!(why.contains("settings of cargo"), "{why}");
        assert!(why.contains("read while a cell runs"), "{why}");
        let why = judged(&["web/a.ts".into()], false, "rust").why;
        assert!(why.contains("outside of the workspace") && !why.contains("read while"), "{why}");
    }

    #[test]
    fn dependencies_that_were_set_are_a_difference_even_where_no_file_differs() {
        let same = judged(&[], true, "");
        assert_eq!(same.sameness, Sameness::Unreached);
        assert!(same.why.contains("Cargo.lock has these versions already"), "{}", same.why);
        let readme = judged(&["README.md".into()], true, "");
        assert_eq!(readme.sameness, Sameness::Unreached);
        assert_eq!(judged(&[], false, "").sameness, Sameness::SameSource);
    }
}
