//! The gate's two sides, from what a user types to built programs: with real git and cargo, on tiny projects.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking; a test in a process of its own prints what it found"
)]

use std::{
    cell::RefCell,
    env, fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use paceline::gate::{
    build::{BuildError, Built, Exit, note_same_program},
    source::{Project, Source, WORKING_TREE},
};
use paceline::record::Sameness;
use paceline_core::interrupt;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

const MANIFEST: &str = "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[[bench]]\nname = \"gate\"\nharness = false\n";

/// A git repository with a cargo project in a folder of it.
struct Tiny {
    top: TempDir,
    folder: PathBuf,
}

impl Tiny {
    /// One that is committed and says `one`, at `inside`.
    fn at(inside: &str) -> Tiny {
        let tiny = Tiny::without_commit(inside);
        tiny.commit("one");
        tiny
    }

    fn new() -> Tiny {
        Tiny::at("")
    }

    fn without_commit(inside: &str) -> Tiny {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().canonicalize().unwrap().join(inside);
        let tiny = Tiny { top, folder };
        tiny.git(&["init", "-q", "-b", "main"]);
        tiny.write("Cargo.toml", MANIFEST);
        tiny.write(".gitignore", "/target\n");
        tiny.write("src/lib.rs", "pub fn said() -> &'static str { \"one\" }\n");
        tiny.write("benches/gate.rs", "fn main() { println!(\"{}\", tiny::said()); }\n");
        tiny.write(".cargo/config.toml", "[net]\noffline = true\n");
        tiny
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn says(&self, word: &str) {
        self.write("src/lib.rs", &format!("pub fn said() -> &'static str {{ \"{word}\" }}\n"));
    }

    fn git(&self, args: &[&str]) -> String {
        git(self.top.path(), args)
    }

    fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn project(&self) -> Project {
        Project::here(&self.folder, None, None).unwrap()
    }

    fn build(&self, text: &str) -> Result<Built, BuildError> {
        let project = self.project();
        project.build(&project.resolve(text)?, false, &|_| ())
    }

    fn build_working_tree(&self) -> Result<Built, BuildError> {
        let project = self.project();
        project.build(&project.working_tree()?, false, &|_| ())
    }

    fn no_worktree_is_left(&self) {
        let left = self.git(&["worktree", "list", "--porcelain"]);
        assert_eq!(left.matches("worktree ").count(), 1, "{left}");
    }
}

fn git(folder: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.current_dir(folder).args(["-c", "user.name=t", "-c", "user.email=t@localhost"]);
    let output = git.args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn said_by(built: &Built) -> String {
    let output = Command::new(&built.program).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The sentence of what the user has to mend.
fn usage(result: Result<Built, BuildError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.exit, Exit::Usage, "{error}");
    assert!(!error.message.starts_with(char::is_uppercase), "{error}");
    error.message
}

#[test]
fn a_revision_is_built_once_in_a_worktree_that_does_not_stay() {
    let tiny = Tiny::new();
    let first = tiny.git(&["rev-parse", "HEAD"]);
    tiny.says("two");
    tiny.commit("two");
    let base = tiny.build("HEAD~1").unwrap();
    let head = tiny.build("main").unwrap();
    assert_eq!((said_by(&base), said_by(&head)), ("one".into(), "two".into()));
    assert_eq!(base.side.name, "HEAD~1");
    assert_eq!(base.side.commit.as_deref(), Some(first.as_str()));
    assert_eq!(base.side.about, format!("commit {} (one)", &first[..7]));
    assert!(!base.cached && !head.cached && !base.side.uncommitted);
    tiny.no_worktree_is_left();
    let again = tiny.build("HEAD~1").unwrap();
    assert!(again.cached);
    assert_eq!(again.side, base.side);
    // A file that was torn is made anew.
    fs::write(&base.program, "torn").unwrap();
    let anew = tiny.build("HEAD~1").unwrap();
    assert_eq!((anew.cached, said_by(&anew)), (false, "one".into()));
}

#[test]
fn the_copy_is_compiled_anew_at_another_path() {
    let tiny = Tiny::new();
    // The program says where it was compiled.
    tiny.write(
        "benches/gate.rs",
        "fn main() { println!(\"{}\", env!(\"CARGO_MANIFEST_DIR\")); }\n",
    );
    tiny.commit("where");
    let project = tiny.project();
    let source = project.resolve("HEAD").unwrap();
    let base = project.build(&source, false, &|_| ()).unwrap();
    let lines = RefCell::new(Vec::new());
    let copy =
        project.build(&source, true, &|line| lines.borrow_mut().push(line.to_owned())).unwrap();
    assert!(!copy.cached);
    assert!(lines.borrow().iter().any(|line| line.starts_with("Compiling tiny")), "{lines:?}");
    assert_ne!(said_by(&base), said_by(&copy), "two paths");
    assert_ne!(base.program, copy.program);
    assert!(copy.side.about.ends_with(", built once more"), "{}", copy.side.about);
    assert!(project.build(&source, true, &|_| ()).unwrap().cached);
}

#[test]
fn what_cargo_takes_for_compiled_is_compiled_all_the_same() {
    let tiny = Tiny::new();
    tiny.build("HEAD").unwrap();
    tiny.says("two");
    tiny.commit("two");
    // A clock that was set back: what was compiled seems to be younger than any checkout.
    let future = "2099-01-01T00:00:00";
    let find = format!("find target/gate/build -exec touch -d {future} {{}} +");
    let touched =
        Command::new("sh").args(["-c", &find]).current_dir(&tiny.folder).status().unwrap();
    assert!(touched.success());
    assert_eq!(said_by(&tiny.build("HEAD").unwrap()), "two");
}

#[test]
fn a_clean_working_tree_is_its_commit() {
    let tiny = Tiny::new();
    let built = tiny.build_working_tree().unwrap();
    assert_eq!(built.side.name, WORKING_TREE);
    assert!(built.side.about.starts_with("the working tree, which is commit "));
    assert!(!built.side.uncommitted);
    let mut head = tiny.build("HEAD").unwrap();
    assert!(head.cached, "the same content is built once");
    note_same_program(&built, &mut head);
    assert!(head.side.about.ends_with(", the same program as the base"), "{}", head.side.about);
}

#[test]
fn a_dirty_tree_is_used_with_all_that_is_not_ignored_and_the_users_index_stays() {
    let tiny = Tiny::new();
    tiny.write("src/lib.rs", "mod new;\npub use new::said;\n");
    tiny.git(&["add", "src/lib.rs"]);
    tiny.write("src/new.rs", "pub fn said() -> &'static str { \"dirty\" }\n");
    let before = tiny.git(&["status", "--porcelain"]);
    let built = tiny.build_working_tree().unwrap();
    assert_eq!(said_by(&built), "dirty");
    assert!(built.side.uncommitted);
    assert_eq!(built.side.commit.as_deref(), Some(tiny.git(&["rev-parse", "HEAD"]).as_str()));
    let about = &built.side.about;
    assert!(
        about.contains("and changes not committed to 2 files, src/lib.rs among them"),
        "{about}"
    );
    assert!(before.contains("M  src/lib.rs") && before.contains("?? src/new.rs"), "{before}");
    assert_eq!(tiny.git(&["status", "--porcelain"]), before);
    assert!(tiny.build_working_tree().unwrap().cached);
    assert_eq!(said_by(&tiny.build("HEAD").unwrap()), "one");
}

#[test]
fn a_change_of_the_same_length_within_the_second_of_the_commit_is_seen() {
    let tiny = Tiny::new();
    for word in ('a'..='p').map(String::from) {
        tiny.says(&word);
        tiny.commit(&word);
        tiny.says(&word.to_uppercase());
        let about = tiny.project().working_tree().unwrap().about;
        assert!(about.ends_with("changes not committed to src/lib.rs"), "{about}");
    }
}

#[test]
fn a_target_folder_that_nobody_ignores_is_no_part_of_the_working_tree() {
    let tiny = Tiny::new();
    fs::remove_file(tiny.folder.join(".gitignore")).unwrap();
    tiny.commit("ignores nothing");
    tiny.write("target/large", "large");
    let built = tiny.build_working_tree().unwrap();
    assert!(!built.side.about.contains("large"), "{}", built.side.about);
    assert!(tiny.build_working_tree().unwrap().cached, "what was built is not in it either");
}

#[test]
fn a_project_in_a_subfolder_is_built_from_there() {
    let tiny = Tiny::at("rust/tiny");
    tiny.says("two");
    assert_eq!(said_by(&tiny.build("HEAD").unwrap()), "one");
    assert_eq!(said_by(&tiny.build_working_tree().unwrap()), "two");
    tiny.no_worktree_is_left();
}

#[test]
fn a_package_of_a_workspace_is_chosen() {
    let tiny = Tiny::without_commit("");
    let members = MANIFEST.replace("tiny", "small");
    tiny.write("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"small\", \"other\"]\n");
    tiny.write("small/Cargo.toml", &members);
    tiny.write("small/src/lib.rs", "");
    tiny.write("small/benches/gate.rs", "fn main() { println!(\"small\"); }\n");
    tiny.write("other/Cargo.toml", "[package]\nname = \"other\"\nversion = \"0.1.0\"\n");
    tiny.write("other/src/lib.rs", "");
    tiny.commit("workspace");
    let said = usage(tiny.build("HEAD"));
    assert!(said.starts_with("this workspace has several packages; choose one with --package: "));
    let with = |package| {
        let project = Project::here(&tiny.folder, Some(package), None).unwrap();
        project.build(&project.resolve("HEAD")?, false, &|_| ())
    };
    assert_eq!(said_by(&with("small").unwrap()), "small");
    assert!(usage(with("smal")).contains("did you mean `small`?"));
    assert!(usage(with("other")).starts_with("the package other has no bench for the gate; add "));
    let inside = Project::here(&tiny.folder.join("small/src"), None, None).unwrap();
    assert!(inside.build(&inside.resolve("HEAD").unwrap(), false, &|_| ()).unwrap().cached);
}

#[test]
fn a_bench_that_was_named_is_built_and_one_that_is_not_there_has_its_sentence() {
    let tiny = Tiny::new();
    tiny.write("benches/second.rs", "fn main() {}\n");
    tiny.commit("second");
    let named = |name| Project::here(&tiny.folder, None, Some(name)).unwrap().resolve("HEAD");
    named("second").unwrap();
    let said = named("secnd").unwrap_err().message;
    assert!(said.starts_with("there is no bench `secnd` in the package tiny: did you mean"));
    // It is not in every revision.
    let project = Project::here(&tiny.folder, None, Some("second")).unwrap();
    let said = usage(project.build(&project.resolve("HEAD~1").unwrap(), false, &|_| ()));
    assert!(
        said.starts_with("the revision `HEAD~1` does not build; cargo says\nerror: "),
        "{said}"
    );
    tiny.no_worktree_is_left();
}

#[test]
fn what_git_calls_a_revision_is_never_taken_for_dependencies() {
    let tiny = Tiny::new();
    let first = tiny.git(&["rev-parse", "HEAD"]);
    for name in ["a@b", "tiny@1.0.0", "x@1.0.0,y@1.0.0", "feature/x"] {
        tiny.git(&["branch", name]);
    }
    tiny.git(&["tag", "-a", "v1", "-m", "one"]);
    let second = {
        tiny.says("two");
        tiny.commit("two")
    };
    for (text, commit) in [
        ("a@b", &first),
        ("tiny@1.0.0", &first),
        ("x@1.0.0,y@1.0.0", &first),
        ("feature/x", &first),
        ("v1", &first),
        ("HEAD@{1}", &first),
        ("@", &second),
        (&second[..9], &second),
    ] {
        let built = tiny.build(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(built.side.commit.as_ref(), Some(commit), "{text}");
        assert!(built.side.dependencies.is_empty(), "{text}");
    }
}

#[test]
fn a_revision_that_does_not_exist_has_a_suggestion() {
    let tiny = Tiny::new();
    tiny.git(&["tag", "release-7"]);
    let said = usage(tiny.build("relaese-7"));
    assert!(said.starts_with("there is no revision `relaese-7`: did you mean `release-7`? "));
    // As in CI, where only the remote's branches are there.
    tiny.git(&["update-ref", "refs/remotes/origin/stable", "HEAD"]);
    assert!(usage(tiny.build("stable")).contains("did you mean `origin/stable`?"));
    let shallow = tempfile::tempdir().unwrap();
    tiny.says("two");
    tiny.commit("two");
    let from = format!("file://{}", tiny.folder.display());
    git(shallow.path(), &["clone", "-q", "--depth", "1", &from, "."]);
    let said = Project::here(shallow.path(), None, None).unwrap().resolve("HEAD~1").unwrap_err();
    assert!(said.message.contains("`git fetch --unshallow`"), "{said}");
    assert!(usage(tiny.build("--help")).starts_with("there is no revision `--help`"));
    assert!(usage(tiny.build(" ")).starts_with("nothing was named"));
}

#[test]
fn a_revision_that_does_not_build_shows_the_compilers_first_error_and_which_side_it_is() {
    let tiny = Tiny::new();
    tiny.write("src/lib.rs", "pub fn said() -> &'static str { 1 }\npub fn more() { none() }\n");
    let said = usage(tiny.build_working_tree());
    assert!(
        said.starts_with("the working tree does not build; the compiler's first error is\nerror")
    );
    assert_eq!(said.matches("\nerror").count(), 1, "{said}");
    assert!(said.contains("src/lib.rs:"), "{said}");
    tiny.commit("broken");
    assert!(usage(tiny.build("main")).starts_with("the revision `main` does not build; "));
    tiny.no_worktree_is_left();
    // Not the compiler but cargo has the error.
    tiny.write("Cargo.toml", &MANIFEST.replace("2024", "1066"));
    tiny.commit("no edition");
    tiny.write("Cargo.toml", MANIFEST);
    let said = usage(tiny.build("HEAD"));
    assert!(said.starts_with("the revision `HEAD` does not build; cargo says\nerror: "), "{said}");
    assert!(said.contains("1066"), "{said}");
    tiny.write("Cargo.toml", "[package\n");
    assert!(usage(tiny.build("HEAD")).starts_with("cargo cannot read this project; correct it:\n"));
}

/// One that depends on bitflags, of which this project's own lock file has two versions, so both are on this machine.
fn with_dependency() -> Tiny {
    let tiny = Tiny::without_commit("");
    tiny.write("Cargo.toml", &format!("{MANIFEST}[dependencies]\nbitflags = \">=1.3, <3\"\n"));
    // Each version has what the other has not.
    tiny.write("build.rs", "fn main() { let lock = std::fs::read_to_string(\"Cargo.lock\").unwrap(); println!(\"cargo::rustc-env=AT={}\", lock.split(\"name = \\\"bitflags\\\"\\nversion = \\\"\").nth(1).unwrap().split('\"').next().unwrap()); }\n");
    tiny.write("src/lib.rs", "pub fn said() -> &'static str { env!(\"AT\") }\n");
    tiny.commit("depends");
    tiny
}

/// The version of bitflags 2 in our own lock file.
fn newest_bitflags() -> String {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let versions = lock.split("name = \"bitflags\"\nversion = \"").skip(1);
    versions.map(|rest| rest.split('"').next().unwrap().to_owned()).max().unwrap()
}

#[test]
fn dependencies_are_set_to_versions_in_a_lock_file_of_their_own() {
    let (tiny, newest) = (with_dependency(), newest_bitflags());
    let old = tiny.build("bitflags@1.3.2").unwrap();
    let new = tiny.build(&format!("bitflags@{newest}")).unwrap();
    assert_eq!((said_by(&old), said_by(&new)), ("1.3.2".into(), newest.clone()));
    assert_eq!(old.side.name, "bitflags@1.3.2");
    assert_eq!(old.side.dependencies, ["bitflags@1.3.2"]);
    assert!(old.side.about.ends_with(", with bitflags 1.3.2"), "{}", old.side.about);
    assert!(!old.side.uncommitted);
    assert!(!tiny.folder.join("Cargo.lock").exists(), "the user's own stays as it is");
    assert!(tiny.build("bitflags@=1.3.2").unwrap().cached);
    tiny.no_worktree_is_left();
    // From a lock file that lies here and is not committed.
    tiny.write(".gitignore", "/target\nCargo.lock\n");
    let made = Command::new("cargo").arg("generate-lockfile").current_dir(&tiny.folder).output();
    assert!(made.unwrap().status.success());
    let lock = fs::read(tiny.folder.join("Cargo.lock")).unwrap();
    assert_eq!(said_by(&tiny.build("bitflags@1.3.2").unwrap()), "1.3.2");
    assert_eq!(fs::read(tiny.folder.join("Cargo.lock")).unwrap(), lock);
    let plain = tiny.build("HEAD").unwrap();
    assert!(plain.side.about.ends_with("was built with the one here"), "{}", plain.side.about);
}

#[test]
fn a_version_that_does_not_resolve_shows_cargos_reason() {
    let tiny = with_dependency();
    let said = usage(tiny.build("bitflags@9.9.9"));
    assert!(said.starts_with("bitflags cannot be set to 9.9.9 here; "), "{said}");
    assert!(said.contains("cargo says:\nerror: "), "{said}");
    tiny.no_worktree_is_left();
}

#[test]
fn a_dependency_that_is_not_in_the_lock_file_has_a_suggestion() {
    let tiny = with_dependency();
    let hint =
        "`bitflag` is neither a revision nor a dependency in Cargo.lock: did you mean `bitflags`? ";
    assert!(
        usage(tiny.build("bitflag@1.3.2")).starts_with(hint),
        "from the lock file of the build"
    );
    let made = Command::new("cargo").arg("generate-lockfile").current_dir(&tiny.folder).output();
    assert!(made.unwrap().status.success());
    let said = tiny.project().resolve("bitflag@1.3.2").unwrap_err().message;
    assert!(said.starts_with(hint), "before anything is built: {said}");
    let said = tiny.project().resolve("tiny@1.3.2").unwrap_err().message;
    assert!(said.starts_with("`tiny` comes from a folder"), "{said}");
}

#[test]
fn a_program_is_used_as_it_is_and_its_copy_is_another_file() {
    let tiny = Tiny::new();
    tiny.write("run", "#!/bin/sh\necho run\n");
    let path = tiny.folder.join("run");
    let said = usage(tiny.build("./run"));
    assert!(said.starts_with("./run cannot be executed; `chmod +x ./run` makes it so"), "{said}");
    assert!(usage(tiny.build("run")).starts_with("run cannot be executed"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let project = tiny.project();
    for text in ["run", "./run", path.to_str().unwrap()] {
        let source = project.resolve(text).unwrap();
        let built = project.build(&source, false, &|_| ()).unwrap();
        assert_eq!((&built.program, said_by(&built)), (&path, "run".into()), "{text}");
        assert_eq!((built.side.name.as_str(), built.side.commit.as_ref()), (text, None));
        let copy = project.build(&source, true, &|_| ()).unwrap();
        assert_ne!(copy.program, path);
        assert_eq!(copy.side.program_sha256, built.side.program_sha256);
        assert!(copy.side.about.starts_with("a copy of the program /"), "{}", copy.side.about);
    }
    assert!(usage(tiny.build("./walk")).starts_with("there is no program at ./walk"));
    assert!(usage(tiny.build("./src")).starts_with("./src is a folder"));
}

#[test]
fn two_programs_need_no_project() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        let project = Project::here(Path::new(&folder), None, None).unwrap();
        let copy = project.build(&project.resolve("/bin/sh").unwrap(), true, &|_| ()).unwrap();
        println!("\ncopy: {}", copy.program.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = again("two_programs_need_no_project", folder.path());
    let said = child.env("XDG_CACHE_HOME", folder.path()).output().unwrap();
    let place = format!("copy: {}/paceline/gate/programs/", folder.path().display());
    assert!(String::from_utf8(said.stdout).unwrap().contains(&place), "in the user's cache");
    let project = Project::here(folder.path(), None, None).unwrap();
    let source = project.resolve("/bin/sh").unwrap();
    assert_eq!(project.build(&source, false, &|_| ()).unwrap().side.name, "/bin/sh");
    let said = project.working_tree().unwrap_err().message;
    assert!(said.starts_with("there is no cargo project here; go to "), "{said}");
    let said = Project::here(&folder.path().join("none"), None, None).unwrap_err().message;
    assert!(said.starts_with("cannot enter the folder "), "{said}");
}

#[test]
fn no_repository_and_one_without_a_commit_have_a_sentence_each() {
    let tiny = Tiny::without_commit("");
    let said = tiny.project().working_tree().unwrap_err().message;
    assert!(said.starts_with("this repository has no commit yet; "), "{said}");
    assert!(usage(tiny.build("HEAD")).starts_with("this repository has no commit yet; "));
    fs::remove_dir_all(tiny.folder.join(".git")).unwrap();
    let said = usage(tiny.build("HEAD"));
    assert!(said.starts_with("this project is in no git repository"), "{said}");
    assert!(said.contains("not a git repository") && said.contains("`git init`"), "{said}");
}

#[test]
fn a_target_folder_that_cannot_be_written_is_named() {
    let tiny = Tiny::new();
    tiny.write(".cargo/config.toml", "[build]\ntarget-dir = \"/proc/none\"\n");
    tiny.commit("nowhere");
    let error = tiny.build("HEAD").unwrap_err();
    assert_eq!(error.exit, Exit::Internal);
    assert!(error.message.starts_with("cannot write to /proc/none/gate: "), "{error}");
    assert!(error.message.contains("CARGO_TARGET_DIR"), "{error}");
}

#[test]
fn what_a_killed_run_left_is_cleared_away() {
    let tiny = Tiny::new();
    let built = tiny.build("HEAD").unwrap();
    let sides = built.folder.unwrap().parent().unwrap().parent().unwrap().to_path_buf();
    let stale = sides.join("stale/side");
    tiny.git(&["worktree", "add", "-q", "--detach", stale.to_str().unwrap()]);
    let gone = sides.join("gone/side");
    tiny.git(&["worktree", "add", "-q", "--detach", gone.to_str().unwrap()]);
    fs::remove_dir_all(gone).unwrap();
    let users = tempfile::tempdir().unwrap();
    let users = users.path().join("own");
    tiny.git(&["worktree", "add", "-q", "--detach", users.to_str().unwrap()]);
    fs::remove_dir_all(&users).unwrap();
    tiny.says("two");
    tiny.build_working_tree().unwrap();
    assert!(!stale.exists());
    let left = tiny.git(&["worktree", "list", "--porcelain"]);
    assert!(left.contains(users.to_str().unwrap()), "the user's own is not ours to forget: {left}");
    tiny.git(&["worktree", "remove", "--force", users.to_str().unwrap()]);
    tiny.no_worktree_is_left();
}

#[test]
fn a_side_stays_while_the_gate_that_uses_it_runs() {
    let tiny = Tiny::new();
    let first = tiny.build("HEAD").unwrap();
    // More than are kept of those that nobody uses.
    for word in 0..14 {
        tiny.says(&word.to_string());
        tiny.commit("next");
        tiny.build("HEAD").unwrap();
    }
    let folder = first.folder.unwrap();
    assert!(folder.join("Cargo.toml").is_file(), "{}", folder.display());
}

#[test]
fn sides_of_a_project_that_is_no_more_are_cleared_away() {
    let sides = |tiny: &Tiny| {
        let built = tiny.build("HEAD").unwrap();
        built.folder.unwrap().parent().unwrap().parent().unwrap().to_path_buf()
    };
    let (gone, stays) = (Tiny::new(), Tiny::new());
    let (of_gone, of_stays) = (sides(&gone), sides(&stays));
    assert!(of_gone.is_dir() && of_stays.is_dir());
    drop(gone);
    // Kept until the end: the other tests clear away as well.
    let last = Tiny::new();
    let next = sides(&last);
    assert!(next.is_dir() && of_stays.is_dir() && !of_gone.exists());
}

/// This very test in a process of its own, in which a signal or another environment does no harm.
fn again(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("PACELINE_TEST_FOLDER", folder);
    command
}

#[test]
fn without_git_it_is_said_what_to_install() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        let error = Project::here(Path::new(&folder), None, None).unwrap().resolve("HEAD");
        println!("said: {}", error.unwrap_err());
        return;
    }
    let (tiny, path) = (Tiny::new(), tempfile::tempdir().unwrap());
    for tool in ["cargo", "rustc"] {
        let found =
            Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        std::os::unix::fs::symlink(found.trim(), path.path().join(tool)).unwrap();
    }
    let mut child = again("without_git_it_is_said_what_to_install", &tiny.folder);
    let said = child.env("PATH", path.path()).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("said: `git` was not found; install it"), "{said}");
}

/// A process that builds a project whose build script hangs, and that script. `test` is the one that asks.
fn hanging_build(test: &str) -> (Tiny, Child, Pid) {
    let tiny = Tiny::new();
    let pid = tiny.folder.join("target/pid");
    let file = pid.to_str().unwrap();
    let write = format!("std::fs::write({file:?}, std::process::id().to_string()).unwrap();");
    let sleep = "std::thread::sleep(std::time::Duration::from_secs(600));";
    tiny.write(
        "build.rs",
        &format!("fn main() {{ {write} println!(\"cargo::warning=x\"); {sleep} }}"),
    );
    tiny.commit("slow");
    let mut child = again(test, &tiny.folder).stdout(Stdio::piped()).spawn().unwrap();
    let script = loop {
        if let Some(id) = fs::read_to_string(&pid).ok().and_then(|text| text.parse().ok()) {
            break Pid::from_raw(id).unwrap();
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        thread::sleep(Duration::from_millis(20));
    };
    (tiny, child, script)
}

/// Takes as long as two builds of paceline-host. [Decision 27](../docs/decisions/0027-programs-run-from-memory.md) has
/// the command and what came of it.
#[test]
#[ignore = "builds paceline-host twice"]
fn the_host_of_paceline_has_the_same_bytes_wherever_it_is_built() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        let project = Project::here(Path::new(&folder), None, None).unwrap();
        let revision = env::var("PACELINE_TEST_REVISION").unwrap();
        let built = project.build(&project.resolve(&revision).unwrap(), false, &|_| ()).unwrap();
        assert!(!built.cached, "it must be built here");
        println!("\nbuilt: {}", built.side.program_sha256);
        return;
    }
    let test = "the_host_of_paceline_has_the_same_bytes_wherever_it_is_built";
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // One revision for both, whatever is edited meanwhile.
    let revision = git(here, &["rev-parse", "HEAD"]);
    let top = tempfile::tempdir().unwrap();
    let target = top.path().join("target");
    let hash_at = |place: &str| {
        let place = top.path().join(place);
        fs::create_dir_all(&place).unwrap();
        let mut child = again(test, here);
        child.env("PACELINE_TEST_REVISION", &revision);
        // Sides are checked out below the folder for temporary files.
        child.arg("--ignored").env("TMPDIR", &place).env("CARGO_TARGET_DIR", &target);
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let hash = said.lines().find_map(|line| line.strip_prefix("built: ")).map(str::to_owned);
        // Dependencies stay compiled.
        fs::remove_dir_all(target.join("gate/programs")).unwrap();
        hash.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
    };
    assert_eq!(hash_at("a"), hash_at("a-folder/whose/path-is-longer"));
}

/// What `again` does for such a test.
fn build_in(folder: &Path) {
    interrupt::watch().unwrap();
    let project = Project::here(folder, None, None).unwrap();
    let source = project.resolve("HEAD").unwrap();
    let error = project.build(&source, false, &|line| println!("cargo: {line}")).unwrap_err();
    println!("\nended: {:?} {}", error.exit, error.exit.code());
}

/// Whether a process is dead, though perhaps not yet waited for by whoever adopted it.
fn is_dead(id: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero()));
    test_kill_process(id).is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn ctrl_c_ends_cargo_with_all_that_it_started_and_leaves_no_worktree() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        return build_in(Path::new(&folder));
    }
    let test = "ctrl_c_ends_cargo_with_all_that_it_started_and_leaves_no_worktree";
    let (tiny, mut child, script) = hanging_build(test);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let said: Vec<_> = lines.collect();
    child.wait().unwrap();
    assert!(said.iter().any(|line| line == "ended: Interrupted 130"), "{said:?}");
    assert!(is_dead(script), "the build script still runs");
    tiny.no_worktree_is_left();
}

#[test]
fn a_gate_that_is_killed_leaves_no_cargo_and_the_next_one_clears_its_worktree_away() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        return build_in(Path::new(&folder));
    }
    let test = "a_gate_that_is_killed_leaves_no_cargo_and_the_next_one_clears_its_worktree_away";
    let (tiny, mut child, script) = hanging_build(test);
    child.kill().unwrap();
    child.wait().unwrap();
    for _ in 0..6_000 {
        if is_dead(script) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert!(is_dead(script), "the build script still runs");
    assert_eq!(said_by(&tiny.build("HEAD~1").unwrap()), "one");
    tiny.no_worktree_is_left();
}

#[test]
fn the_same_program_of_two_trees_says_whether_the_change_could_have_reached_it() {
    let tiny = Tiny::new();
    let same = |base: &str| {
        let project = tiny.project();
        let sources = [project.resolve(base).unwrap(), project.working_tree().unwrap()];
        let built = sources.each_ref().map(|of| project.build(of, false, &|_| ()).unwrap());
        project.same_program((&sources[0], &built[0]), (&sources[1], &built[1])).unwrap()
    };
    assert_eq!(same("HEAD").unwrap().sameness, Sameness::SameSource);
    tiny.write("README.md", "what it is\n");
    tiny.write("tests/it.rs", "#[test]\nfn it() {}\n");
    let docs = same("HEAD").unwrap();
    assert_eq!(docs.sameness, Sameness::Unreachable);
    assert!(docs.why.contains("README.md, tests/it.rs, which no build reads"), "{}", docs.why);
    tiny.write("benches/small.json", "[]");
    // Each side has its own files: with other data the same program is another side.
    assert_eq!(same("HEAD"), None);
    tiny.write("src/lib.rs", "// Said.\npub fn said() -> &'static str { \"one\" }\n");
    let comment = same("HEAD").unwrap();
    assert_eq!(comment.sameness, Sameness::Unreached);
    assert!(comment.why.contains("benches/small.json"), "{}", comment.why);
    assert!(comment.why.contains("a file that is read while a cell runs"), "{}", comment.why);
    tiny.says("two");
    assert_eq!(same("HEAD"), None);
}

#[test]
fn a_file_is_read_as_a_revision_has_it_and_not_as_the_folder_does() {
    let tiny = Tiny::without_commit("inner");
    tiny.write("gate.toml", "margin = \"2%\"\n");
    tiny.commit("one");
    tiny.write("gate.toml", "margin = \"5%\"\n");
    let project = tiny.project();
    let read = |source: &Source| project.file_of(source, "gate.toml").unwrap();
    let base = project.resolve("HEAD").unwrap();
    assert_eq!(read(&base).as_deref(), Some("margin = \"2%\""));
    let head = project.working_tree().unwrap();
    assert_eq!(read(&head).as_deref(), Some("margin = \"5%\""));
    assert_eq!(project.file_of(&base, "none.toml").unwrap(), None);
    assert_eq!(read(&project.resolve("/bin/true").unwrap()), None);
}

#[test]
fn of_paceline_the_hosts_alone_are_built_and_a_change_elsewhere_affects_nothing() {
    let tiny = Tiny::without_commit("");
    let package = |name: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
    };
    let workspace =
        "[workspace]\nmembers = [\"core\"]\n[profile.release]\ndebug = \"line-tables-only\"\n";
    tiny.write("Cargo.toml", &format!("{workspace}{}", package("paceline")));
    tiny.write("core/Cargo.toml", &package("paceline-core"));
    let says = |word: &str| {
        let main = format!("fn main() {{ println!(\"{word}\"); }}\n");
        tiny.write("core/src/bin/paceline-host.rs", &main);
    };
    says("one");
    tiny.commit("one");
    tiny.says("a new report");
    tiny.commit("two");
    says("two");
    tiny.commit("three");
    let project = tiny.project();
    let built = |name: &str| {
        let source = project.resolve(name).unwrap();
        let built = project.build(&source, false, &|_| ()).unwrap();
        (source, built)
    };
    let [one, two, three] = ["HEAD~2", "HEAD~1", "HEAD"].map(built);
    assert_eq!([&one.1, &three.1].map(said_by), ["one", "two"]);
    let same = project.same_program((&one.0, &one.1), (&two.0, &two.1)).unwrap().unwrap();
    assert_eq!(same.sameness, Sameness::NotAffected);
    assert!(
        same.why.starts_with("not affected: base and head differ in src/lib.rs"),
        "{}",
        same.why
    );
    assert!(project.same_program((&two.0, &two.1), (&three.0, &three.1)).unwrap().is_none());
    // The base's copy is a file of the same bytes, and takes no third build.
    let nothing_is_built = |line: &str| assert!(!line.contains("Compiling"), "{line}");
    let copy = project.build(&one.0, true, &nothing_is_built).unwrap();
    assert_eq!(copy.side.program_sha256, one.1.side.program_sha256);
    assert!(copy.program != one.1.program && copy.side.about.starts_with("a copy of commit "));
}

/// A bench that says what it finds where it runs.
const LOOKS: &str = "fn main() { println!(\"{} {}\", std::fs::read_to_string(\"data.txt\").unwrap().trim(), cfg!(debug_assertions)); }\n";

fn said_in_its_folder(built: &Built) -> String {
    let mut program = Command::new(&built.program);
    let output = program.current_dir(built.folder.as_ref().unwrap()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn each_side_has_its_own_settings_of_cargo_and_its_own_files() {
    let tiny = Tiny::without_commit("");
    tiny.write("benches/gate.rs", LOOKS);
    tiny.write("data.txt", "small\n");
    tiny.commit("one");
    tiny.write("data.txt", "large\n");
    tiny.write(
        ".cargo/config.toml",
        "[net]\noffline = true\n[profile.bench]\ndebug-assertions = true\n",
    );
    tiny.commit("two");
    let [base, head] = ["HEAD~1", "HEAD"].map(|name| tiny.build(name).unwrap());
    assert_eq!([&base, &head].map(said_in_its_folder), ["small false", "large true"]);
    // Also from what is kept.
    let again = tiny.build("HEAD~1").unwrap();
    assert_eq!((again.cached, said_in_its_folder(&again)), (true, "small false".into()));
    tiny.no_worktree_is_left();
}

#[test]
fn each_side_starts_its_own_programs() {
    let tiny = Tiny::without_commit("");
    let bench = "fn main() {\n    for tool in [env!(\"CARGO_BIN_EXE_tool\"), \"target/release/tool\"] {\n        let said = std::process::Command::new(tool).output().unwrap().stdout;\n        print!(\"{}\", String::from_utf8(said).unwrap());\n    }\n}\n";
    tiny.write("benches/gate.rs", bench);
    let says = |word: &str| {
        tiny.write("src/bin/tool.rs", &format!("fn main() {{ print!(\"{word} \"); }}\n"));
        tiny.commit(word);
    };
    says("one");
    says("two");
    let [base, head] = ["HEAD~1", "HEAD"].map(|name| tiny.build(name).unwrap());
    assert_eq!([&base, &head].map(said_in_its_folder), ["one one", "two two"]);
}

#[test]
fn what_is_not_committed_leaves_no_object_in_the_repository() {
    let tiny = Tiny::new();
    tiny.write(".env", "SECRET=1\n");
    tiny.write("results/an-earlier-gate/run.json", "{}");
    let objects = || tiny.git(&["count-objects", "-v"]);
    let before = objects();
    let project = tiny.project();
    let source = project.working_tree().unwrap();
    assert!(source.about.ends_with("not committed to .env"), "{}", source.about);
    // Nor are records in a folder of the project that a gate was run in.
    tiny.write("src/results/an-earlier-gate/run.json", "{}");
    let inner = Project::here(&tiny.folder.join("src"), None, None).unwrap();
    assert_eq!(inner.working_tree().unwrap().about, source.about);
    fs::remove_dir_all(tiny.folder.join("src/results")).unwrap();
    let built = project.build(&source, false, &|_| ()).unwrap();
    assert_eq!(said_by(&built), "one");
    assert_eq!(objects(), before);
    drop(project);
    let left = fs::read_dir(tiny.folder.join("target/gate")).unwrap().flatten();
    let left: Vec<_> =
        left.filter(|e| e.file_name().to_string_lossy().contains("objects")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_package_beside_the_repository_is_found_and_its_content_counts() {
    let tiny = Tiny::at("project");
    fs::remove_dir_all(tiny.top.path().join(".git")).unwrap();
    let git = |args: &[&str]| git(&tiny.folder, args);
    tiny.write(
        "../beside/Cargo.toml",
        &MANIFEST
            .replace("tiny", "beside")
            .replace("[[bench]]\nname = \"gate\"\nharness = false\n", ""),
    );
    tiny.write("../beside/src/lib.rs", "pub const WORD: &str = \"first\";\n");
    let dependency = "[dependencies]\nbeside = { path = \"../beside\" }\n";
    tiny.write("Cargo.toml", &format!("{MANIFEST}{dependency}"));
    tiny.write("benches/gate.rs", "fn main() { println!(\"{}\", beside::WORD); }\n");
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "one"]);
    assert_eq!(said_by(&tiny.build("HEAD").unwrap()), "first");
    tiny.write("../beside/src/lib.rs", "pub const WORD: &str = \"second\";\n");
    assert_eq!(said_by(&tiny.build("HEAD").unwrap()), "second");
}

#[test]
fn a_package_outside_the_repository_is_compiled_once_for_both_sides() {
    let beside = tempfile::tempdir().unwrap();
    let at = beside.path().canonicalize().unwrap();
    let write = |word: &str| {
        fs::create_dir_all(at.join("src")).unwrap();
        let manifest = "[package]\nname = \"beside\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
        fs::write(at.join("Cargo.toml"), manifest).unwrap();
        let code = format!("pub const WORD: &str = \"{word}\";\n");
        fs::write(at.join("src/lib.rs"), code).unwrap();
    };
    let tiny = Tiny::new();
    write("first");
    tiny.write("Cargo.toml", &format!("{MANIFEST}[dependencies]\nbeside = {{ path = {at:?} }}\n"));
    let bench = |end: &str| {
        let code = format!("fn main() {{ println!(\"{{}} {end}\", beside::WORD); }}\n");
        tiny.write("benches/gate.rs", &code);
        tiny.commit(end);
    };
    bench("one");
    bench("two");
    let project = tiny.project();
    let lines = RefCell::new(Vec::new());
    let build = |text: &str, copy: bool| {
        let source = project.resolve(text).unwrap();
        let built = project.build(&source, copy, &|line| lines.borrow_mut().push(line.to_owned()));
        said_by(&built.unwrap())
    };
    let said = [build("HEAD~1", false), build("HEAD", false), build("HEAD~1", true)];
    assert_eq!(said, ["first one", "first two", "first one"]);
    let compiled = |name: &str| {
        let start = format!("Compiling {name} ");
        lines.borrow().iter().filter(|line| line.starts_with(&start)).count()
    };
    assert_eq!((compiled("beside"), compiled("tiny")), (1, 3), "{:?}", lines.borrow());
    write("second");
    assert_eq!(build("HEAD", false), "second two");
}

#[test]
fn a_submodule_is_part_of_a_side() {
    let other = tempfile::tempdir().unwrap();
    let sub = |args: &[&str]| git(other.path(), args);
    sub(&["init", "-q", "-b", "main"]);
    let manifest = "[package]\nname = \"sub\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    fs::create_dir(other.path().join("src")).unwrap();
    fs::write(other.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(other.path().join("src/lib.rs"), "pub const WORD: &str = \"sub\";\n").unwrap();
    sub(&["add", "-A"]);
    sub(&["commit", "-qm", "one"]);
    let tiny = Tiny::without_commit("");
    let url = other.path().to_str().unwrap();
    tiny.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub"]);
    tiny.write("Cargo.toml", &format!("{MANIFEST}[dependencies]\nsub = {{ path = \"sub\" }}\n"));
    tiny.write("benches/gate.rs", "fn main() { println!(\"{}\", sub::WORD); }\n");
    tiny.commit("one");
    assert_eq!(said_by(&tiny.build("HEAD").unwrap()), "sub");
}

#[test]
fn a_name_that_is_a_program_and_a_revision_is_taken_for_neither() {
    let tiny = Tiny::new();
    tiny.git(&["branch", "run2"]);
    tiny.write("run2", "#!/bin/sh\n");
    fs::set_permissions(tiny.folder.join("run2"), fs::Permissions::from_mode(0o755)).unwrap();
    let said = tiny.project().resolve("run2").unwrap_err().message;
    assert!(said.contains("write ./run2 for the program, or "), "{said}");
    assert!(tiny.project().resolve("./run2").is_ok());
}
