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

/// Checks pages in a browser, unless it is missing.
fn check(name: &str, write: impl FnOnce(&Path)) {
    if let Some(why) = missing() {
        eprintln!("{why}: not tried");
        return;
    }
    let kept = env::var_os("PACELINE_BROWSER_PAGES").map(|kept| Path::new(&kept).join(name));
    let temporary = tempfile::tempdir().expect("there is a place for pages");
    let folder = kept.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder).expect("there is a place for pages");
    write(folder);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/check.mjs");
    let output = Command::new("node").arg(script).arg(folder).arg(tools()).output();
    let output = output.expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    eprintln!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn readers_of_every_kind_can_read_and_use_the_page_of_a_run() {
    check("run", |folder| {
        write(folder, "run", &of(&sample_run::record()));
        write(folder, "hostile", &of(&sample_run::hostile()));
        write(folder, "refused", &of(&sample_run::only_refused()));
        write(folder, "numbers", &of(&sample_run::not_finite()));
        write(folder, "large", &of(&sample_run::large(1_000)));
    });
}

#[test]
fn readers_of_every_kind_can_read_and_use_the_page_of_a_bench() {
    check("bench", |folder| {
        let record = Path::new("results/2026-11-29T15-26-27Z-criterion-29358");
        write(folder, "bench", &of(&paceline::record::read(record).expect("it is committed")));
    });
}

#[test]
fn readers_of_every_kind_can_read_and_use_the_page_of_everything() {
    check("everything", |folder| {
        let record = sample_run::record();
        let mut later = record.clone();
        later.run.id.push_str("-later");
        later.run.started = later.run.started.replace("11-25", "11-26");
        later.run.fingerprint.hash = "0123456789abcdef".into();
        let mut again = record.clone();
        again.run.started = again.run.started.replace("11-25", "11-27");
        let (gate, claims) = (sample_gate::sample(), sample_claims::sample());
        let everything = Sources {
            gates: slice::from_ref(&gate),
            claims: slice::from_ref(&claims),
            history: &series(&[record.clone(), again], slice::from_ref(&gate)),
            left_out: &["results/old has schema 9".to_owned()],
            records: &[record, later],
        };
        write(folder, "everything", &everything);
    });
}
