//! The gate's two sides, from what a user types to built programs: with real git and cargo, on tiny projects.

mod executable;
#[path = "gate_build/at_once.rs"]
mod at_once;
#[path = "gate_build/dependencies.rs"]
mod dependencies;
#[path = "gate_build/layouts.rs"]
mod layouts;
#[path = "gate_build/processes.rs"]
mod processes;
#[path = "gate_build/settings.rs"]
mod settings;

use std::{
    cell::RefCell,
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use paceline::{
    gate::{
        build::{Built, Exit, GateError, note_same_program},
        source::{Project, WORKING_TREE},
    },
    record::SameProgram,
};
use tempfile::TempDir;

const MANIFEST: &str = "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[[bench]]\nname = \"gate\"\nharness = false\n";

fn package(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
}

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

    fn build(&self, text: &str) -> Result<Built, GateError> {
        let project = self.project();
        project.build(&project.resolve(text)?, false, &|_| ())
    }

    fn build_working_tree(&self) -> Result<Built, GateError> {
        let project = self.project();
        project.build(&project.working_tree()?, false, &|_| ())
    }

    /// Why a revision's program is also that of another revision, or of the working tree.
    fn same(&self, base: &str, head: Option<&str>) -> Option<SameProgram> {
        let project = self.project();
        let head = head.map_or_else(|| project.working_tree(), |head| project.resolve(head));
        let sources = [project.resolve(base).unwrap(), head.unwrap()];
        let built = sources.each_ref().map(|of| project.build(of, false, &|_| ()).unwrap());
        project.same_program((&sources[0], &built[0]), (&sources[1], &built[1])).unwrap()
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
fn usage(result: Result<Built, GateError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.exit, Exit::Usage, "{error}");
    assert!(!error.message.starts_with(char::is_uppercase), "{error}");
    error.message
}

/// This very test in a process of its own, in which a signal or another environment does no harm.
fn again(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("PACELINE_TEST_FOLDER", folder);
    command
}

/// Writes a script that can be executed.
fn script(path: &Path, text: &str) {
    executable::write(path, &format!("#!/bin/sh\n{text}\n"));
}

/// The path of a program that is installed.
fn installed(program: &str) -> String {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().trim().to_owned()
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
fn a_name_that_is_a_branch_and_a_tag_is_neither() {
    let tiny = Tiny::new();
    tiny.git(&["tag", "main"]);
    tiny.git(&["config", "core.warnAmbiguousRefs", "false"]);
    let said = usage(tiny.build("main"));
    assert!(said.starts_with("`main` has several meanings to git: write "), "{said}");
    tiny.build("heads/main").unwrap();
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
fn a_name_that_is_a_program_and_a_revision_is_taken_for_neither() {
    let tiny = Tiny::new();
    tiny.git(&["branch", "run2"]);
    script(&tiny.folder.join("run2"), "");
    let said = tiny.project().resolve("run2").unwrap_err().message;
    assert!(said.contains("write ./run2 for the program, or "), "{said}");
    assert!(tiny.project().resolve("./run2").is_ok());
}
