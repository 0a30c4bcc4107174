//! Where packages are, which files each side has, and whether a change could have reached the program.

use std::{cell::RefCell, fs, process::Command};

use paceline::{
    gate::{
        build::Built,
        source::{Project, Source},
    },
    record::Sameness,
};

use super::{MANIFEST, Tiny, git, package, said_by, script, usage};

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
fn a_file_that_git_was_told_to_take_for_unchanged_is_as_it_is_in_the_folder() {
    let tiny = Tiny::new();
    for (mark, word) in [("--assume-unchanged", "two"), ("--skip-worktree", "three")] {
        tiny.git(&["update-index", mark, "src/lib.rs"]);
        tiny.says(word);
        assert_eq!(tiny.git(&["status", "--porcelain"]), "", "git does not look at it");
        let built = tiny.build_working_tree().unwrap();
        assert_eq!(said_by(&built), word);
        assert!(built.side.about.ends_with("not committed to src/lib.rs"), "{}", built.side.about);
        tiny.git(&["update-index", &mark.replace("--", "--no-"), "src/lib.rs"]);
        tiny.git(&["checkout", "-q", "src/lib.rs"]);
    }
    // A file system monitor that misses changes.
    let monitor = tiny.folder.join("target/monitor");
    script(&monitor, "printf 'token\\0'");
    tiny.git(&["config", "core.fsmonitor", monitor.to_str().unwrap()]);
    tiny.git(&["update-index", "--fsmonitor"]);
    tiny.git(&["status"]);
    tiny.says("four");
    assert_eq!(tiny.git(&["status", "--porcelain"]), "", "git does not look at it");
    assert_eq!(said_by(&tiny.build_working_tree().unwrap()), "four");
    tiny.git(&["config", "--unset", "core.fsmonitor"]);
    tiny.git(&["checkout", "-q", "src/lib.rs"]);
    // As a sparse checkout leaves it out.
    tiny.write("data.txt", "data");
    tiny.commit("two");
    tiny.git(&["update-index", "--skip-worktree", "data.txt"]);
    fs::remove_file(tiny.folder.join("data.txt")).unwrap();
    assert!(!tiny.project().working_tree().unwrap().about.contains("not committed"));
}

#[test]
fn a_cache_that_a_commit_brought_is_not_used() {
    let tiny = Tiny::new();
    tiny.write("target/gate/programs/key/program", "not what the base is built to");
    tiny.git(&["add", "--force", "target"]);
    tiny.commit("a program for the base");
    let said = usage(tiny.build("HEAD~1"));
    assert!(said.starts_with("git tracks files in target/gate, where the gate keeps"), "{said}");
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
    let of = |revision| usage(project.build(&project.resolve(revision).unwrap(), false, &|_| ()));
    let lacks = |revision| {
        format!(
            "the revision `{revision}` has no bench `second` in the package tiny: commit the bench, and gate later changes \
             against that commit"
        )
    };
    assert_eq!(of("HEAD~1"), lacks("HEAD~1"));
    // Its entry in Cargo.toml was committed without it.
    let entry = "[[bench]]\nname = \"second\"\nharness = false\n";
    tiny.write("Cargo.toml", &format!("{MANIFEST}{entry}"));
    fs::remove_file(tiny.folder.join("benches/second.rs")).unwrap();
    tiny.commit("entry");
    tiny.write("benches/second.rs", "fn main() {}\n");
    assert_eq!(of("HEAD"), lacks("HEAD"));
    tiny.no_worktree_is_left();
}

#[test]
fn the_same_program_of_two_trees_says_whether_the_change_could_have_reached_it() {
    let tiny = Tiny::new();
    let same = |base: &str| tiny.same(base, None);
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
fn a_file_of_a_package_that_moved_is_read_where_a_revision_has_the_package() {
    let tiny = Tiny::at("old");
    tiny.write("gate.toml", "margin = \"1%\"\n");
    tiny.commit("one");
    tiny.git(&["mv", "old", "new"]);
    tiny.git(&["commit", "-qm", "moved, and with other margins"]);
    let new = Tiny { folder: tiny.folder.with_file_name("new"), ..tiny };
    new.write("gate.toml", "margin = \"90%\"\n");
    let project = new.project();
    let base = project.resolve("HEAD~1").unwrap();
    let read = project.file_of(&base, "gate.toml").unwrap();
    assert_eq!(read.as_deref(), Some("margin = \"1%\""));
}

#[test]
fn a_head_with_another_bench_is_named_wherever_the_bench_is() {
    let tiny = Tiny::at("old");
    tiny.says("two");
    tiny.commit("two");
    let other = |tiny: &Tiny| {
        let project = tiny.project();
        let [base, head] = ["HEAD~1", "HEAD"].map(|name| project.resolve(name).unwrap());
        project.other_bench(&base, &head).unwrap()
    };
    assert_eq!(other(&tiny), None);
    tiny.git(&["mv", "old", "new"]);
    let tiny = Tiny { folder: tiny.folder.with_file_name("new"), ..tiny };
    tiny.commit("moved");
    assert_eq!(other(&tiny), None);
    tiny.write("benches/gate.rs", "fn main() {}\n");
    tiny.write("benches/small.json", "[]");
    tiny.commit("three");
    let said = other(&tiny).unwrap();
    assert!(
        said.starts_with("the head has another benches/gate.rs, benches/small.json, so"),
        "{said}"
    );
    tiny.git(&["mv", "new/benches/gate.rs", "new/perf.rs"]);
    tiny.write("Cargo.toml", &MANIFEST.replace("[[bench]]\n", "[[bench]]\npath = \"perf.rs\"\n"));
    tiny.commit("elsewhere");
    tiny.write("perf.rs", "fn main() { println!(); }\n");
    tiny.commit("four");
    assert!(other(&tiny).unwrap().starts_with("the head has another perf.rs, so"));
}

#[test]
fn of_paceline_the_hosts_alone_are_built_and_a_change_elsewhere_affects_nothing() {
    let tiny = Tiny::without_commit("");
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
    let [one, three] = ["HEAD~2", "HEAD"].map(|name| tiny.build(name).unwrap());
    assert_eq!([&one, &three].map(said_by), ["one", "two"]);
    let same = tiny.same("HEAD~2", Some("HEAD~1")).unwrap();
    assert_eq!(same.sameness, Sameness::NotAffected);
    assert!(
        same.why.starts_with("not affected: base and head differ in src/lib.rs"),
        "{}",
        same.why
    );
    assert_eq!(tiny.same("HEAD~1", Some("HEAD")), None);
    // The base's copy is a file of the same bytes, and takes no third build.
    let nothing_is_built = |line: &str| assert!(!line.contains("Compiling"), "{line}");
    let project = tiny.project();
    let copy = project.build(&project.resolve("HEAD~2").unwrap(), true, &nothing_is_built).unwrap();
    assert_eq!(copy.side.program_sha256, one.side.program_sha256);
    assert!(copy.program != one.program && copy.side.about.starts_with("a copy of commit "));
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
fn a_side_that_is_kept_is_as_it_was_built_whatever_its_cells_wrote() {
    let tiny = Tiny::without_commit("");
    tiny.write("benches/gate.rs", LOOKS);
    tiny.write("data.txt", "small\n");
    tiny.commit("one");
    let built = tiny.build("HEAD").unwrap();
    let at = |name: &str| built.folder.as_ref().unwrap().join(name);
    fs::write(at("data.txt"), "as a cell wrote it").unwrap();
    fs::write(at("cache"), "for the next gate").unwrap();
    let again = tiny.build("HEAD").unwrap();
    assert_eq!((again.cached, said_in_its_folder(&again)), (true, "small false".into()));
    assert!(again.folder == built.folder && !at("cache").exists());
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
fn the_same_bench_with_another_program_that_it_starts_is_another_side() {
    let tiny = Tiny::without_commit("");
    let bench = |tool: &str| {
        let call = format!("std::process::Command::new(\"target/release/{tool}\")");
        tiny.write("benches/gate.rs", &format!("fn main() {{ let _ = {call}.status(); }}\n"));
    };
    let says = |word: &str| {
        tiny.write("src/bin/tool.rs", &format!("fn main() {{ print!(\"{word}\"); }}\n"));
        tiny.commit(word);
    };
    let same = || {
        let hash = |name| tiny.build(name).unwrap().side.program_sha256;
        assert_eq!(hash("HEAD~1"), hash("HEAD"));
        tiny.same("HEAD~1", Some("HEAD"))
    };
    bench("tool");
    says("one");
    says("two");
    assert_eq!(same(), None);
    // One that no cell starts is not measured.
    bench("none");
    says("three");
    says("four");
    assert_eq!(same().unwrap().sameness, Sameness::Unreached);
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
    git(&["init", "-q", "-b", "main"]);
    tiny.write("../beside/Cargo.toml", &package("beside"));
    tiny.write("benches/gate.rs", "fn main() { println!(\"{}\", beside::WORD); }\n");
    for (dependency, words) in [
        ("[dependencies]\nbeside = { path = \"../beside\" }\n", ["first", "second"]),
        (
            "[dependencies]\nbeside = \"0.1\"\n[patch.crates-io]\nbeside.path = \"../beside\"\n",
            ["third", "fourth"],
        ),
    ] {
        tiny.write("Cargo.toml", &format!("{MANIFEST}{dependency}"));
        git(&["add", "-A"]);
        git(&["commit", "-qm", "depends"]);
        for word in words {
            let text = format!("pub const WORD: &str = \"{word}\";\n");
            tiny.write("../beside/src/lib.rs", &text);
            assert_eq!(said_by(&tiny.build("HEAD").unwrap()), word);
        }
    }
}

#[test]
fn a_package_outside_the_repository_is_compiled_once_for_both_sides() {
    let beside = tempfile::tempdir().unwrap();
    let at = beside.path().canonicalize().unwrap();
    let write = |word: &str| {
        fs::create_dir_all(at.join("src")).unwrap();
        fs::write(at.join("Cargo.toml"), package("beside")).unwrap();
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
fn a_submodule_is_part_of_a_side_with_its_own_submodules_and_whatever_its_attributes_are() {
    const WITH_FILES: [&str; 4] = ["-c", "protocol.file.allow=always", "submodule", "--quiet"];
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [inner, other] = folders.each_ref().map(tempfile::TempDir::path);
    git(inner, &["init", "-q", "-b", "main"]);
    fs::write(inner.join("word.txt"), "inner").unwrap();
    git(inner, &["add", "-A"]);
    git(inner, &["commit", "-qm", "one"]);
    let sub = |args: &[&str]| git(other, args);
    sub(&["init", "-q", "-b", "main"]);
    fs::create_dir(other.join("src")).unwrap();
    fs::write(other.join("Cargo.toml"), package("sub")).unwrap();
    // An archive of it would lack this file.
    fs::write(other.join(".gitattributes"), "word.txt export-ignore\n").unwrap();
    fs::write(other.join("word.txt"), "sub").unwrap();
    let words = "[include_str!(\"../word.txt\"), include_str!(\"../inner/word.txt\")]";
    let lib = format!("pub const WORDS: [&str; 2] = {words};\n");
    fs::write(other.join("src/lib.rs"), lib).unwrap();
    sub(&[&WITH_FILES[..], &["add", inner.to_str().unwrap(), "inner"]].concat());
    sub(&["add", "-A"]);
    sub(&["commit", "-qm", "one"]);
    let tiny = Tiny::without_commit("");
    tiny.git(&[&WITH_FILES[..], &["add", other.to_str().unwrap(), "sub"]].concat());
    tiny.git(&[&WITH_FILES[..], &["update", "--init", "--recursive"]].concat());
    tiny.write("Cargo.toml", &format!("{MANIFEST}[dependencies]\nsub = {{ path = \"sub\" }}\n"));
    tiny.write("benches/gate.rs", "fn main() { println!(\"{}\", sub::WORDS.join(\" \")); }\n");
    tiny.commit("one");
    assert_eq!(said_by(&tiny.build("HEAD").unwrap()), "sub inner");
    // What is not committed in it would be in no side, and the working tree would seem to be its commit.
    tiny.write("sub/notes.txt", "neither tracked nor read");
    assert!(tiny.project().working_tree().is_ok());
    for file in ["sub/word.txt", "sub/inner/word.txt"] {
        let committed = fs::read_to_string(tiny.folder.join(file)).unwrap();
        tiny.write(file, "another");
        let said = tiny.project().working_tree().unwrap_err().message;
        assert!(said.starts_with("the submodule sub has changes that are not committed"), "{said}");
        tiny.write(file, &committed);
    }
    tiny.says("two");
    tiny.commit("two");
    git(&tiny.folder.join("sub"), &["submodule", "--quiet", "deinit", "--force", "inner"]);
    // Its folder is empty, as in the user's own builds.
    let said = usage(tiny.build("HEAD"));
    assert!(said.contains("does not build") && said.contains("inner/word.txt"), "{said}");
    tiny.git(&["submodule", "--quiet", "deinit", "--force", "sub"]);
    let said = usage(tiny.build("HEAD"));
    assert!(said.starts_with("the submodule sub is not here: run"), "{said}");
}
