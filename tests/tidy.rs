//! The house rules that a test can hold: one-way dependencies, a header on every file, one clock, one place to print.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use paceline_core::models::MODELS;
use serde_json::Value;

#[path = "../benches/cost/verdict.rs"]
mod cost;

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
    for folder in CRATES {
        walk(&root.join(folder), &mut files);
    }
    files.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The sources of the three crates.
const CRATES: [&str; 3] = ["src", "crates/paceline-core/src", "crates/paceline-gated/src"];

/// The modules of a crate's `lib.rs`, in its order.
fn modules(folder: &str) -> Vec<String> {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("lib.rs");
    let lib = fs::read_to_string(lib).unwrap();
    let lines = lib.lines().map(|line| line.trim_start_matches("pub "));
    let names = lines.filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// The crate's folder and the module that a file belongs to: `src/plan.rs` to `plan` of `src`.
fn module_of(file: &str) -> (&'static str, String) {
    let folder = CRATES.into_iter().find(|folder| file.starts_with(folder)).unwrap();
    let first = file[folder.len() + 1..].split('/').next().unwrap();
    (folder, first.trim_end_matches(".rs").to_owned())
}

/// The part of a file that is neither a test nor a comment.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_module_uses_only_those_above_it() {
    let orders = CRATES.map(|folder| (folder, modules(folder)));
    for (folder, order) in &orders {
        assert!(order.len() >= 5, "{folder}/lib.rs lists the modules, one in a line: {order:?}");
    }
    // What is measured does not depend on how it is reported.
    assert!(modules("src").ends_with(&["report".into(), "cli".into(), "fuzzing".into()]));
    for (file, text) in sources() {
        let (folder, module) = module_of(&file);
        let (_, order) = orders.iter().find(|(other, _)| *other == folder).unwrap();
        let place = |name: &str| order.iter().position(|module| module == name);
        let Some(own) = place(&module) else { continue };
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
fn plurals_are_made_in_one_place() {
    for (file, text) in sources().into_iter().filter(|(file, _)| !file.ends_with("/quantity.rs")) {
        let own = ["{ \"\" } else { \"s\" }", "{ \"cell\" } else { \"cells\" }", "{s}"];
        let found = own.iter().find(|plural| code(&text).contains(**plural));
        assert!(found.is_none(), "{file} has {found:?}: use `counted`, or `noun`");
    }
}

#[test]
fn only_the_clock_modules_read_a_clock() {
    for (file, text) in sources() {
        let reads = ["Instant::now", "SystemTime::now", "clock_gettime", ".elapsed()"]
            .iter()
            .any(|call| code(&text).contains(call));
        assert!(!reads || module_of(&file).1 == "clock", "{file} reads a clock");
    }
}

#[test]
fn unsafe_code_is_in_two_files() {
    let known =
        ["crates/paceline-core/src/models/trust.rs", "crates/paceline-gated/src/allocations.rs"];
    for (file, text) in sources() {
        let has =
            text.contains("unsafe {") || text.contains("unsafe impl") || text.contains("unsafe fn");
        assert!(!has || known.contains(&file.as_str()), "{file} has unsafe code");
    }
}

#[test]
fn the_partner_of_a_hop_is_spawned_as_a_job_is() {
    // Where it went into another queue than the jobs, as on tokio-uring by `tokio::spawn`, a hop took 9 % longer.
    let mut hops = 0;
    for (file, text) in sources() {
        for used in text.split("volley!(times, ").skip(1) {
            let spawn = used.split_once("spawn: ").and_then(|(_, rest)| rest.split_once(','));
            let mut spawn = spawn.unwrap_or_else(|| panic!("{file}")).0;
            let closure = text.split_once("let spawn = |partner| ").map(|(_, rest)| rest);
            if let Some((called, _)) = closure.and_then(|rest| rest.split_once("(partner)")) {
                spawn = called;
            }
            let jobs = ["task", "child(index)"].map(|job| format!("{spawn}({job})"));
            assert!(jobs.iter().any(|job| text.contains(job)), "{file}: {spawn}");
            hops += 1;
        }
    }
    assert_eq!(hops, 8);
}

#[test]
fn only_the_output_prints() {
    for (file, text) in sources() {
        let prints = ["println!(", "print!(", "io::stdout", "io::stderr"]
            .iter()
            .any(|call| code(&text).contains(call));
        // The children speak to their parent on standard output, and say on standard error why they end.
        let children =
            ["host.rs", "host/count.rs", "host/serve.rs", "suite_server.rs", "generator.rs"];
        let speaks =
            children.iter().any(|child| file == format!("crates/paceline-core/src/{child}"));
        // A gated bench prints its figures.
        let gated = ["host.rs", "gated.rs"];
        let speaks =
            speaks || gated.iter().any(|name| file == format!("crates/paceline-gated/src/{name}"));
        assert!(!prints || speaks || file == "src/output/print.rs", "{file} prints");
    }
}

#[test]
fn nothing_listens_or_connects_outside_loopback() {
    for (file, text) in sources() {
        let code = code(&text);
        assert!(
            !code.contains("0.0.0.0") && !code.contains("UNSPECIFIED"),
            "{file} binds to every address"
        );
    }
}

/// The packages that are built with a manifest, as `name@version`, and the features that each has then.
fn resolved(manifest: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let cargo = || Command::new(env!("CARGO"));
    // What other systems need is not downloaded here.
    let version = String::from_utf8(cargo().arg("-vV").output().unwrap().stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let asked = ["metadata", "--format-version=1", "--locked", "--filter-platform", host];
    let output = cargo().args(asked).arg("--manifest-path").arg(manifest).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", manifest.display());
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    nodes
        .iter()
        .map(|node| {
            let id = text(&node["id"]);
            let features = node["features"].as_array().unwrap().iter().map(text).collect();
            (id.split('#').next_back().unwrap().to_owned(), features)
        })
        .collect()
}

#[test]
fn the_plain_programs_have_the_runtimes_of_the_suite() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let suite = resolved(&root.join("Cargo.toml"));
    let mut runtimes: BTreeSet<&str> =
        MODELS.iter().filter_map(|entry| entry.info.package).collect();
    // A queue of the model `pool`, and in glommio something else.
    runtimes.remove("crossbeam-channel");
    let mut compared = BTreeSet::new();
    for folder in fs::read_dir(root.join("benches/cost/plain")).unwrap() {
        let manifest = folder.unwrap().path().join("Cargo.toml");
        if !manifest.exists() {
            continue;
        }
        for (package, features) in resolved(&manifest) {
            let name = package.split('@').next().unwrap();
            if name.starts_with("plain-") {
                continue;
            }
            let shared = suite.get(&package);
            assert!(
                shared.is_some(),
                "{} has {package}, and the suite has not",
                manifest.display()
            );
            // Features of other packages may differ: that is what such a program is for.
            if runtimes.contains(name) {
                assert_eq!(shared, Some(&features), "{package} in {}", manifest.display());
                compared.insert(name.to_owned());
            }
        }
    }
    let lacks: Vec<_> = runtimes.iter().filter(|name| !compared.contains(**name)).collect();
    assert_eq!(lacks, [&"may"], "docs/cost.md says why it is not compared");
}

#[test]
fn the_cost_of_the_suite_is_what_is_claimed_only_where_every_ratio_was_judged() {
    let ratios = [(1.02, 1.01, 1.025), (1.02, 0.99, 1.05), (1.05, 1.04, 1.06), (0.9, 0.8, 1.0)];
    assert_eq!(ratios.map(cost::word), ["within", "open", "off", "off"]);
    assert_eq!(cost::ENOUGH, 10, "docs/cost.md says so");
    assert!(cost::held(&["within", "open"], 1.0) && cost::held(&[], 1.0));
    assert!(!cost::held(&["within"], 1.02));
    for wrong in ["off", "few", "failed"] {
        assert!(!cost::held(&["within", wrong], 1.0), "{wrong}");
    }
}

/// Otherwise `cargo install` would build nearly everything once more after `cargo bench`, and tests would be of a program
/// that is not the one that users have.
#[test]
fn the_mean_of_all_ratios_of_cost_has_an_interval_of_its_own() {
    let one = [0.98, 1.01, 1.03, 1.00, 1.02];
    let (mean, lower, upper) = cost::overall(&[&one]).unwrap();
    let alone = paceline::stats::estimate(&one, 0.0).unwrap();
    for (found, expected) in [(mean, alone.0), (lower, alone.1), (upper, alone.2)] {
        assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
    }
    // Student's t is 2.776 with 4 degrees of freedom and 2.306 with 8.
    let shifted = one.map(|ratio| ratio * 1.1);
    let (both, lower, upper) = cost::overall(&[&one, &shifted]).unwrap();
    assert!((both - mean * 1.1_f64.sqrt()).abs() < 1e-12, "{both}");
    let half = (alone.2 / alone.0).ln() / 2.776 * 2.306 / 2_f64.sqrt();
    assert!(((upper / both).ln() - half).abs() < 1e-5 && ((both / lower).ln() - half).abs() < 1e-5);
    assert_eq!(cost::overall(&[&[1.0; 10]]), Some((1.0, 1.0, 1.0)));
    assert!(cost::overall(&[]).is_none() && cost::overall(&[&[1.0, 1.1]]).is_none());
    assert!(cost::is_narrow((1.0, 0.996, 1.004)) && !cost::is_narrow((1.0, 0.996, 1.006)));
}

#[test]
fn what_tests_need_changes_no_feature_of_what_users_build() {
    let features = |asked: &[&str]| -> BTreeSet<String> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--locked", "--prefix=none", "--format={p} {f}"]).args(asked);
        let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
    };
    let of_users = features(&["--package=paceline", "--edges=normal,build"]);
    let of_tests = features(&["--edges=normal,build,dev"]);
    let changed: Vec<_> = of_users.difference(&of_tests).collect();
    assert!(changed.is_empty() && of_users.len() > 100, "{changed:?}");
}

/// The documents say that `cargo run --release --` is `paceline`; the workspace has other programs.
#[test]
fn cargo_run_without_a_name_runs_paceline() {
    let asked = ["metadata", "--format-version=1", "--no-deps", "--offline"];
    let output = Command::new(env!("CARGO")).args(asked).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let named: Vec<&str> = packages.filter_map(|package| package["default_run"].as_str()).collect();
    assert_eq!(named, ["paceline"]);
}
