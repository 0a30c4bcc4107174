//! `paceline gate` in small repositories of users: what was built wrongly, or measured as something else, is seen.
//!
//! Each is a crate with a bench of `paceline-gated`, built by cargo in release in a second or two. Margins are wide, since
//! tests run beside each other: the changes are tenfold.

mod program;
mod repository;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use program::{said, text};
use repository::{HERE, Repository, WORK, manifest, target};

#[test]
fn settings_of_cargo_that_slow_the_head_are_seen() {
    let repository = Repository::new(".closure(\"spin\", || || spin(20_000))");
    repository.write("gate.toml", "[[cell]]\nname = \"spni\"\nmargin = \"1%\"\n");
    repository.commit();
    repository.write(".cargo/config.toml", "[profile.bench]\nopt-level = 0\n");
    repository.write("benches/small.json", "[]");
    repository.commit();
    let notes = repository.is_regressed().notes;
    let bench = "the head has another benches/small.json, so its cells may do other work under the same names";
    assert_eq!(notes, ["there are margins for cells that do not exist: spni", bench]);
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
        ".closure(\"spin/1\", || || spin(1)).closure(\"fails\", || || assert!(std::env::var_os(\"FAIL\").is_none())).closure(\"fails/ends\", || || if std::env::var_os(\"FAIL\").is_some() { std::process::exit(9) })",
    );
    let ran = |args: &[&str], fail: bool| {
        let mut cargo = Command::new("cargo");
        cargo.args(args).current_dir(&repository.folder);
        cargo.env("CARGO_TARGET_DIR", target("bench"));
        let output = if fail { cargo.env("FAIL", "1") } else { &mut cargo }.output().unwrap();
        (output.status.success(), text(&output.stdout), said(&output))
    };
    let (ok, out, err) = ran(&["test", "--quiet", "--offline", "--all-targets"], false);
    assert!(ok && out.contains("spin/1 ... ok") && out.contains("fails ... ok"), "{out}{err}");
    // What nextest asks, of the debug build that is there: the cells, the ignored ones, and a cell by its name.
    let debug = |more: &[&str]| {
        ran(&[&["test", "--quiet", "--offline", "--bench", "gate", "--"], more].concat(), true)
    };
    let list = ["--list", "--format", "terse"];
    let (ok, out, err) = debug(&list);
    assert!(
        ok && out == "spin/1: benchmark\nfails: benchmark\nfails/ends: benchmark\n",
        "{out}{err}"
    );
    assert_eq!(debug(&[&list[..], &["--ignored"]].concat()).1, "");
    let (ok, out, err) = debug(&["spin/1", "--exact", "--nocapture"]);
    assert!(ok && out == "spin/1 ... ok\n", "{out}{err}");
    assert!(!debug(&["fails", "--exact", "--nocapture"]).0);
    assert_eq!(debug(&["--skip", "fails"]).1, "spin/1 ... ok\n");
    // Its figures would mean nothing. Nobody asked for a gate, so nothing has failed; with a gate it has.
    let (ok, out, _) = debug(&["--bench"]);
    assert!(ok && out.starts_with("this is a debug build, which measures nothing of use"), "{out}");
    let (ok, _, err) = debug(&["--compare"]);
    assert!(!ok && err.contains("no cell has two variants to compare"), "{err}");
    let (ok, out, err) =
        ran(&["bench", "--quiet", "--offline", "--bench", "gate", "--", "spin"], false);
    assert!(ok && out.contains(" a call ") && !out.contains("fails"), "{out}{err}");
    let (ok, _, err) = ran(&["bench", "--offline", "--bench", "gate"], true);
    assert!(!ok && err.contains("error: fails: "), "{err}");
    let ended = "error: fails/ends: the process of the cell ended: exit status: 9";
    assert!(err.contains(ended), "{err}");
}

/// Writes `tiny` into a folder. Its only cell is called after a file of the folder, which each side reads as its own.
fn tiny(repository: &Repository, folder: &str, cell: &str, manifest: &str) {
    let at = |name: &str| Path::new(folder).join(name).to_string_lossy().into_owned();
    let write = |name: &str, text: &str| repository.write(&at(name), text);
    write("Cargo.toml", manifest);
    write("src/lib.rs", WORK);
    write("cell.txt", cell);
    let gated = "paceline_gated::Gated::new().closure(cell, || || tiny::spin(1)).main()";
    let read = "std::fs::read_to_string(\"cell.txt\").unwrap()";
    let bench = format!(
        "fn main() -> std::process::ExitCode {{\n    let cell = {read};\n    {gated}\n}}\n"
    );
    write("benches/gate.rs", &bench);
}

fn workspace(what: &str) -> String {
    format!("[workspace]\nresolver = \"3\"\n{what}\n")
}

#[test]
fn a_crate_is_found_where_each_side_has_it() {
    // The folder of `tiny` and its workspace's root, with the text of its manifest, before and after; where we are then.
    let lone = "";
    let members =
        workspace("members = [\"crates/tiny\", \"libs/tiny\"]").replace(", \"libs/tiny\"", "");
    let moved = workspace("members = [\"libs/*\"]");
    let any = workspace("members = [\"tiny\"]");
    let excluded = workspace("exclude = [\"tiny\"]");
    for (before, after, here) in [
        // A lone crate becomes a workspace.
        (("", lone), ("crates/tiny", members.as_str()), "crates/tiny"),
        // It moves within one, and we are in a folder of the package.
        (("crates/tiny", members.as_str()), ("libs/tiny", moved.as_str()), "libs/tiny/src"),
        // A lone one moves.
        (("old", lone), ("new", lone), "new"),
        // A member is excluded.
        (("tiny", any.as_str()), ("tiny", excluded.as_str()), "tiny"),
    ] {
        let repository = Repository::empty("");
        repository.git(&["config", "color.ui", "always"]);
        for ((folder, root), cell) in [(before, "one"), (after, "two")] {
            for old in fs::read_dir(&repository.folder).unwrap().flatten() {
                if !old.file_name().to_string_lossy().starts_with(".git") {
                    let path = old.path();
                    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
                        .unwrap();
                }
            }
            if !root.is_empty() {
                repository.write("Cargo.toml", root);
            }
            repository.lock(if root.is_empty() || root.contains("exclude") { folder } else { "" });
            tiny(&repository, folder, cell, &manifest());
            repository.commit();
        }
        let found = repository.list(here, &[]).unwrap_or_else(|said| panic!("{after:?}: {said}"));
        let cell = |name: &str, presence: &str| (name.to_owned(), presence.to_owned());
        assert_eq!(found, [cell("one", "base"), cell("two", "head")], "{after:?}");
    }
}

#[test]
fn a_workspace_whose_root_is_above_the_repository_is_around_each_side() {
    let repository = Repository::empty("above/tiny");
    let root =
        workspace("members = [\"tiny\", \"other\"]\n[workspace.package]\nedition = \"2024\"");
    repository.write("../Cargo.toml", &root);
    repository.lock("..");
    let other = "[package]\nname = \"other\"\nversion = \"0.1.0\"\nedition.workspace = true\n";
    repository.write("../other/Cargo.toml", other);
    repository.write("../other/src/lib.rs", "");
    for cell in ["one", "two"] {
        let manifest = manifest().replace("edition = \"2024\"", "edition.workspace = true");
        tiny(&repository, "", cell, &manifest);
        repository.commit();
    }
    let names: Vec<_> =
        repository.list("", &[]).unwrap().into_iter().map(|(cell, _)| cell).collect();
    assert_eq!(names, ["one", "two"]);
    // What is inherited from there is part of a program.
    repository.write("../Cargo.toml", &root.replace("2024", "1066"));
    assert!(repository.list("", &[]).unwrap_err().contains("1066"));
}

#[test]
fn a_revision_without_the_crate_says_so_and_so_does_one_with_two_of_its_name() {
    let repository = Repository::empty("");
    repository.write("README.md", "");
    repository.commit();
    repository.lock("new");
    tiny(&repository, "new", "one", &manifest());
    repository.commit();
    let said = repository.list("new", &[]).unwrap_err();
    assert!(said.contains("the revision `HEAD~1` has no package `tiny`; name one that"), "{said}");
    let moves = |folders: &[&str]| {
        repository.git(&["rm", "-qrf", "--ignore-unmatch", "new", "a", "b"]);
        for folder in folders {
            repository.lock(folder);
            tiny(&repository, folder, "one", &manifest());
        }
        repository.commit();
    };
    moves(&["a", "b"]);
    moves(&["c"]);
    let said = repository.list("c", &[]).unwrap_err();
    assert!(said.contains("the revision `HEAD~1` has several packages `tiny`, in a, b"), "{said}");
}

#[test]
fn features_and_a_bench_of_another_name_are_those_that_were_asked_for() {
    let repository = Repository::empty("");
    repository.lock("");
    let bench = "[[bench]]\nname = \"perf\"\nharness = false\nrequired-features = [\"perf\"]\n";
    let features = "[features]\ndefault = [\"usual\"]\nusual = []\nperf = []\nmore = []\n";
    let manifest = manifest().replace("[[bench]]\nname = \"gate\"\nharness = false\n", bench);
    repository.write("Cargo.toml", &format!("{manifest}{features}"));
    repository.write("src/lib.rs", WORK);
    let cells = ["usual", "perf", "more"].map(|feature| {
        format!("    if cfg!(feature = \"{feature}\") {{\n        gated = gated.closure(\"{feature}\", || || tiny::spin(1));\n    }}\n")
    });
    let bench = format!(
        "fn main() -> std::process::ExitCode {{\n    let mut gated = paceline_gated::Gated::new();\n{}    gated.main()\n}}\n",
        cells.concat()
    );
    repository.write("benches/perf.rs", &bench);
    repository.commit();
    repository.write("README.md", "");
    repository.commit();
    let cells = |features: &[&str]| {
        let found = repository.list("", &[&["--bench", "perf"], features].concat());
        found.map(|cells| cells.into_iter().map(|(cell, _)| cell).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(cells(&["--features", "perf"]).unwrap(), "usual perf");
    assert_eq!(cells(&["--features", "perf,more", "--no-default-features"]).unwrap(), "perf more");
    assert_eq!(cells(&["--all-features"]).unwrap(), "usual perf more");
    assert!(cells(&[]).unwrap_err().contains("requires the features: `perf`"));
    assert!(cells(&["--features", "prf"]).unwrap_err().contains("prf"));
    assert!(repository.list("", &[]).unwrap_err().contains("has no bench for the gate"));
}

/// All files of a repository but git's own, with what is in them.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != ".git" {
            found.extend(files(&path));
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.insert(path, text);
        }
    }
    found
}

#[test]
fn what_init_writes_compiles_and_gates_and_a_second_time_it_writes_nothing() {
    let repository = Repository::empty("");
    repository.write("Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\n");
    repository.write("src/main.rs", "fn main() {}\n");
    repository.write(".gitignore", "# mine");
    repository.lock("");
    let gated = format!("{HERE}/crates/paceline-gated");
    let init = |more: &[&str]| {
        let output =
            repository.paceline("src", &[&["init", "gate", "--gated", &gated], more].concat());
        (output.status.code(), text(&output.stdout), said(&output))
    };
    let before = files(&repository.folder);
    let (code, said, error) = init(&["--dry-run"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("would write ") && said.contains("paceline-gated and [[bench]] gate"));
    assert_eq!(files(&repository.folder), before);
    let (code, said, error) = init(&[]);
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("Next:\n* Put calls of your own into benches/gate.rs"), "{said}");
    let after = files(&repository.folder);
    let read = |name: &str| after[&repository.folder.join(name)].as_str();
    assert_eq!(read(".gitignore"), "# mine\n/results\n/target\n");
    assert!(read(".github/workflows/gate.yml").contains("paceline gate --base \"HEAD^1\""));
    assert!(read(".github/workflows/gate-comment.yml").contains("<!-- paceline gate -->"));
    assert_eq!(after.len(), before.len() + 3, "{:?}", after.keys());
    let (code, said, _) = init(&[]);
    assert_eq!((code, said.matches("nothing is missing").count()), (Some(0), 5), "{said}");
    assert_eq!(files(&repository.folder), after);
    // What the user wrote since is the user's.
    repository.commit();
    let slower = read("benches/gate.rs").replace("10_000", "1_000_000");
    repository.write("benches/gate.rs", &slower);
    init(&[]);
    repository.commit();
    assert_eq!(fs::read_to_string(repository.folder.join("benches/gate.rs")).unwrap(), slower);
    repository.is_regressed();
}

#[test]
fn init_says_that_its_crate_is_not_on_crates_io_unless_it_is_told_where_it_is() {
    let repository = Repository::empty("");
    repository.write("Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\n");
    repository.write("src/lib.rs", "");
    let gated = format!("{HERE}/crates/paceline-gated");
    for (more, is_said) in [(&[][..], true), (&["--gated", &*gated][..], false)] {
        let planned = repository.paceline("", &[&["init", "gate", "--dry-run"], more].concat());
        let said = program::printed(&planned, 0);
        assert_eq!(said.contains("not on crates.io yet"), is_said, "{said}");
    }
}

#[test]
fn a_second_init_takes_the_source_that_it_is_given_and_says_what_is_still_to_do() {
    let repository = Repository::empty("");
    repository.write("Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\n");
    repository.write("src/lib.rs", "");
    let init = |more: &[&str]| {
        let planned = repository.paceline("", &[&["init", "gate"], more].concat());
        program::printed(&planned, 0)
    };
    let read = |name: &str| fs::read_to_string(repository.folder.join(name)).unwrap();
    for more in [&["--gated", "0.2.0"][..], &[]] {
        let said = init(more);
        assert!(
            said.contains("not on crates.io yet") && said.contains("Set PACELINE_GIT"),
            "{said}"
        );
    }
    let gated = format!("{HERE}/crates/paceline-gated");
    let said = init(&["--gated", &gated]);
    assert!(said.contains("wrote Cargo.toml: the source of paceline-gated\n"), "{said}");
    assert!(!said.contains("not on crates.io yet") && said.contains("Set PACELINE_GIT"), "{said}");
    assert!(read("Cargo.toml").contains(&format!("paceline-gated = {{ path = \"{gated}\" }}\n")));
    let said = init(&["--gated", "https://h/p.git"]);
    assert!(!said.contains("crates.io") && !said.contains("Set PACELINE_GIT"), "{said}");
    assert!(read("Cargo.toml").contains("paceline-gated = { git = \"https://h/p.git\" }\n"));
    assert!(read(".github/workflows/gate.yml").contains("PACELINE_GIT: https://h/p.git\n"));
    let before = read("Cargo.toml").replace(" }\n", ", features = [] }\n");
    repository.write("Cargo.toml", &before);
    let refused = repository.paceline("", &["init", "gate", "--gated", "0.2.0"]);
    let said = program::error(&refused, 2);
    assert!(
        said.contains("with settings of its own") && said.contains("paceline-gated = \"0.2.0\""),
        "{said}"
    );
    assert_eq!(read("Cargo.toml"), before);
}

#[test]
fn init_refuses_what_it_would_break() {
    let repository = Repository::empty("");
    let refused = |more: &[&str]| {
        program::error(&repository.paceline("", &[&["init", "gate"], more].concat()), 2)
    };
    assert!(refused(&[]).contains("there is no cargo project here"));
    repository.write("Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\n");
    repository.write("src/lib.rs", "");
    assert!(refused(&["--gated", "."]).contains("is not the folder of the package paceline-gated"));
    assert!(
        refused(&["--gated", "nowhere"]).contains("`nowhere` is neither a version nor a folder")
    );
    assert!(refused(&["--package", "tony"]).contains("did you mean `tiny`?"));
    repository.write("benches/gate.rs", "#[test]\nfn it() {}\n");
    let before = files(&repository.folder);
    assert!(refused(&[]).contains("exists, but Cargo.toml has no [[bench]] for it"));
    repository.write("Cargo.toml", "[package\n");
    assert!(refused(&[]).contains("cargo cannot read this project"));
    repository.write("Cargo.toml", &before[&repository.folder.join("Cargo.toml")]);
    assert_eq!(files(&repository.folder), before);
}

#[test]
fn a_budget_that_is_too_small_for_known_cells_is_refused_before_anything_is_built() {
    let repository = Repository::new("");
    repository.write("src/lib.rs", "compile_error!(\"it is built\");\n");
    repository.commit();
    let said = |budget: &str| {
        let cells = ["cpu", "--model", "sequential", "--scale", "100,200,300,400"];
        let gate = ["gate", "--base", "HEAD", "--head", "HEAD", "--budget", budget];
        program::error(&repository.paceline("", &[&gate[..], &cells].concat()), 2)
    };
    // The slices alone take 1.4 s.
    let early = said("1s");
    assert!(
        early.contains("the budget of 1.00 s is too small for a verdict on 4 cells"),
        "{early}"
    );
    assert!(early.contains("give --budget ") && !early.contains("it is built"), "{early}");
    let late = said("1h");
    assert!(late.contains("it is built"), "{late}");
}

#[test]
fn cells_that_are_known_are_listed_without_a_build_and_those_of_a_bench_say_that_it_is_built() {
    let repository = Repository::new("");
    repository.write("src/lib.rs", "compile_error!(\"it is built\");\n");
    repository.commit();
    let list = |more: &[&str]| {
        let gate = ["gate", "--list", "--base", "HEAD", "--head", "HEAD"];
        let output = repository.paceline("", &[&gate[..], more].concat());
        (output.status.code(), text(&output.stdout), said(&output))
    };
    let named = ["yield", "--model", "sequential", "--scale", "1,2"];
    let (code, out, said) = list(&named);
    assert_eq!(code, Some(0), "{said}");
    assert!(out.contains("yield/sequential/2") && out.contains("2 built-in cells"), "{out}");
    assert!(!said.contains("built"), "{said}");
    let (_, out, _) = list(&[&named[..], &["--format", "json"]].concat());
    let cells: serde_json::Value = serde_json::from_str(&out).unwrap();
    let first = serde_json::json!({ "cell": "yield/sequential/1", "presence": null });
    assert_eq!((cells.as_array().unwrap().len(), &cells[0]), (2, &first));
    let (code, _, said) = list(&[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("are known once it is built") && said.contains("it is built"), "{said}");
    // In paceline itself, the usual cells are known too.
    let package = |name: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
    };
    let paceline = Repository::empty("");
    let workspace = "[workspace]\nmembers = [\"core\"]\n";
    paceline.write("Cargo.toml", &format!("{workspace}{}", package("paceline")));
    paceline.write("src/lib.rs", "");
    paceline.write("core/Cargo.toml", &package("paceline-core"));
    paceline.write("core/src/bin/paceline-host.rs", "compile_error!(\"it is built\");\n");
    paceline.commit();
    let output = paceline.paceline("", &["gate", "--list", "--base", "HEAD"]);
    let out = program::printed(&output, 0);
    assert!(out.contains("switch/tokio/10") && out.contains("echo/tokio/50"), "{out}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_early_check_of_the_budget_waits_for_a_gate_that_measures_whatever_its_folders() {
    use std::{
        io::{BufRead, BufReader},
        os::{
            linux::net::SocketAddrExt,
            unix::net::{SocketAddr, UnixDatagram},
        },
    };
    let repository = Repository::new("");
    repository.write("src/lib.rs", "compile_error!(\"it is built\");\n");
    repository.commit();
    // As a gate of another user with another folder for temporary files has it; a real one may have it already.
    let place = tempfile::tempdir().unwrap();
    let name = SocketAddr::from_abstract_name("paceline-gate").unwrap();
    let lock = UnixDatagram::bind_addr(&name);
    let gate = ["gate", "--base", "HEAD", "--head", "HEAD", "--budget", "1s"];
    let cells = ["cpu", "--model", "sequential", "--scale", "100,200,300,400"];
    let mut command = repository.command("", &[&gate[..], &cells].concat());
    command.env_remove("PACELINE_ALLOW_LOAD").env("TMPDIR", place.path());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("another gate measures on this machine: waiting"), "{first}");
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    // A gate without that check waits before it measures.
    let program = program::example("faulty");
    let both = ["gate", "--base", program.to_str().unwrap(), "--head", program.to_str().unwrap()];
    let mut command = repository.command("", &[&both[..], &["--filter", "^same$"]].concat());
    let mut gate = command.env_remove("PACELINE_ALLOW_LOAD").spawn().unwrap();
    let first = BufReader::new(gate.stderr.take().unwrap()).lines().next();
    assert!(first.unwrap().unwrap().contains("another gate measures on this machine: waiting"));
    gate.kill().unwrap();
    gate.wait().unwrap();
    drop(lock);
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(lines.any(|line| line.unwrap().contains("the budget of 1.00 s is too small")));
}
