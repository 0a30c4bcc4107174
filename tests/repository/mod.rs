//! Small repositories of users, whose bench is of `paceline-gated`: cargo builds them in release in a second or two.
#![allow(dead_code, reason = "not every test file uses all")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::program::{json, paceline, said};

use paceline::record::{Gate, Overall, Verdict};
use tempfile::TempDir;

pub(crate) const WORK: &str = "pub fn spin(n: u64) -> u64 {\n    (0..n).fold(1, |x, i| std::hint::black_box(x ^ i).wrapping_mul(0x9E37_79B9_7F4A_7C15))\n}\n";

pub(crate) fn target(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Asks about the last commit against the one before.
pub(crate) const BETWEEN: [&str; 7] =
    ["gate", "--base", "HEAD~1", "--head", "HEAD", "--format", "json"];
/// Few trials, in which a gross change shows on a busy machine.
pub(crate) const WIDE: [&str; 8] =
    ["--trials", "5", "--margin", "60%", "--clear-margin", "90%", "--budget", "5m"];

pub(crate) const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The manifest of `tiny`.
pub(crate) fn manifest() -> String {
    format!(
        "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\nbench = false\n[[bench]]\nname = \"gate\"\nharness = false\n[dev-dependencies]\npaceline-gated = {{ path = \"{HERE}/crates/paceline-gated\" }}\n"
    )
}

/// A crate called `tiny` in a repository of its own.
pub(crate) struct Repository {
    _top: TempDir,
    pub(crate) folder: PathBuf,
}

impl Repository {
    /// Without any file, at `inside` of a temporary folder.
    pub(crate) fn empty(inside: &str) -> Self {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().canonicalize().unwrap().join(inside);
        fs::create_dir_all(&folder).unwrap();
        let repository = Repository { _top: top, folder };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.write(".gitignore", "target\nresults\n");
        repository
    }

    /// With a bench whose cells are these, not committed yet.
    pub(crate) fn new(cells: &str) -> Self {
        let repository = Repository::empty("");
        repository.write("Cargo.toml", &manifest());
        repository.lock("");
        repository.write("src/lib.rs", WORK);
        repository.write(
            "benches/gate.rs",
            &format!(
                "use tiny::spin;\n\nfn main() -> std::process::ExitCode {{\n    paceline_gated::Gated::new(){cells}.main()\n}}\n"
            ),
        );
        repository
    }

    /// The versions that are on this machine already.
    pub(crate) fn lock(&self, folder: &str) {
        let folder = self.folder.join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(Path::new(HERE).join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        assert!(Path::new(name).is_relative(), "{name}");
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn git(&self, args: &[&str]) {
        let mut git = Command::new("git");
        git.current_dir(&self.folder).args(["-c", "user.name=t", "-c", "user.email=t@localhost"]);
        assert!(git.args(args).status().unwrap().success());
    }

    pub(crate) fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", "a commit"]);
    }

    pub(crate) fn command(&self, folder: &str, arguments: &[&str]) -> Command {
        let mut command = paceline(&self.folder.join(folder), arguments);
        command.env("PACELINE_ALLOW_LOAD", "1");
        // What all of them depend on is compiled once.
        command.env("CARGO_TARGET_DIR", target("repositories"));
        command
    }

    pub(crate) fn paceline(&self, folder: &str, arguments: &[&str]) -> Output {
        self.command(folder, arguments).output().unwrap()
    }

    /// Gates the last commit against the one before.
    pub(crate) fn gate(&self, more: &[&str]) -> (Option<i32>, Gate) {
        let output = self.paceline("", &[&BETWEEN[..], more].concat());
        (output.status.code(), json(&output))
    }

    /// The cells of the last commit and the one before, or what was said.
    pub(crate) fn list(
        &self,
        folder: &str,
        more: &[&str],
    ) -> Result<Vec<(String, String)>, String> {
        let output = self.paceline(folder, &[&BETWEEN[..], &["--list"], more].concat());
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
            return Err(said(&output));
        }
        let cells: Vec<serde_json::Value> = json(&output);
        let text = |of: &serde_json::Value| of.as_str().unwrap().to_owned();
        Ok(cells.iter().map(|cell| (text(&cell["cell"]), text(&cell["presence"]))).collect())
    }

    pub(crate) fn is_regressed(&self) -> Gate {
        let (code, gate) = self.gate(&WIDE);
        assert_eq!((code, gate.verdict), (Some(4), Overall::Regressed), "{}", gate.summary);
        assert_eq!(gate.cells[0].verdict, Some(Verdict::Regressed));
        gate
    }
}
