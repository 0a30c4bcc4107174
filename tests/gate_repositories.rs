//! `paceline gate` in small repositories of users: what was built wrongly, or measured as something else, is seen.
//!
//! Each is a crate with a bench of `paceline-gated`, built by cargo in release in a second or two. Margins are wide, since
//! tests run beside each other: the changes are tenfold.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use paceline::record::{Gate, Overall, Verdict};
use tempfile::TempDir;

const WORK: &str = "pub fn spin(n: u64) -> u64 {\n    (0..n).fold(1, |x, i| std::hint::black_box(x ^ i).wrapping_mul(0x9E37_79B9_7F4A_7C15))\n}\n";

/// A crate called `tiny` in a repository of its own.
struct Repository(TempDir);

impl Repository {
    /// With a bench whose cells are these, not committed yet.
    fn new(cells: &str) -> Self {
        let repository = Repository(tempfile::tempdir().unwrap());
        let here = env!("CARGO_MANIFEST_DIR");
        let gated = Path::new(here).join("crates/paceline-gated");
        repository.write(
            "Cargo.toml",
            &format!(
                "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[lib]\nbench = false\n[[bench]]\nname = \"gate\"\nharness = false\n[dev-dependencies]\npaceline-gated = {{ path = \"{}\" }}\n",
                gated.display()
            ),
        );
        // The versions that are here already.
        fs::copy(Path::new(here).join("Cargo.lock"), repository.0.path().join("Cargo.lock"))
            .unwrap();
        repository.write(".gitignore", "/target\n/results\n");
        repository.write("src/lib.rs", WORK);
        repository.write(
            "benches/gate.rs",
            &format!(
                "use tiny::spin;\n\nfn main() -> std::process::ExitCode {{\n    paceline_gated::Gated::new(){cells}.main()\n}}\n"
            ),
        );
        repository.git(&["init", "-q", "-b", "main"]);
        repository
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, args: &[&str]) {
        let mut git = Command::new("git");
        git.current_dir(self.0.path()).args(["-c", "user.name=t", "-c", "user.email=t@localhost"]);
        assert!(git.args(args).status().unwrap().success());
    }

    fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", "a commit"]);
    }

    /// Gates the last commit against the one before.
    fn gate(&self, more: &[&str]) -> (Option<i32>, Gate) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
        let wide = ["--trials", "5", "--margin", "60%", "--clear-margin", "90%", "--budget", "5m"];
        command
            .args(["gate", "--base", "HEAD~1", "--head", "HEAD", "--format", "json"])
            .args(wide)
            .args(more)
            .current_dir(self.0.path())
            .env("PACELINE_ALLOW_DEBUG", "1")
            .env("PACELINE_ALLOW_LOAD", "1")
            // What all of them depend on is compiled once.
            .env(
                "CARGO_TARGET_DIR",
                PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("repositories"),
            );
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let gate = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {said}"));
        (output.status.code(), gate)
    }

    fn is_regressed(&self) {
        let (code, gate) = self.gate(&[]);
        assert_eq!((code, gate.verdict), (Some(4), Overall::Regressed), "{}", gate.summary);
        assert_eq!(gate.cells[0].verdict, Some(Verdict::Regressed));
    }
}

#[test]
fn settings_of_cargo_that_slow_the_head_are_seen() {
    let repository = Repository::new(".closure(\"spin\", || || spin(20_000))");
    repository.commit();
    repository.write(".cargo/config.toml", "[profile.bench]\nopt-level = 0\n");
    repository.commit();
    repository.is_regressed();
}

#[test]
fn a_file_that_is_read_at_run_time_is_the_sides_own() {
    let cells = ".closure(\"data\", || || spin(std::fs::read(\"benches/small.json\").unwrap().len() as u64))";
    let repository = Repository::new(cells);
    repository.write("benches/small.json", &"7".repeat(20_000));
    repository.commit();
    repository.write("benches/small.json", &"7".repeat(400_000));
    repository.commit();
    repository.is_regressed();
}

#[test]
fn a_command_is_the_sides_own() {
    let repository = Repository::new(".command(\"tool\", [env!(\"CARGO_BIN_EXE_tool\")])");
    let tool = |n: u64| {
        let main = format!("fn main() {{ std::hint::black_box(tiny::spin({n})); }}\n");
        repository.write("src/bin/tool.rs", &main);
        repository.commit();
    };
    tool(1_000);
    tool(100_000_000);
    repository.is_regressed();
}

#[test]
fn code_that_prints_reads_its_input_and_has_a_server_of_its_own_is_measured() {
    let cells = ".closure(\"talks\", || {\n        let server = std::process::Command::new(\"sh\").args([\"-c\", \"while :; do :; done\"]).spawn().unwrap();\n        move || {\n            println!(\"{} {:?}\", server.id(), std::io::stdin().read_line(&mut String::new()));\n            spin(20_000)\n        }\n    })";
    let repository = Repository::new(cells);
    repository.commit();
    repository.write("src/lib.rs", &WORK.replace("(0..n)", "(0..n * 10)"));
    repository.commit();
    repository.is_regressed();
}

#[test]
fn the_bench_behaves_under_cargo_test_cargo_bench_and_nextest() {
    let repository = Repository::new(
        ".closure(\"spin/1\", || || spin(1)).closure(\"fails\", || || assert!(std::env::var_os(\"FAIL\").is_none()))",
    );
    let ran = |args: &[&str], fail: bool| {
        let mut cargo = Command::new("cargo");
        cargo.args(args).current_dir(repository.0.path());
        cargo.env("CARGO_TARGET_DIR", PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench"));
        let output = if fail { cargo.env("FAIL", "1") } else { &mut cargo }.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (ok, out, err) = ran(&["test", "--quiet", "--offline", "--all-targets"], false);
    assert!(ok && out.contains("spin/1 ... ok") && out.contains("fails ... ok"), "{out}{err}");
    let list = ["bench", "--offline", "--bench", "gate", "--", "--list", "--format", "terse"];
    let (ok, out, _) = ran(&list, false);
    assert!(ok && out.ends_with("spin/1: benchmark\nfails: benchmark\n"), "{out}");
    let (ok, out, err) =
        ran(&["bench", "--quiet", "--offline", "--bench", "gate", "--", "spin"], false);
    assert!(ok && out.contains(" a call ") && !out.contains("fails"), "{out}{err}");
    let (ok, _, err) = ran(&["bench", "--offline", "--bench", "gate"], true);
    assert!(!ok && err.contains("error: fails: "), "{err}");
}
