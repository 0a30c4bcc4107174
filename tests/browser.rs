//! The report in a real browser: without a network, without scripts, on a telephone, in the dark, on paper, by its
//! controls, and as axe-core sees it.
//!
//! It needs node, Chromium and two packages of npm, which `.ci/run` installs: see CONTRIBUTING.md. Where one is missing
//! that is said, and nothing is tried.

mod sample_claims;
mod sample_gate;
mod sample_run;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    slice,
};

use paceline::{
    history::series,
    record::Record,
    report::{Sources, page},
};

/// Where npm put the packages.
fn tools() -> PathBuf {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser");
    env::var_os("PACELINE_BROWSER_TOOLS").map_or(usual, PathBuf::from)
}

/// What is missing, if anything is.
fn missing() -> Option<String> {
    let runs = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let chromium = env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into());
    let package = tools().join("node_modules/playwright-core");
    if !runs("node") {
        Some("node is not here".into())
    } else if !Path::new(&chromium).exists() {
        Some(format!("there is no {chromium}"))
    } else if !package.exists() {
        Some(format!("there is no {}: see CONTRIBUTING.md", package.display()))
    } else {
        None
    }
}

fn write(folder: &Path, name: &str, sources: &Sources<'_>) {
    fs::write(folder.join(format!("{name}.html")), page(sources)).expect("it can be written");
}

fn of(record: &Record) -> Sources<'_> {
    Sources { records: slice::from_ref(record), ..Sources::default() }
}

#[test]
fn readers_of_every_kind_can_read_and_use_the_page() {
    if let Some(why) = missing() {
        eprintln!("{why}: not tried");
        return;
    }
    let kept = env::var_os("PACELINE_BROWSER_PAGES").map(PathBuf::from);
    let temporary = tempfile::tempdir().expect("there is a place for pages");
    let folder = kept.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder).expect("there is a place for pages");
    let record = sample_run::record();
    let mut later = record.clone();
    later.run.id.push_str("-later");
    later.run.started = later.run.started.replace("11-25", "11-26");
    later.run.fingerprint.hash = "0123456789abcdef".into();
    let runs = [record.clone(), later];
    let gate = sample_gate::sample();
    let claims = sample_claims::sample();
    let mut again = record.clone();
    again.run.started = again.run.started.replace("11-25", "11-27");
    let past = series(&[record.clone(), again], slice::from_ref(&gate));
    let everything = Sources {
        records: &runs,
        gates: slice::from_ref(&gate),
        claims: slice::from_ref(&claims),
        history: &past,
        left_out: &["results/old has schema 9".to_owned()],
    };
    write(folder, "run", &of(&record));
    write(folder, "hostile", &of(&sample_run::hostile()));
    write(folder, "refused", &of(&sample_run::only_refused()));
    write(folder, "numbers", &of(&sample_run::not_finite()));
    let bench = paceline::record::read(Path::new("results/2026-11-26T23-05-35Z-criterion-6306"));
    write(folder, "bench", &of(&bench.expect("it is committed")));
    write(folder, "everything", &everything);
    write(folder, "large", &of(&sample_run::large(1_000)));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/check.mjs");
    let output = Command::new("node").arg(script).arg(folder).arg(tools()).output();
    let output = output.expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    eprintln!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
