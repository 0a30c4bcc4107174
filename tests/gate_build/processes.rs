//! Builds that are interrupted or killed, what earlier gates left, and tests in processes of their own.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use paceline::gate::source::Project;
use paceline_core::interrupt;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{Tiny, again, git, installed, said_by, script};

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
    let users = users.path().canonicalize().unwrap().join("own");
    tiny.git(&["worktree", "add", "-q", "--detach", users.to_str().unwrap()]);
    fs::remove_dir_all(&users).unwrap();
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let gate = tiny.folder.join("target/gate");
    let left = ["objects-", "index-"].map(|name| gate.join(format!("{name}{}", ended.id())));
    fs::create_dir(&left[0]).unwrap();
    fs::write(&left[1], "secret").unwrap();
    tiny.says("two");
    tiny.build_working_tree().unwrap();
    assert!(!stale.exists() && !left[0].exists() && !left[1].exists());
    let left = tiny.git(&["worktree", "list", "--porcelain"]);
    assert!(left.contains(users.to_str().unwrap()), "the user's own is not ours to forget: {left}");
    tiny.git(&["worktree", "remove", "--force", users.to_str().unwrap()]);
    tiny.no_worktree_is_left();
}

#[test]
fn what_a_killed_run_left_is_cleared_away_where_the_folder_for_temporary_files_is_a_link() {
    let place = tempfile::tempdir().unwrap();
    let [real, link] = ["real", "link"].map(|name| place.path().join(name));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let mut test = again("processes::what_a_killed_run_left_is_cleared_away", &link);
    let output = test.env("TMPDIR", &link).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
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

/// A process that uses the side of the last commit until it is killed, and the side's folder and program. `test` is the
/// one that asks, and calls `use_side` in that process.
fn gate_that_uses(test: &str, tiny: &Tiny) -> (Child, [PathBuf; 2]) {
    let mut child = again(test, &tiny.folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let places = ["folder: ", "program: "]
        .map(|what| lines.find_map(|line| line.strip_prefix(what).map(PathBuf::from)).unwrap());
    (child, places)
}

fn use_side(folder: &Path) {
    let project = Project::here(folder, None, None).unwrap();
    let built = project.build(&project.resolve("HEAD").unwrap(), false, &|_| ()).unwrap();
    let (folder, program) = (built.folder.unwrap(), built.program);
    println!("\nfolder: {}\nprogram: {}", folder.display(), program.display());
    thread::sleep(Duration::from_mins(10));
}

#[test]
fn gates_that_run_at_once_have_a_folder_each_and_a_later_one_takes_the_first_again() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        return use_side(Path::new(&folder));
    }
    let test = "processes::gates_that_run_at_once_have_a_folder_each_and_a_later_one_takes_the_first_again";
    let tiny = Tiny::new();
    let mut gates = [(); 2].map(|()| gate_that_uses(test, &tiny));
    let [(_, [first, first_program]), (_, [second, second_program])] = &gates;
    assert!(first != second && first_program != second_program, "{gates:?}");
    assert!([first, second].iter().all(|folder| folder.join("Cargo.toml").is_file()));
    let first = first.clone();
    for (gate, _) in &mut gates {
        gate.kill().unwrap();
        gate.wait().unwrap();
    }
    assert_eq!(tiny.build("HEAD").unwrap().folder, Some(first));
}

#[test]
fn sides_of_a_project_that_is_no_more_are_cleared_away_once_no_gate_uses_them() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        return use_side(Path::new(&folder));
    }
    let test =
        "processes::sides_of_a_project_that_is_no_more_are_cleared_away_once_no_gate_uses_them";
    let sides_of = |side: PathBuf| side.parent().unwrap().parent().unwrap().to_path_buf();
    let sides = |tiny: &Tiny| sides_of(tiny.build("HEAD").unwrap().folder.unwrap());
    let (gone, stays) = (Tiny::new(), Tiny::new());
    let ((mut gate, [of_gone, _]), of_stays) = (gate_that_uses(test, &gone), sides(&stays));
    let of_gone = sides_of(of_gone);
    assert!(of_gone.is_dir() && of_stays.is_dir());
    drop(gone);
    // Another gate is just writing the name of its project.
    let begun = of_stays.with_file_name("begun-by-a-test");
    fs::create_dir_all(&begun).unwrap();
    fs::write(begun.join("project"), "").unwrap();
    // In another container, a target folder has another path. Kept until the end: the other tests clear away as well.
    let last = Tiny::new();
    assert!(sides(&last).is_dir() && of_gone.is_dir());
    gate.kill().unwrap();
    gate.wait().unwrap();
    last.says("two");
    last.commit("two");
    let next = sides(&last);
    assert!(next.is_dir() && of_stays.is_dir() && begun.is_dir() && !of_gone.exists());
    fs::remove_dir_all(begun).unwrap();
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
        std::os::unix::fs::symlink(installed(tool), path.path().join(tool)).unwrap();
    }
    let mut child = again("processes::without_git_it_is_said_what_to_install", &tiny.folder);
    let said = child.env("PATH", path.path()).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("said: `git` was not found; install it"), "{said}");
}

#[test]
fn where_git_fails_the_working_tree_is_not_taken_for_its_commit() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        let tree = Project::here(Path::new(&folder), None, None).unwrap().working_tree();
        println!("\nsaid: {}", tree.map_or_else(|error| error.message, |tree| tree.about));
        return;
    }
    let (tiny, place) = (Tiny::new(), tempfile::tempdir().unwrap());
    tiny.says("two");
    let path = format!("{}:{}", place.path().display(), env::var("PATH").unwrap());
    let git = installed("git");
    let is_missed = |step: &&str| {
        let fails = format!("case \" $* \" in *' {step} '*) echo fatal: no >&2; exit 1;; esac");
        script(&place.path().join("git"), &format!("{fails}\nexec {git} \"$@\""));
        let test = "processes::where_git_fails_the_working_tree_is_not_taken_for_its_commit";
        let output = again(test, &tiny.folder).env("PATH", &path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        !said.contains("said: git cannot read the working tree: fatal: no")
    };
    let steps = ["ls-files", "add", "diff-files", "write-tree", "diff-tree", "commit-tree"];
    let missed: Vec<_> = steps.into_iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

/// A process that builds a project whose build script hangs, and that script. `test` is the one that asks.
fn hanging_build(test: &str) -> (Tiny, Child, Pid) {
    let tiny = Tiny::new();
    let pid = tiny.folder.join("target/pid");
    let file = pid.to_str().unwrap();
    let write = format!("std::fs::write({file:?}, std::process::id().to_string()).unwrap();");
    let sleep = "std::thread::sleep(std::time::Duration::from_mins(10));";
    tiny.write(
        "build.rs",
        &format!("fn main() {{ {write} println!(\"cargo::warning=x\"); {sleep} }}"),
    );
    tiny.commit("slow");
    let mut child = again(test, &tiny.folder).stdout(Stdio::piped()).spawn().unwrap();
    let script = script_of(&mut child, &pid);
    (tiny, child, script)
}

/// The build script that writes its id to a file while `child` builds.
pub(super) fn script_of(child: &mut Child, file: &Path) -> Pid {
    loop {
        if let Some(id) = fs::read_to_string(file).ok().and_then(|text| text.parse().ok()) {
            return Pid::from_raw(id).unwrap();
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Takes as long as two builds of paceline-host. [Decision 27](../../docs/decisions/0027-programs-run-from-memory.md) has
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
    let test = "processes::the_host_of_paceline_has_the_same_bytes_wherever_it_is_built";
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // One revision for both, whatever is edited meanwhile.
    let revision = git(here, &["rev-parse", "HEAD"]);
    let top = tempfile::tempdir().unwrap();
    let hash_at = |place: &str| {
        let place = top.path().join(place);
        fs::create_dir_all(&place).unwrap();
        let mut child = again(test, here);
        child.env("PACELINE_TEST_REVISION", &revision);
        // Sides are checked out below the folder for temporary files, and compiled below the target folder.
        child.arg("--ignored").env("TMPDIR", &place).env("CARGO_TARGET_DIR", place.join("target"));
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let hash = said.lines().find_map(|line| line.strip_prefix("built: ")).map(str::to_owned);
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

/// Returns whether a process has ended. Its new parent may not have reaped it yet.
pub(super) fn is_dead(id: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero()));
    test_kill_process(id).is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn ctrl_c_ends_cargo_with_all_that_it_started_and_leaves_no_worktree() {
    if let Some(folder) = env::var_os("PACELINE_TEST_FOLDER") {
        return build_in(Path::new(&folder));
    }
    let test = "processes::ctrl_c_ends_cargo_with_all_that_it_started_and_leaves_no_worktree";
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
    let test = "processes::a_gate_that_is_killed_leaves_no_cargo_and_the_next_one_clears_its_worktree_away";
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
