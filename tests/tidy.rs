//! The house rules that a test can hold: one-way dependencies, a header on every file, one clock, one place to print.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(&root.join("src"), &mut files);
    files.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The modules of `lib.rs`, in its order.
fn modules() -> Vec<String> {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let names = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// The module that a file belongs to: `src/job/read.rs` to `job`.
fn module_of(file: &str) -> String {
    let first = file.trim_start_matches("src/").split('/').next().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The part of a file that is no test.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap()
}

#[test]
fn each_module_uses_only_those_above_it() {
    let order = modules();
    assert!(order.len() >= 10, "lib.rs lists the modules, one in a line: {order:?}");
    let place = |name: &str| order.iter().position(|module| module == name);
    for (file, text) in sources() {
        let Some(own) = place(&module_of(&file)) else { continue };
        let mut used = BTreeSet::new();
        // `crate::name`, and the names in the braces of `use crate::{…}`, each at the beginning of a line.
        let text = code(&text);
        for part in text.split("crate::").skip(1) {
            used.insert(
                part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned(),
            );
        }
        if let Some((_, list)) = text.split_once("use crate::{") {
            let list = list.split("\n};").next().unwrap();
            for line in
                list.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "))
            {
                let name =
                    line.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                used.insert(name.to_owned());
            }
        }
        for name in used {
            if let Some(other) = place(&name) {
                assert!(other <= own, "{file} uses `{name}`, which stands below it in lib.rs");
            }
        }
    }
}

#[test]
fn every_file_says_in_its_first_line_what_it_is_for_and_none_is_two_rooms_in_one() {
    for (file, text) in sources() {
        assert!(text.starts_with("//! "), "{file} has no header");
        assert!(text.lines().count() <= 420, "{file} has {} lines", text.lines().count());
    }
}

#[test]
fn only_the_measuring_module_reads_a_clock() {
    for (file, text) in sources() {
        let reads = ["Instant::now", "SystemTime::now", "clock_gettime", ".elapsed()"]
            .iter()
            .any(|call| code(&text).contains(call));
        assert!(!reads || module_of(&file) == "measure", "{file} reads a clock");
    }
}

#[test]
fn unsafe_code_is_in_one_file() {
    for (file, text) in sources() {
        let has =
            text.contains("unsafe {") || text.contains("unsafe impl") || text.contains("unsafe fn");
        assert!(!has || file == "src/models/trust.rs", "{file} has unsafe code");
    }
}

#[test]
fn only_the_report_prints() {
    for (file, text) in sources() {
        let prints = ["println!(", "print!(", "io::stdout", "io::stderr"]
            .iter()
            .any(|call| code(&text).contains(call));
        // The children speak to their parent on standard output, and say on standard error why they end.
        let children = ["host.rs", "echo.rs", "load.rs", "serve.rs"];
        let speaks = children.iter().any(|child| file == format!("src/measure/{child}"));
        assert!(!prints || speaks || file == "src/report/print.rs", "{file} prints");
    }
}

#[test]
fn nothing_listens_or_connects_outside_loopback() {
    for (file, text) in sources() {
        assert!(
            !text.contains("0.0.0.0") && !text.contains("UNSPECIFIED"),
            "{file} binds to every address"
        );
    }
}
