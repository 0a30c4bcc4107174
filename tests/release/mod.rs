//! Packages hold what they need, and the shell of a release refuses what does not fit together.
#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "the files are this project's"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

use super::{Runner, read, shell};

#[path = "../../build.rs"]
#[expect(dead_code, reason = "cargo calls its main, and reads what it prints")]
mod build_script;

const WORKFLOW: &str = ".github/workflows/release.yml";

fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What cargo knows of the crates of the workspace.
fn crates() -> Vec<Value> {
    let metadata = cargo(&["metadata", "--no-deps", "--locked", "--format-version=1"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// The files that `include_str!` names in a source, by their paths in the package.
fn included(source: &str, text: &str) -> Vec<String> {
    let names = text.split("include_str!(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let whole = |name: &str| {
        let mut path = PathBuf::new();
        for part in Path::new(source).parent().unwrap().join(name).components() {
            if part == Component::ParentDir {
                assert!(path.pop(), "{source} includes {name}, which is outside of its crate");
            } else {
                path.push(part);
            }
        }
        path.to_string_lossy().into_owned()
    };
    names.map(whole).collect()
}

#[test]
fn each_package_has_what_its_code_includes_and_nothing_that_only_a_clone_needs() {
    let mut includes = 0;
    for found in crates() {
        let name = found["name"].as_str().unwrap();
        let listed = cargo(&["package", "--list", "--allow-dirty", "--offline", "-p", name]);
        let listed: BTreeSet<&str> = listed.lines().collect();
        let folder = Path::new(found["manifest_path"].as_str().unwrap()).parent().unwrap();
        for source in listed.iter().filter(|path| path.ends_with(".rs")) {
            for file in included(source, &fs::read_to_string(folder.join(source)).unwrap()) {
                assert!(listed.contains(&*file), "{name}: {source} includes {file}: package it");
                includes += 1;
            }
        }
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "Cargo.lock"] {
            assert!(listed.contains(file), "{name} lacks {file}");
        }
        for file in listed {
            let top = file.split('/').next().unwrap();
            let extra = ["results", "fuzz", "scripts", ".ci", "target"].contains(&top);
            assert!(!extra && !file.ends_with(".png"), "{name} packages {file}");
            let is_tested = top != "tests" || file.starts_with("tests/golden/");
            assert!(is_tested, "{name} packages {file}, which needs a clone");
        }
    }
    assert!(includes >= 20, "only {includes} files are included");
}

#[test]
fn the_crates_have_one_version_and_tell_the_same_of_themselves() {
    let crates = crates();
    assert_eq!(crates.len(), 3);
    for found in &crates {
        let name = &found["name"];
        assert_eq!(found["version"], env!("CARGO_PKG_VERSION"), "{name}");
        assert_eq!(found["repository"], env!("CARGO_PKG_REPOSITORY"), "{name}");
        for key in ["description", "license", "readme", "rust_version"] {
            assert!(found[key].as_str().is_some_and(|text| !text.is_empty()), "{name}: {key}");
        }
        // The limits of crates.io.
        for key in ["keywords", "categories"] {
            assert!((1..=5).contains(&found[key].as_array().unwrap().len()), "{name}: {key}");
        }
        for other in found["dependencies"].as_array().unwrap() {
            let ours = other["path"].is_string();
            let wanted = concat!("^", env!("CARGO_PKG_VERSION"));
            assert!(
                !ours || other["req"] == wanted,
                "{name} wants {} {}",
                other["name"],
                other["req"]
            );
        }
    }
}

#[test]
fn an_install_that_passes_over_the_lock_file_is_refused() {
    for (line, refused) in [
        ("cargo install paceline", true),
        ("cargo --quiet install --path .", true),
        ("/usr/bin/cargo install --git https://h/p.git paceline", true),
        ("cargo install --locked --path .", false),
        ("cargo --frozen install paceline", false),
        ("cargo build --bin install", false),
        ("cargo run -- install", false),
        ("", false),
    ] {
        let words = line.replace(' ', "\0") + "\0";
        assert_eq!(build_script::is_unlocked_install(&words), refused, "{line}");
    }
}

/// Runs the step that checks a tag, or returns `None` where this machine lacks jq, which GitHub's have.
fn tag(tag: &str, address: &str, changelog: &str) -> Option<(Runner, Output)> {
    if Command::new("jq").arg("--version").output().is_err() {
        return None;
    }
    let of = |name: &str, version: &str| json!({ "name": name, "version": version, "repository": "https://h/p" });
    let metadata = json!({ "packages": [of("paceline-core", "9.9.9"), of("paceline", "0.3.0")] });
    let runner = Runner::new(&[("bin/cargo", &format!("echo '{metadata}'\n"))]);
    fs::write(runner.path("CHANGELOG.md"), changelog).unwrap();
    let output = runner.run(&shell(WORKFLOW, "Tag"), &[("TAG", tag), ("ADDRESS", address)]);
    Some((runner, output))
}

#[test]
fn a_tag_is_released_only_if_version_address_and_changelog_fit_it() {
    const LOG: &str = "# Changelog\n\n## [Unreleased]\n\n## [0.3.0] - 2027-01-01\n\n* new\n\n### Fixed\n* it\n\n## [0.2.0] - 2026-11-26\n* old\n";
    let Some((runner, output)) = tag("v0.3.0", "https://h/p", LOG) else { return };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(runner.read("notes/notes.md"), "\n* new\n\n### Fixed\n* it\n\n");
    let undated = LOG.replace("## [0.3.0] - 2027", "## [0.30] - 2027");
    let empty = LOG.replace("* new\n\n### Fixed\n* it\n", "");
    for (name, address, log, why) in [
        ("v0.3.1", "https://h/p", LOG, "the tag is v0.3.1, Cargo.toml has version 0.3.0"),
        ("v9.9.9", "https://h/p", LOG, "Cargo.toml has version 0.3.0"),
        ("0.3.0", "https://h/p", LOG, "the tag is 0.3.0"),
        ("v0.3.0", "https://h/fork", LOG, "set it to https://h/fork"),
        ("v0.3.0", "https://h/p", &undated, "CHANGELOG.md has nothing under"),
        ("v0.3.0", "https://h/p", &empty, "CHANGELOG.md has nothing under"),
    ] {
        let output = tag(name, address, log).unwrap().1;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(why), "{name}, {address}: {said}");
    }
    let ours = format!("\n## [{}] - 20", env!("CARGO_PKG_VERSION"));
    assert!(read("CHANGELOG.md").contains(&ours), "CHANGELOG.md has no section for this version");
}

#[test]
#[cfg(target_os = "linux")]
fn an_archive_has_the_program_licences_completions_and_manual() {
    let program = format!("exec {} \"$@\"\n", env!("CARGO_BIN_EXE_paceline"));
    let archive = |tag: &str| {
        let runner = Runner::new(&[("target/release/paceline", &program)]);
        for file in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
            fs::write(runner.path(file), read(file)).unwrap();
        }
        let of = [("TAG", tag), ("TARGET", "t")];
        let output = runner.run(&shell(WORKFLOW, "Archive"), &of);
        (runner, output)
    };
    let ours = concat!("v", env!("CARGO_PKG_VERSION"));
    let (runner, output) = archive(ours);
    assert!(output.status.success(), "{output:?}");
    let listed = runner.run(&format!("tar -tzf dist/paceline-{ours}-t.tar.gz"), &[]).stdout;
    let listed = String::from_utf8(listed).unwrap();
    for file in [
        "paceline",
        "README.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "completions/paceline.bash",
        "completions/_paceline",
        "completions/paceline.fish",
        "man/paceline.1",
        "man/paceline-gate.1",
    ] {
        let path = format!("paceline-{ours}-t/{file}");
        assert!(listed.lines().any(|line| line == path), "{path}: {listed}");
        let size = fs::metadata(runner.path("dist").join(&path)).unwrap().len();
        assert!(size > 0, "{path} is empty");
    }
    assert!(!archive("v0.0.1").1.status.success(), "the program has another version");
}

#[test]
#[cfg(target_os = "linux")]
fn a_release_is_published_whole_with_checksums_or_not_at_all() {
    let targets = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];
    for target in targets {
        assert!(
            read(WORKFLOW).contains(&format!(", target: {target} }}")),
            "{target} is not built"
        );
    }
    let publish = |tag: &str, lacking: Option<&str>| {
        let runner = Runner::new(&[("bin/gh", "echo \"$@\" >../called\n")]);
        for target in targets {
            for end in ["tar.gz", "cdx.json"] {
                let file = format!("artifacts/files-{target}/paceline-{tag}-{target}.{end}");
                fs::create_dir_all(runner.path(&file).parent().unwrap()).unwrap();
                let text = if lacking == Some(end) { "" } else { target };
                fs::write(runner.path(&file), text).unwrap();
            }
        }
        let output = runner.run(&shell(WORKFLOW, "Publish"), &[("TAG", tag)]);
        (output.status.success(), runner)
    };
    for (tag, kind) in [("v0.2.0", "--latest"), ("v0.3.0-rc.1", "--prerelease")] {
        let (done, runner) = publish(tag, None);
        let called = runner.read("called");
        let begin =
            format!("release create {tag} --verify-tag {kind} --title paceline {}", &tag[1..]);
        assert!(done && called.starts_with(&begin), "{called}");
        assert!(
            called.ends_with(" SHA256SUMS\n") && called.matches(".tar.gz").count() == 2,
            "{called}"
        );
        let sums = runner.run("cd files && sha256sum --strict --check SHA256SUMS", &[]);
        assert!(sums.status.success() && runner.read("files/SHA256SUMS").lines().count() == 4);
    }
    for end in ["tar.gz", "cdx.json"] {
        let (done, runner) = publish("v0.2.0", Some(end));
        assert!(!done && runner.read("called").is_empty(), "published without a {end}");
    }
}
