//! Dependencies at versions, set in a lock file of the side.

use std::{fs, process::Command};

use super::{MANIFEST, Tiny, said_by, usage};

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
fn without_a_lock_file_sides_have_the_versions_of_the_first_whenever_they_are_built() {
    let (tiny, newest) = (with_dependency(), newest_bitflags());
    assert_eq!(said_by(&tiny.build("HEAD").unwrap()), newest);
    // As if 1.3.2 had been the newest then.
    let cargo = |args: &[&str]| {
        let output = Command::new("cargo").args(args).current_dir(&tiny.folder).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    cargo(&["generate-lockfile"]);
    cargo(&["update", "-p", "bitflags", "--precise", "1.3.2"]);
    let kept = fs::read_dir(tiny.folder.join("target/gate/locks")).unwrap().flatten();
    let [kept]: [_; 1] = kept.map(|entry| entry.path()).collect::<Vec<_>>().try_into().unwrap();
    fs::rename(tiny.folder.join("Cargo.lock"), kept).unwrap();
    tiny.write("README.md", "");
    tiny.commit("later");
    let head = tiny.build("HEAD").unwrap();
    assert_eq!((head.cached, said_by(&head)), (false, "1.3.2".into()));
    // Versions that a side was given are not those of the next one.
    assert_eq!(said_by(&tiny.build(&format!("bitflags@{newest}")).unwrap()), newest);
    tiny.write("README.md", "more");
    assert_eq!(said_by(&tiny.build_working_tree().unwrap()), "1.3.2");
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
fn a_lock_file_that_lacks_a_package_is_an_error_and_one_of_an_older_release_is_not() {
    let tiny = Tiny::new();
    let made = Command::new("cargo").arg("generate-lockfile").current_dir(&tiny.folder).output();
    assert!(made.unwrap().status.success());
    tiny.commit("locked");
    tiny.write("Cargo.toml", &MANIFEST.replace("0.1.0", "0.2.0"));
    tiny.commit("a release, with the lock file as it was");
    assert_eq!(said_by(&tiny.build("HEAD").unwrap()), "one");
    tiny.write("Cargo.toml", &format!("{MANIFEST}[dependencies]\nbitflags = \">=1.3, <3\"\n"));
    tiny.commit("depends");
    let said = usage(tiny.build("HEAD"));
    let start = "the revision `HEAD` has a Cargo.lock that is out of date: it lacks bitflags ";
    assert!(said.starts_with(start) && said.contains("run `cargo check` and commit"), "{said}");
    tiny.no_worktree_is_left();
}

#[test]
fn of_a_dependency_that_is_there_twice_both_sides_set_the_same_one() {
    let (tiny, newest) = (Tiny::without_commit(""), newest_bitflags());
    let of = |version: &str| format!("{{ package = \"bitflags\", version = \"{version}\" }}");
    let (one, two) = (of("1.3"), of("2"));
    tiny.write("Cargo.toml", &format!("{MANIFEST}[dependencies]\none = {one}\ntwo = {two}\n"));
    tiny.commit("depends on both");
    let made = Command::new("cargo").arg("generate-lockfile").current_dir(&tiny.folder).output();
    assert!(made.unwrap().status.success());
    let project = tiny.project();
    let [old, new, other] = ["1.3.2", newest.as_str(), "2.0.0"]
        .map(|version| project.resolve(&format!("bitflags@{version}")).unwrap());
    assert!(other.about.contains(", with bitflags 2.0.0 in place of 2."), "{}", other.about);
    assert!(project.check_pins(&other, &new).is_ok());
    let said = project.check_pins(&old, &new).unwrap_err().message;
    let start = format!(
        "Cargo.lock has several versions of bitflags: 1.3.2 would replace one and {newest} "
    );
    assert!(said.starts_with(&start), "{said}");
}
